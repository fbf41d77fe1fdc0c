#!/usr/bin/env bash
# bench/secrets.sh [BUILD [VALUES [ROUNDS]]]: opening one sealed dotenv file of VALUES values (500), against `sops -d` in the same run; and setting one of them.
# CPU time of whole processes, median of ROUNDS (21), by turns so that the machine's mood hits both. Needs sops on PATH.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
datamancy=$(realpath "${1:-$here/build}/datamancy")
values=${2:-500} rounds=${3:-21}
command -v sops >/dev/null || { echo "bench: sops is not on PATH" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work SOPS_DISABLE_VERSION_CHECK=1
unset XDG_CONFIG_HOME SOPS_AGE_KEY SOPS_AGE_KEY_FILE
cd "$work"
"$datamancy" secrets init --no-git >/dev/null
for ((i = 0; i < values; i++)); do printf 'V%d=%032d some more text\0' "$i" "$RANDOM"; done | "$datamancy" secrets set --null >/dev/null
[ "$("$datamancy" secrets open secrets.enc.env | sha256sum)" = "$(sops -d secrets.enc.env | sha256sum)" ]
python3 - "$datamancy" "$rounds" "$values" <<'PY'
import os, resource, statistics, subprocess, sys
datamancy, rounds, values = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def cpu(argv, **more):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


jobs = {
    f"datamancy secrets open, {values} values": ([datamancy, "secrets", "open", "secrets.enc.env"], {}),
    f"sops -d, {values} values": (["sops", "-d", "secrets.enc.env"], {}),
    "datamancy secrets set, one of them": ([datamancy, "secrets", "set", "V7"], {}),
    "sops set, one of them": (["sops", "set", "secrets.enc.env", '["V7"]', '"new"'], {}),
}
times = {name: [] for name in jobs}
for i in range(rounds):
    for name, (argv, more) in jobs.items():
        if "datamancy secrets set" in name:
            more = {"input": f"value {i}".encode()}
        times[name].append(cpu(argv, **more))
medians = {name: statistics.median(t) for name, t in times.items()}
for name, t in medians.items():
    print(f"{name:45} {t:7.1f} ms CPU")
a, b, c, d = medians.values()
print(f"open: {b / a:.1f} times cheaper than sops; set: {d / c:.1f} times")
PY
