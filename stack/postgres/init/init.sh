#!/bin/bash
# Roles and databases of the applications: one role per application, which owns its database and can use no other.
# Idempotent; works on a new data folder and on one that exists. A password may hold any bytes but NUL and line breaks: it goes
# from its file into a psql variable and from there, quoted by the server itself (format %L), into the statement; never into argv.
set -euo pipefail

PGPASSWORD=$(</run/secrets/postgres_password)
export PGPASSWORD

# role:database:connections (a bound for a pooler that runs away)
roles='
authelia:authelia:30
grafana:grafana:30
litellm:litellm:30
mailu:mailu:30
mastodon:mastodon:60
openwebui:openwebui:30
planka:planka:30
sogo:sogo:30
synapse:synapse:40
vaultwarden:vaultwarden:30
'

for entry in $roles; do
  IFS=: read -r role database connections <<<"$entry"
  file=/run/secrets/${role}_db_password
  [ -s "$file" ] || { echo "init: $file is missing or empty" >&2; exit 1; }
  # Unchanged when the password already lets the role in: a new SCRAM salt would cut the pooler's connections for nothing.
  if PGPASSWORD=$(<"$file") psql -qtAX -U "$role" -d "$database" -c 'SELECT 1' >/dev/null 2>&1; then fresh=false; else fresh=true; fi
  PW_FILE=$file psql -qX -d postgres -v ON_ERROR_STOP=1 -v role="$role" -v database="$database" -v connections="$connections" -v fresh="$fresh" -f /init/role.sql
  echo "init: role $role owns database $database$($fresh && echo ', password set' || true)"
done

for role in pgbouncer_auth pgbouncer_health; do
  file=/run/secrets/${role}_password
  [ -s "$file" ] || { echo "init: $file is missing or empty" >&2; exit 1; }
  if PGPASSWORD=$(<"$file") psql -qtAX -U "$role" -d postgres -c 'SELECT 1' >/dev/null 2>&1; then fresh=false; else fresh=true; fi
  PW_FILE=$file psql -qX -d postgres -v ON_ERROR_STOP=1 -v role="$role" -v database= -v connections=10 -v fresh="$fresh" -f /init/role.sql
done
psql -qX -d postgres -v ON_ERROR_STOP=1 -f /init/pgbouncer.sql
psql -qX -d synapse -v ON_ERROR_STOP=1 -c 'ALTER SCHEMA public OWNER TO synapse'
echo 'init: done'
