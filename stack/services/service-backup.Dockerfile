# restic with the clients of the databases that it saves. pg_dump must not be older than the server: Debian 13 has 17.
FROM restic/restic:0.19.1 AS restic
FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl ldap-utils mariadb-client openssh-client postgresql-client-17 tini \
 && rm -rf /var/lib/apt/lists/*
COPY --from=restic /usr/bin/restic /usr/local/bin/restic
COPY database-backup database-backup-health /usr/local/bin/
