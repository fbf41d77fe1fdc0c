#!/usr/bin/env bash
# Time from nothing to all healthy: datamancy up against docker compose up -d --wait, against the critical path computed from the
# containers' own times, on the engine that answers. Also the no-op. usage: bench/up.sh DATAMANCY [SERVICES] [INTERVAL_S] [ROUNDS]
set -euo pipefail
binary=$(realpath "$1"); services=${2:-20}; interval=${3:-1}; rounds=${4:-3}
image=deploy-test/base:1
docker image inspect $image >/dev/null 2>&1 || { echo "no image $image: run tests/lab/deploy_test.py once" >&2; exit 77; }
dir=$(mktemp -d); export DATAMANCY_STATE=$dir/state
trap 'cd /; docker compose -p deploy-bench down -v -t 1 >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
cd "$dir"
python3 - "$services" "$interval" > compose.yaml <<'P'
import sys
count, interval = int(sys.argv[1]), sys.argv[2]
tiers = 5
print("name: deploy-bench\nservices:")
for i in range(count):
    tier = i * tiers // count
    below = [j for j in range(count) if j * tiers // count == tier - 1]
    print(f"""  s{i:02}:
    image: deploy-test/base:1
    command: [sh, -c, "sleep 0.2; touch /tmp/ok; exec sleep 3600"]
    init: true
    stop_grace_period: 1s
    labels: {{datamancy.test: deploy}}
    x-datamancy: {{early_readiness: true}}
    healthcheck: {{test: [CMD, test, -e, /tmp/ok], interval: {interval}s, timeout: 5s, retries: 10}}""")
    if below:
        print("    depends_on:")
        for j in below[:2]:
            print(f"      s{j:02}: {{condition: service_healthy}}")
P
now() { date +%s.%N; }
down() { docker compose -p deploy-bench down -v -t 1 >/dev/null 2>&1; }
ready() {  # seconds from $1 until the last container was healthy, by the containers' own health logs
  python3 - "$1" <<'P'
import json, subprocess, sys, datetime
def t(text):
    text = text.replace("Z", "+00:00")
    head, frac = text.split(".", 1)
    digits = "".join(c for c in frac if c.isdigit() or c in "+-:")
    zone = digits[max(digits.find("+"), digits.find("-")):] if ("+" in digits or "-" in digits) else "+00:00"
    return datetime.datetime.fromisoformat(head + "." + frac[:6].ljust(6, "0") + zone).timestamp()
ids = subprocess.run(["docker", "ps", "-aq", "--filter", "label=com.docker.compose.project=deploy-bench"], capture_output=True, text=True).stdout.split()
docs = json.loads(subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True).stdout)
by, created = {}, []
for d in docs:
    good = [e for e in d["State"]["Health"]["Log"] if e["ExitCode"] == 0]
    first = t(good[0]["End"]) if good else 0
    name = d["Config"]["Labels"]["com.docker.compose.service"]
    deps = [x.split(":")[0] for x in d["Config"]["Labels"].get("com.docker.compose.depends_on", "").split(",") if x]
    by[name] = (t(d["State"]["StartedAt"]), first, deps)
    created.append(t(d["Created"]))
begin = float(sys.argv[1])
# Critical path: creation, then the longest chain of each container's own start-to-healthy time.
own = {n: f - s for n, (s, f, _) in by.items()}
memo = {}
def chain(n):
    if n not in memo:
        memo[n] = own[n] + max([chain(x) for x in by[n][2] if x in by] or [0])
    return memo[n]
print(f"{max(f for _, f, _ in by.values()) - begin:.2f} {max(created) - begin:.2f} {max(chain(n) for n in by):.2f}")
P
}
printf '%-34s %8s %8s %8s %8s\n' "services=$services interval=${interval}s" verdict ready created chain
for round in $(seq "$rounds"); do
  for who in compose "datamancy" "datamancy --no-early-readiness"; do
    down; a=$(now)
    if [ "$who" = compose ]; then docker compose up -d --wait >/dev/null 2>&1
    else $binary up ${who#datamancy} --settle 0s --min-free 1g --no-preflight --progress quiet >/dev/null; fi
    b=$(now); printf '%-34s %8.2f %8s %8s %8s\n' "$who" "$(echo "$b - $a" | bc)" $(ready "$a")
  done
done
for who in compose datamancy; do
  best=99
  for round in 1 2 3 4 5; do
    a=$(now)
    if [ $who = compose ]; then docker compose up -d --wait >/dev/null 2>&1; else $binary up --min-free 1g --progress quiet >/dev/null; fi
    b=$(now); best=$(echo "t=$b-$a; if (t<$best) t else $best" | bc)
  done
  printf '%-34s %8.3f\n' "no-op $who (best of 5)" "$best"
done
