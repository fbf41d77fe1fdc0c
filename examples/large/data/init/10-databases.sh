#!/bin/sh
set -eu
for name in authelia gitea vaultwarden synapse mastodon paperless litellm; do
  psql -v ON_ERROR_STOP=1 -U postgres -v "name=$name" <<'SQL'
SELECT format('CREATE DATABASE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SQL
done
