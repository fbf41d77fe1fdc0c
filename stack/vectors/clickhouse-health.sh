#!/bin/bash
# A query by the stack's own user: through users, storage and execution.
set -eu
CLICKHOUSE_PASSWORD=$(</run/secrets/clickhouse_password)
export CLICKHOUSE_PASSWORD
[ "$(clickhouse-client --host 127.0.0.1 --user datamancy --query 'SELECT count() > 0 FROM system.databases')" = 1 ]
