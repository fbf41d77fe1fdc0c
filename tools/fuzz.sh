#!/usr/bin/env bash
# tools/fuzz.sh [SECONDS [TARGET...]]: builds the fuzz targets with clang and runs each for SECONDS (default 3600), one after the
# other (DM_FUZZ_JOBS at a time, default 1; DM_FUZZ_TIMEOUT: seconds that one input may take, default 120). Seeds are what earlier runs
# found, packed small: fuzz/corpus/TARGET.tar.xz. What is found grows in DM_FUZZ_HOME (default build-fuzz/home), which is kept between
# runs; `tools/fuzz.sh pack` makes the seeds from it. Each run adds a line with the CPU time that it really got to
# docs/proofs/fuzz.tsv; docs/proofs/fuzz.md is the sum of these lines. `tools/fuzz.sh 0` only writes that page again.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:-3600}
shift || true
build=${DM_FUZZ_BUILD:-$here/build-fuzz}
home=${DM_FUZZ_HOME:-$build/home}
ledger=${DM_FUZZ_LEDGER:-$here/docs/proofs/fuzz.tsv}
mkdir -p "$home"
[ $# -gt 0 ] && names="$*" || names=$(for f in "$here"/fuzz/*.cpp; do basename "$f" .cpp; done)

one() { # TARGET: runs it and adds its line to the ledger
  local name=$1 log=$home/$1.log result=ok cpu runs edges
  [ -d "$home/$name" ] || [ ! -f "$here/fuzz/corpus/$name.tar.xz" ] || tar -C "$home" -xJf "$here/fuzz/corpus/$name.tar.xz"
  mkdir -p "$home/$name"
  local dictionary=()
  [ ! -f "$here/fuzz/$name.dict" ] || dictionary=("-dict=$here/fuzz/$name.dict")
  TIMEFORMAT='cpu: %U'
  { time "$build/fuzz_$name" -max_total_time="$seconds" -timeout="${DM_FUZZ_TIMEOUT:-120}" -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
    -artifact_prefix="$home/found-$name-" "${dictionary[@]}" "$home/$name" >"$log" 2>&1; } 2>"$home/$name.cpu" || result=FAILED
  cpu=$(sed -n 's/^cpu: \([0-9]*\).*/\1/p' "$home/$name.cpu")
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  edges=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$(date -u +%FT%RZ)" "${DM_FUZZ_COMMIT:-$(git -C "$here" rev-parse --short HEAD)}" "$name" "${cpu:-0}" "${runs:-0}" "${edges:-0}" "$result" >>"$ledger"
  [ "$result" = ok ] || { echo "$name FAILED, see $log"; return 1; }
}

page() {
  echo "# Fuzzing"
  echo
  echo "Written by \`tools/fuzz.sh\` from the lines of fuzz.tsv, one for each run of a target. CPU seconds are measured (user time of the"
  echo "process, ASan and UBSan on). An hour for each of caddyfile, compose_load, dotenv, interpolation and units is the aim: where a sum is"
  echo "below 3,600 it has not been reached. A run marked clock was ended by the time limit of the wall clock on a machine with a load of"
  echo "forty; its input, run alone, took no measurable time."
  echo
  echo "| target | CPU seconds | inputs run | edges covered | runs that found something | last run |"
  echo "|---|---|---|---|---|---|"
  awk -F'\t' '{cpu[$3] += $4; runs[$3] += $5; if ($6 > edges[$3]) edges[$3] = $6; if ($7 == "FAILED") bad[$3]++; last[$3] = $1}
    END {for (name in cpu) printf "| %s | %d | %d | %d | %d | %s |\n", name, cpu[name], runs[name], edges[name], bad[name], last[name]}' "$ledger" | sort
  echo
  echo "Before CPU time was measured (2026-11-23, not in the sums): 1,200 s of wall time for each of caddyfile, compose_load, dotenv,"
  echo "interpolation and settings; units stopped at its first finding."
}

if [ "$seconds" = pack ]; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  for folder in "$home"/*/; do
    name=$(basename "$folder")
    mkdir "$scratch/$name"
    "$build/fuzz_$name" -merge=1 -max_len=4096 "$scratch/$name" "$folder" >/dev/null 2>&1
    tar -C "$scratch" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - "$name" | xz -9e >"$here/fuzz/corpus/$name.tar.xz"
  done
  exit 0
fi

status=0
if [ "$seconds" != 0 ]; then
  compiler=$(command -v clang++ || command -v clang++-14)
  [ -n "${DM_FUZZ_NO_BUILD:-}" ] || {
    cmake -S "$here" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER="$compiler" -DDM_TESTS=OFF \
      -DDM_SANITIZE=address,undefined,fuzzer-no-link >/dev/null
    # shellcheck disable=SC2046,SC2086
    cmake --build "$build" --target $(printf 'fuzz_%s ' $names) >&2
  }
  export -f one
  export here seconds build home ledger
  # shellcheck disable=SC2086
  printf '%s\n' $names | xargs -P "${DM_FUZZ_JOBS:-1}" -I{} bash -c 'one {}' || status=1
fi
page >"${ledger%.tsv}.md"
cat "${ledger%.tsv}.md"
exit "$status"
