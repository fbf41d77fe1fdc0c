#!/bin/bash
# Lab entrypoint of CouchDB. Imitates apache/couchdb-docker, 3.5.2/docker-entrypoint.sh at adcb4f73: the administrator comes from the environment and
# is written where the server reads its configuration; version 3 does not start without one.
set -euo pipefail

[ "${1:-}" = couchdb ] || exec "$@"
if [ -z "${COUCHDB_USER:-}" ] || [ -z "${COUCHDB_PASSWORD:-}" ]; then
  echo "*************************************************************" >&2
  echo "ERROR: CouchDB 3.0+ will no longer run in 'Admin Party' mode: set COUCHDB_USER and COUCHDB_PASSWORD." >&2
  exit 1
fi
config=/opt/couchdb/data/.config.json
umask 077
if [ ! -e "$config" ]; then
  node -e 'const e = process.env; console.log(JSON.stringify({admins: {[e.COUCHDB_USER]: e.COUCHDB_PASSWORD}, couch_httpd_auth: {require_valid_user: true}, log: {file: "/tmp/couchdb.log", level: "warn"}}))' >"$config"
fi
chown -R couchdb:couchdb /opt/couchdb/data
cd /tmp
exec setpriv --reuid=couchdb --regid=couchdb --clear-groups -- env -u COUCHDB_PASSWORD \
  node /opt/pouchdb/node_modules/pouchdb-server/bin/pouchdb-server --dir /opt/couchdb/data --config "$config" --host 0.0.0.0 --port 5984 --no-color --no-stdout-logs
