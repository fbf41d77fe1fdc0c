#!/usr/bin/env python3
"""stack_budgets.py ROOT DATAMANCY [--check]: writes stack/budgets.yaml from the limits and reservations of the fragments.

With --check it writes nothing and exits 1 where the file does not follow from the fragments.
"""
import json
import pathlib
import subprocess
import sys

root, program = pathlib.Path(sys.argv[1]), sys.argv[2]
model = json.loads(subprocess.run([program, "--profile", "*", "config", "--format", "json"], cwd=root / "stack", capture_output=True, text=True, check=True).stdout)

SYSTEM = 2048  # MB for the system, the engine and the file cache
COMBINATIONS = [
    "bootstrap", "infrastructure", "databases", "infrastructure,databases", "bootstrap,bootstrap_vector_dbs", "applications",
    "infrastructure,databases,applications", "infrastructure,databases,applications,gpu",
]


def megabytes(text):
    return int(text) // (1 << 20)


services = {}
for name, service in sorted(model["services"].items()):
    resources = service["deploy"]["resources"]
    services[name] = (megabytes(resources["limits"]["memory"]), megabytes(resources["reservations"]["memory"]), float(resources["limits"]["cpus"]), service.get("profiles", []))


def sums(combination):
    wanted = set(combination.split(","))
    chosen = [s for s in services.values() if wanted & set(s[3])]
    return len(chosen), sum(s[0] for s in chosen), sum(s[1] for s in chosen), sum(s[2] for s in chosen)


def verdict(size, limits, reserved):
    room = size * 1024 - SYSTEM
    if reserved > room:
        return "too_small"
    return "fits" if limits <= room else "over_committed"


out = ["# Memory by service and by host size, in MB, from the limits and reservations of the fragments (tools/stack_budgets.py; a test compares).",
       "# fits: all limits together fit beside 2 GB for the system. over_committed: the reservations fit, the limits together do not: fine while",
       "# not all are at their limit at once; the engine kills whoever passes his own. too_small: not even the reservations fit.",
       f"system_mb: {SYSTEM}", "combinations:"]
for combination in COMBINATIONS:
    count, limits, reserved, cpus = sums(combination)
    verdicts = ", ".join(f'"{size}": {verdict(size, limits, reserved)}' for size in (16, 32, 64, 128))
    out.append(f'  - {{profiles: "{combination}", services: {count}, limits_mb: {limits}, reserved_mb: {reserved}, cpus: {cpus:g}, hosts: {{{verdicts}}}}}')
out += ["hosts:"]
for size in (16, 32, 64, 128):
    # More than twice the room in limits is asking for trouble on a day when several are busy.
    best = [c for c in COMBINATIONS if verdict(size, *sums(c)[1:3]) != "too_small" and sums(c)[1] <= 2 * (size * 1024 - SYSTEM) and "gpu" not in c]
    most = max(best, key=lambda c: sums(c)[0]) if best else "bootstrap"
    _, limits, reserved, _ = sums(most)
    out.append(f'  "{size}": {{profiles: "{most}", limits_mb: {limits}, reserved_mb: {reserved}, over_commit: {limits / (size * 1024 - SYSTEM):.2f}}}')
out.append("services:")
for name, (limit, reserved, cpus, profiles) in services.items():
    out.append(f"  {name}: {{limit_mb: {limit}, reserved_mb: {reserved}, cpus: {cpus:g}, profiles: [{', '.join(sorted(profiles))}]}}")
text = "\n".join(out) + "\n"
target = root / "stack" / "budgets.yaml"
if "--check" in sys.argv:
    sys.exit(0 if target.exists() and target.read_text() == text else 1)
target.write_text(text)
