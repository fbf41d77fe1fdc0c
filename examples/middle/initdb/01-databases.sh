#!/bin/sh
# Databases of the club's applications.
set -e
psql -v ON_ERROR_STOP=1 -U postgres <<SQL
CREATE USER authelia WITH PASSWORD '$AUTHELIA_DB_PASSWORD';
CREATE DATABASE authelia OWNER authelia;
CREATE USER gitea WITH PASSWORD '$GITEA_DB_PASSWORD';
CREATE DATABASE gitea OWNER gitea;
SQL
