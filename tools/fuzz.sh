#!/usr/bin/env bash
# tools/fuzz.sh [SECONDS [JOBS]]: builds the fuzz targets with clang and runs each for SECONDS (default 3600), JOBS at a time
# (default: one per processor). The table has the CPU time that each really got. Corpora grow under fuzz/corpus/TARGET;
# results are written to docs/proofs/fuzz.md.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:-3600}
jobs=${2:-$(nproc)}
build=$here/build-fuzz
compiler=$(command -v clang++ || command -v clang++-14)
cmake -S "$here" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER="$compiler" -DDM_TESTS=OFF \
  -DDM_SANITIZE=address,undefined,fuzzer-no-link >/dev/null
names=$(for f in "$here"/fuzz/*.cpp; do basename "$f" .cpp; done)
cmake --build "$build" --target $(printf 'fuzz_%s ' $names) >&2

one() {
  local name=$1
  mkdir -p "$here/fuzz/corpus/$name" "$build/logs"
  (cd "$build" && TIMEFORMAT='cpu: %U' && time "./fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
    "$here/fuzz/corpus/$name" >"logs/$name.log" 2>&1) 2>"$build/logs/$name.cpu" && echo "$name ok" || echo "$name FAILED, see $build/logs/$name.log"
}
export -f one
export here seconds build
results=$(printf '%s\n' $names | xargs -P "$jobs" -I{} bash -c 'one {}')
mkdir -p "$here/docs/proofs"
{
  echo "# Fuzzing"
  echo
  echo "Made by \`tools/fuzz.sh $seconds\` on $(date -u +%F) at commit $(git -C "$here" rev-parse --short HEAD)."
  echo
  echo "| target | result | CPU seconds | runs | coverage (edges) |"
  echo "|---|---|---|---|---|"
  for name in $names; do
    log=$build/logs/$name.log
    result=$(grep -m1 "^$name " <<<"$results" | cut -d' ' -f2 | tr -d ,)
    cpu=$(sed -n 's/^cpu: \([0-9]*\).*/\1/p' "$build/logs/$name.cpu")
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    edges=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 | cut -d' ' -f2)
    echo "| $name | ${result:-FAILED} | ${cpu:-0} | ${runs:-0} | ${edges:-0} |"
  done
} >"$here/docs/proofs/fuzz.md"
cat "$here/docs/proofs/fuzz.md"
! grep -q FAILED <<<"$results"
