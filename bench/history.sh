#!/usr/bin/env bash
# bench/history.sh [COMMITS [RUNS]]: CPU seconds, wall seconds and peak memory of `audit --history` over a made repository of COMMITS (5,000): the first look, one that
# has nothing new to read, and one after a commit; against gitleaks (GITLEAKS names it, or PATH has it: go install github.com/zricethezav/gitleaks/v8@latest) and
# against a search of `git log -p` by a pattern. DATAMANCY names the program (default: build/datamancy). Median of RUNS (3).
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
commits=${1:-5000} runs=${2:-3}
datamancy=$(realpath "${DATAMANCY:-$here/build/datamancy}")
gitleaks=${GITLEAKS:-$(command -v gitleaks || true)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DATAMANCY_STATE=$work/state HOME=$work GIT_CONFIG_NOSYSTEM=1
git init -q -b main "$work/r"
cd "$work/r"
"$here/bench/history_repository.py" "$commits" | git fast-import --quiet
git reset -q --hard
git repack -qad
printf '%s commits, %s versions of files, pack of %s kB\n' "$(git rev-list --count HEAD)" "$(git rev-list --objects --all | cut -d" " -f1 | git cat-file --batch-check='%(objecttype)' | grep -c blob)" \
  "$(du -k .git/objects/pack/*.pack | cut -f1)"

measure() { # NAME BEFORE COMMAND...: median of the CPU seconds, of the wall seconds; largest peak
  local name=$1 before=$2
  shift 2
  for _ in $(seq "$runs"); do
    eval "$before"
    "$here/bench/cpu.py" "$@"
  done | sort -n | awk -v name="$name" '{cpu[NR] = $1; wall[NR] = $3; if ($2 > peak) peak = $2} END {printf "%-44s %8.3f s CPU %8.3f s %8d kB\n", name, cpu[int((NR + 1) / 2)], wall[int((NR + 1) / 2)], peak}'
}

measure "datamancy audit" true "$datamancy" audit --json
measure "datamancy audit --history, first look" 'rm -rf "$DATAMANCY_STATE"' "$datamancy" audit --history --json
measure "datamancy audit --history, nothing new" true "$datamancy" audit --history --json
measure "datamancy audit --history, one commit more" 'date +%N >> service1/settings.yaml; git -c user.name=t -c user.email=t@example.org commit -qam more' "$datamancy" audit --history --json
[ -z "$gitleaks" ] || measure "gitleaks git" true "$gitleaks" git --no-banner --exit-code 0 --log-level error -r "$work/leaks.json" -f json .
measure "git log -p | grep" true bash -c "git log -p --all | grep -cE '^[+].*PASSWORD=[^ ]{8,}' || true"
printf 'secrets made: %s; found: datamancy %s' "$(((commits + 99) / 200))" "$("$datamancy" audit --history --json 2>/dev/null | grep -c '"rule": "DM0515"' || true)"
[ -z "$gitleaks" ] || printf ', gitleaks %s' "$(grep -c '"RuleID"' "$work/leaks.json" || true)"
printf '\n'
