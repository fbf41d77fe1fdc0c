#!/bin/sh
# Creates the collections that are missing. 384 dimensions are those of the embedding model (compose.yaml); a collection with other
# dimensions is an error, since every later insert would fail.
set -eu
umask 077
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
printf 'api-key: %s\n' "$(cat /run/secrets/qdrant_api_key)" >"$headers"
ask() { curl -sS -m 30 -H "@$headers" -H 'content-type: application/json' "$@"; }

for name in documents messages wiki; do
  body=$(sed -n "s/^ *\"$name\": \({.*}\),\{0,1\}$/\1/p" /bootstrap/collections.json)
  [ -n "$body" ] || { echo "bootstrap: collections.json has no $name" >&2; exit 1; }
  code=$(ask -o /tmp/answer -w '%{http_code}' "$QDRANT_URL/collections/$name")
  case $code in
    200) grep -q '"size": *384' /tmp/answer || { echo "bootstrap: collection $name has other dimensions" >&2; exit 1; }
         echo "bootstrap: $name is there" ;;
    404) ask -f -X PUT -d "$body" "$QDRANT_URL/collections/$name" >/dev/null; echo "bootstrap: $name made" ;;
    *) echo "bootstrap: Qdrant answered $code for $name" >&2; exit 1 ;;
  esac
done
