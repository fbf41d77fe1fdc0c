#!/bin/sh
# Write and read back as a client: a store that refuses writes, loads, or wants another password is not healthy.
set -eu
if [ -f /run/secrets/valkey_password ]; then
  VALKEYCLI_AUTH=$(cat /run/secrets/valkey_password)
  REDISCLI_AUTH=$VALKEYCLI_AUTH
  export VALKEYCLI_AUTH REDISCLI_AUTH
fi
valkey-cli -e set datamancy:health "$$" ex 60 >/dev/null
[ "$(valkey-cli -e get datamancy:health)" = "$$" ]
