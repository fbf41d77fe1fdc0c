#!/usr/bin/env bash
# bench/audit.sh [RUNS]: CPU seconds and peak memory of a whole audit against `docker compose config -q` on the same files, in one
# run. DATAMANCY and COMPOSE name the programs (default: build/datamancy, docker compose); DCLINT and COMPOSE_LINT, where set, those
# two linters (npm dclint, PyPI compose-lint). Files come from bench/synth.py; LARGE names a further one of your own.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
runs=${1:-9}
datamancy=${DATAMANCY:-$here/build/datamancy}
compose=${COMPOSE:-docker compose}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

measure() { # NAME COMMAND...: median of user + system seconds, peak kB
  local name=$1
  shift
  for _ in $(seq "$runs"); do
    "$here/bench/cpu.py" "$@"
  done | sort -n | awk -v name="$name" '{cpu[NR] = $1; if ($2 > peak) peak = $2} END {printf "%-34s %8.4f s CPU  %7d kB\n", name, cpu[int((NR + 1) / 2)], peak}'
}

# A peer that is not there fails fast, and would look fast.
# shellcheck disable=SC2086
$compose version >/dev/null 2>&1 || { echo "bench/audit.sh: '$compose' does not run; COMPOSE names one" >&2; exit 10; }
measure "datamancy --version" "$datamancy" --version
for services in 55 500 5000; do
  "$here/bench/synth.py" "$services" >"$work/compose.yaml"
  measure "datamancy audit, $services services" "$datamancy" -f "$work/compose.yaml" audit --json
  # shellcheck disable=SC2086
  [ "$services" = 5000 ] || measure "compose config -q, $services services" $compose -f "$work/compose.yaml" config -q
  [ "$services" != 55 ] || [ -z "${DCLINT:-}" ] || measure "dclint, $services services" "$DCLINT" "$work/compose.yaml"
  [ "$services" != 55 ] || [ -z "${COMPOSE_LINT:-}" ] || measure "compose-lint, $services services" "$COMPOSE_LINT" check "$work/compose.yaml"
done
[ -z "${LARGE:-}" ] || measure "datamancy audit, $(basename "$LARGE")" "$datamancy" -f "$LARGE" audit --json
