#!/bin/sh
# As administrator: the node is up and its databases can be listed. The password goes by a file, not on a command line.
set -eu
umask 077
config=$(mktemp)
trap 'rm -f "$config"' EXIT
printf 'user = "datamancy:%s"\n' "$(sed 's/\\/\\\\/g; s/"/\\"/g' /run/secrets/couchdb_password)" >"$config"
curl -fsS -m 4 -K "$config" http://127.0.0.1:5984/_up | grep -q '"status":"ok"'
curl -fsS -m 4 -K "$config" http://127.0.0.1:5984/_all_dbs >/dev/null
