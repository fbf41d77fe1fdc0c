#!/usr/bin/env bash
# A role and a database of its own for Miniflux; the password comes from the secret, quoted by psql.
set -euo pipefail
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" -v password="$(cat /run/secrets/feeds_password)" <<'SQL'
create role feeds login password :'password';
create database feeds owner feeds;
SQL
