#!/bin/bash
# Lab entrypoint of ClickHouse. Imitates ClickHouse/ClickHouse, docker/server/entrypoint.sh at 00b7432b: the password may come in a file; the data folder belongs to the server's user.
set -euo pipefail

[ $# -eq 0 ] || exec "$@"
if [ -n "${CLICKHOUSE_PASSWORD_FILE:-}" ]; then CLICKHOUSE_PASSWORD=$(<"$CLICKHOUSE_PASSWORD_FILE"); export CLICKHOUSE_PASSWORD; fi
if [ "$(id -u)" = 0 ]; then
  chown -R clickhouse:clickhouse /var/lib/clickhouse
  exec setpriv --reuid=clickhouse --regid=clickhouse --clear-groups -- clickhouse-server
fi
exec clickhouse-server
