#!/usr/bin/env bash
# ./test --lab [--version current] [--namespace]: the tests labelled `lab`, on a real engine with the lab's images; the result
# goes to docs/proofs/lab.md. The options are those of `lab/lab engine`. --long: the long proofs of backups instead, to
# docs/proofs/backup-long.md.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/tools/setup.sh"
dm_packages
dm_build "$here"
dm_build "$here" engine_probe
long=${1:-}
[ "$long" != --long ] || shift
before=$("$here/lab/lab" engine --ours)
"$here/lab/lab" engine "$@"
if [ "$before" = no ] && [ "$("$here/lab/lab" engine --ours)" = yes ]; then
  trap '"$here/lab/lab" engine stop' EXIT
fi
eval "$("$here/lab/lab" env)"
"$here/lab/lab" images
# The programs that tests find on PATH where the machine has none.
PATH=$PATH:$DATAMANCY_LAB/bin

[ "$long" != --long ] || { "$here/lab/lab" exec "$here/tests/lab/backup_long.py" "$here/build/datamancy"; exit; }

log=$here/build/lab-tests.log status=0
started=$(date +%s)
"$here/lab/lab" exec ctest --test-dir "$here/build" -L lab --output-on-failure 2>&1 | tee "$log" || status=$?
commit=$(git -C "$here" rev-parse --short HEAD)$(git -C "$here" diff --quiet HEAD -- || echo ' with changes')
engine=$("$here/lab/lab" engine --show)
python3 "$here/tools/lab_proof.py" "$here/docs/proofs/lab.md" "$log" "$engine" "$commit" "$(($(date +%s) - started))"
exit "$status"
