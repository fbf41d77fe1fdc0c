#!/bin/bash
# Sidekiq writes its own entry into the store every few seconds; the entry expires after a minute. Asked in the store's protocol, since
# the image has no client: is there a process at all, and does its entry still live?
set -euo pipefail
password=$(<"/run/secrets/redis_mastodon_password")
exec 3<>"/dev/tcp/${REDIS_HOST:-redis-mastodon}/${REDIS_PORT:-6379}"
ask() { # each argument by its length in bytes, so that any byte goes through
  local LC_ALL=C argument
  printf '*%d\r\n' $# >&3
  for argument; do printf '$%d\r\n%s\r\n' ${#argument} "$argument" >&3; done
}
line() { local text; IFS= read -r -t 5 text <&3; printf '%s' "${text%$'\r'}"; }
ask AUTH "$password"
[ "$(line)" = +OK ]
ask SRANDMEMBER processes
size=$(line)
[ "$size" != '$-1' ]
process=$(line)
ask EXISTS "$process"
[ "$(line)" = :1 ]
