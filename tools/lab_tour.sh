#!/usr/bin/env bash
# ./run --lab: the whole main job on real services, and nothing left behind: audit the club (lab/stack), start it on images built
# from Debian packages, look at it, write its report, take it away. Images and programs stay in the cache folder for the next run.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tools/setup.sh"
stack=$here/lab/stack
dm=$here/build/datamancy

step() { printf '\n=== %s\n' "$*"; }
# Whether the program has a verb (parts of the plan come later).
has() { "$dm" "$1" --help >/dev/null 2>&1; }

dm_packages
dm_build "$here" datamancy

step 'An engine: one that answers is used as it is; else one is started, with its own data folder'
before=$("$here/lab/lab" engine --ours)
made_secrets=no
ours() { [ "$before" = no ] && [ "$("$here/lab/lab" engine --ours)" = yes ]; }
finish() {
  local status=$?
  trap - EXIT INT TERM
  step 'Cleaning up: containers, networks and volumes of the club; the engine if it was started here'
  "$here/lab/lab" down --volumes >/dev/null 2>&1 || echo 'lab: the club could not be taken down: lab/lab down --volumes' >&2
  [ "$made_secrets" = no ] || rm -rf "$stack/secrets"
  ! ours || "$here/lab/lab" engine stop
  exit "$status"
}
"$here/lab/lab" engine
trap finish EXIT
trap 'exit 130' INT TERM
eval "$("$here/lab/lab" env)"

step 'Audit of the files: datamancy audit lab/stack'
[ -d "$stack/secrets" ] || made_secrets=yes
"$here/lab/lab" secrets
"$dm" audit "$stack" || [ $? -le 1 ]

step 'The images: built from Debian packages once, then reused'
prepared=$("$here/lab/lab" prepare)
eval "$prepared"

if has up; then
  step 'The club started, in order, until all is healthy: datamancy up'
  "$dm" up
  "$here/lab/lab" status
else
  step 'The club started, in order, until all is healthy: docker compose up --wait'
  "$here/lab/lab" up
fi
printf 'through the edge: '
curl -sSk --resolve feeds.club.localhost:18443:127.0.0.1 -o /dev/null -w 'https://feeds.club.localhost:18443 answers %{http_code}\n' https://feeds.club.localhost:18443/

if "$dm" audit --help 2>/dev/null | grep -q -- --live; then
  step 'Audit of what runs: datamancy audit --live'
  "$dm" audit --live || [ $? -le 1 ]
fi

step 'The readiness report'
mkdir -p "$here/build/reports"
for format in markdown:md html:html json:json; do
  "$dm" report "$stack" --format "${format%:*}" -o "$here/build/reports/club.${format#*:}" 2>/dev/null || [ $? -le 1 ]
done
explained=$("$dm" report "$stack" --explain 2>/dev/null) || [ $? -le 1 ]
echo "${explained%%$'\n'*}"
echo "report: $here/build/reports/club.{md,html,json}"
