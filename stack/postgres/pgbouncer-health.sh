#!/bin/sh
# A login with SCRAM through the pooler and a query to the server.
set -eu
PGPASSWORD=$(cat /run/secrets/pgbouncer_health_password)
PGCONNECT_TIMEOUT=4
export PGPASSWORD PGCONNECT_TIMEOUT
[ "$(psql -qtAX -h 127.0.0.1 -p 6432 -U pgbouncer_health -d pgbouncer_health -c 'SELECT 1')" = 1 ]
