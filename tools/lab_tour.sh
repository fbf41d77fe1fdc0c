#!/usr/bin/env bash
# ./run --lab: the whole main job on real services, and nothing left behind: audit the club (lab/stack), start it on images built
# from Debian packages, look at it, write its report, take it away. Images and programs stay in the cache folder for the next run.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tools/setup.sh"
stack=$here/lab/stack
dm=$here/build/datamancy

step() { printf '\n=== %s\n' "$*"; }

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
  rm -rf "$scratch"
  ! ours || "$here/lab/lab" engine stop
  exit "$status"
}
"$here/lab/lab" engine
# What is seen here stays here: records, repository and its password go with the tour.
scratch=$(mktemp -d)
export DATAMANCY_STATE=$scratch/state
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

step 'The club started, in order, until all is healthy: datamancy up'
"$dm" up
"$here/lab/lab" status
printf 'through the edge: '
curl -sSk --resolve feeds.club.localhost:18443:127.0.0.1 -o /dev/null -w 'https://feeds.club.localhost:18443 answers %{http_code}\n' https://feeds.club.localhost:18443/

step 'Audit of what runs: datamancy audit --live'
"$dm" audit --live || [ $? -le 1 ]

step 'restic: built from its module once, then reused'
"$here/lab/lab" tools restic
export PATH=$PATH:${DATAMANCY_LAB:-/var/cache/datamancy-lab}/bin

step 'A backup of all that it keeps: datamancy backup run'
head -c 32 /dev/urandom | base64 >"$scratch/key"
chmod 600 "$scratch/key"
keep=(--repository "$scratch/repository" --password-file "$scratch/key")
"$dm" backup run "${keep[@]}"

step 'Does it come back equal? datamancy drill restore --all'
"$dm" drill restore --all "${keep[@]}"

step 'The checklist before going live, each item with its evidence: datamancy check'
"$dm" check || [ $? -le 1 ]

step 'The readiness report, with what was seen and proven: datamancy report --live'
mkdir -p "$here/build/reports"
for format in markdown:md html:html json:json; do
  "$dm" report --live --format "${format%:*}" -o "$here/build/reports/club.${format#*:}" 2>/dev/null || [ $? -le 1 ]
done
explained=$("$dm" report --live --explain 2>/dev/null) || [ $? -le 1 ]
echo "${explained%%$'\n'*}"
echo "report: $here/build/reports/club.{md,html,json}"
