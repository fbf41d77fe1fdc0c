#!/bin/sh
# The edge's certificate of MAIL_HOST, copied to where Mailu's front expects it; looked at every minute, so that a renewal arrives.
set -eu
find_pair() { # the newest, whatever authority it comes from
  newest=$(find /caddy/caddy/certificates -name "$MAIL_HOST.crt" -type f 2>/dev/null | while read -r f; do echo "$(stat -c %Y "$f") $f"; done | sort -rn | head -n 1 | cut -d ' ' -f 2-)
}
if [ "${1:-}" = --check ]; then
  [ -s /certs/cert.pem ] && [ -s /certs/key.pem ]
  find_pair
  [ -z "$newest" ] || cmp -s "$newest" /certs/cert.pem
  exit
fi
trap 'exit 0' TERM INT
umask 077
while :; do
  find_pair
  if [ -n "$newest" ] && [ -s "${newest%.crt}.key" ] && ! cmp -s "$newest" /certs/cert.pem; then
    cp "${newest%.crt}.key" /certs/key.pem.new
    cp "$newest" /certs/cert.pem.new
    mv /certs/key.pem.new /certs/key.pem
    mv /certs/cert.pem.new /certs/cert.pem
    echo "mailu-certs: $MAIL_HOST from $newest"
  fi
  sleep 60 & wait $!
done
