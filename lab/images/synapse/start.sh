#!/bin/sh
# What element-hq/synapse, docker/start.py at 20bd26ec, does in the mode `run`: the user of UID and GID (991 where it is root), one configuration file,
# no key made and no folder given away.
set -eu
[ "${1:-run}" = run ] || { echo "the lab's Synapse knows the mode run only" >&2; exit 2; }
config=${SYNAPSE_CONFIG_PATH:-${SYNAPSE_CONFIG_DIR:-/data}/homeserver.yaml}
[ -e "$config" ] || { echo "Config file '$config' does not exist." >&2; exit 2; }
set -- /usr/local/bin/python -m "${SYNAPSE_WORKER:-synapse.app.homeserver}" --config-path "$config"
if [ -n "${UID:-}" ]; then exec gosu "$UID:${GID:-991}" "$@"; fi
if [ "$(id -u)" = 0 ]; then exec gosu 991:991 "$@"; fi
exec "$@"
