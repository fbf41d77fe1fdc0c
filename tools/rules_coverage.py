#!/usr/bin/env python3
"""docs/rules-coverage.md from the rules' own `checks` fields: rules_coverage.py ROOT [--update]; without it, differences fail."""
import pathlib
import re
import sys

# Row of the table of checks: what it looks for; "-" and the reason where no rule judges it.
ROWS = {
    1: "privileged container", 2: "no-new-privileges missing", 3: ("security_opt absent", "2 and 14 to 16 say what matters in it"),
    4: "capabilities not dropped", 5: "capabilities that equal root", 6: "strong capabilities", 7: "PERFMON, SYS_TIME",
    8: "SYS_NICE, IPC_LOCK, LEASE", 9: "SYSLOG", 10: "SYS_PTRACE, DAC_READ_SEARCH", 11: "user: root written out",
    12: "no user given",
    13: ("writable root filesystem", "would break most databases and many applications; never asked for without knowledge of the image"),
    14: "seccomp off", 15: "AppArmor off", 16: "SELinux off", 17: "host network", 18: "host PID", 19: "host IPC", 20: "host UTS",
    21: "host user namespace", 22: "own cgroup parent", 23: ("procMount", "Kubernetes; Compose has no such key"),
    24: "engine socket mounted", 25: "sensitive host folders", 26: "host folders that equal root", 27: "raw devices",
    28: "shared mount propagation", 29: "tmpfs with exec, suid or dev", 30: ("quotes around volumes", "style; changes nothing"),
    31: "ports on all interfaces (datastores, administration, beside the proxy)",
    32: ("ports below 1024", "an edge must have 80 and 443; what should not be open is row 31's"), 33: ("hostPort", "Kubernetes"),
    34: "one host port twice", 35: ("ports quoted and sorted", "Compose's YAML reads no base-60 numbers; order is style"),
    36: "everything on one network", 37: ("docker0 in use", "live"), 38: ("traffic on the default bridge", "daemon"),
    39: ("service without target", "Kubernetes; 105 and 107 for Compose"), 40: "latest or no tag", 41: "no digest",
    42: ("pull policy", "a pinned tag makes it idle; Compose has no such default"), 43: "build and image name collide",
    44: "image without HEALTHCHECK", 45: "image runs as root",
    46: ("content trust", "client setting of a retired service"), 47: "secrets and bases in Dockerfiles",
    48: ("running image is not the tag's", "live"), 49: "literal credentials, open databases", 50: "credentials in URLs",
    51: "env files with secrets in git", 52: ("configmap content", "Kubernetes; 136 for mounted files"), 53: "variable set twice",
    54: "memory limit", 55: "CPU limit", 56: ("requests", "reservations are a matter of sizing, not of right and wrong"), 57: "pids limit",
    58: ("ulimits", "by product; not a rule of its own"), 59: ("ephemeral storage", "Kubernetes"), 60: "restart policy by kind",
    61: ("replicas", "one machine"), 62: ("availability sets", "Kubernetes"), 63: ("CronJobs", "Kubernetes; 111 for one-shots"),
    64: ("priority class", "Kubernetes"), 65: ("rolling update", "Kubernetes"), 66: "healthcheck missing or off",
    67: ("liveness equals readiness", "Compose has one check"), 68: "logging switched off", 69: ("central logging", "control R57, not a rule"),
    70: ("log level of the daemon", "daemon"), 71: ("schema", "the loader's diagnostics; DM0100"), 72: ("version key", "Compose ignores it and says so"),
    73: "project name missing", 74: ("container names twice", "the loader refuses them; DM0202 for names on the network"),
    75: ("form of container names", "the schema's; DM0100"), 76: ("key order", "style"), 77: ("services sorted", "style"),
    78: ("depends_on sorted", "style"), 79: ("top-level order", "style"), 80: ("deprecated API", "Kubernetes"),
    81: "a file system of the engine's own", 82: "users of the docker group", 83: "auditd watches the engine", 84: "engine maintained",
    85: "rootless engine", 86: "firewall rules managed", 87: "registries without TLS", 88: "aufs", 89: "TLS on the network", 90: "user namespaces",
    91: "control group of the engine's own choice", 92: "base device size", 93: "authorization plugin", 94: "live-restore", 95: "userland proxy",
    96: "the engine's seccomp profile", 97: "experimental features", 98: "owners and modes of the engine's files", 99: "swarm",
    100: "SSH server in a container", 101: ("docker exec with more rights", "an engine tells the user and the privileges of an exec only while it runs; afterwards only an audit log of the host has them"),
    102: "open ports", 103: "unused images and containers",
    104: "profile and depends_on closure", 105: "reachability of what a service uses", 106: "DNS names that collide", 107: "hosts that do not resolve",
    108: "port that nobody listens on", 109: "healthcheck that tests nothing", 110: "healthcheck tool not in the image", 111: "healthcheck on a one-shot",
    112: "secret on a command line", 113: "health budget against the chain", 114: "start-up coupling", 115: "bind source missing or of the wrong type",
    116: "script not executable", 117: "files that a fresh clone lacks", 118: "variable defined nowhere", 119: "secret or path may be blank",
    120: "variable names that nearly match", 121: "server and client disagree on a credential", 122: "one secret for several roles",
    123: "secret that breaks a URL", 124: "data not on a volume, or at the wrong path", 125: "backup coverage, backup beside the data",
    126: "stop grace, signals", 127: "addresses and subnets", 128: "public resolver", 129: "log rotation", 130: "version skew",
    131: "installs at start", 132: "scope of a socket proxy", 133: "dead aliases, routes, declarations, orphans", 134: "secrets that nobody uses",
    135: "self-signed edge", 136: "example secrets, in variables and mounted files",
}

root = pathlib.Path(sys.argv[1])
by_check = {}
for path in sorted((root / "src/audit/rules").glob("*.cpp")):
    text = path.read_text()
    for rule in re.split(r'(?=\.id = "DM\d{4}")', text)[1:]:  # most files hold one, the table of the engine's settings many
        number = rule.split('"')[1]
        name = re.search(r'\.name = "([^"]+)"', rule)[1]
        for check in re.search(r'\.checks = "([^"]*)"', rule)[1].split():
            by_check.setdefault(check, []).append(f"{number} {name}")
by_check = {check: sorted(rules) for check, rules in by_check.items()}

lines = ["# Rules by row of the table of checks", "",
         "Made by `tools/rules_coverage.py --update` from the rules' own `checks` fields; a test keeps it true. Rows 81 to 103 look at the",
         "host and the daemon (`audit --live`), rows 104 to 136 are checked by no other tool that we know of.", "",
         "| row | looks for | rules |", "|---|---|---|"]
gaps = []
for row, entry in ROWS.items():
    title, reason = entry if isinstance(entry, tuple) else (entry, "")
    rules = ", ".join(by_check.get(str(row), []))
    if not rules and not reason:
        gaps.append(row)
    lines.append(f"| {row} | {title} | {rules or 'not judged: ' + (reason or 'GAP')} |")
lines += ["", "## Items of the origin", "", "| item | rules |", "|---|---|"]
for item in sorted((c for c in by_check if c.startswith("O")), key=lambda c: int(c[1:])):
    lines.append(f"| {item} | {', '.join(by_check[item])} |")
want = "\n".join(lines) + "\n"
target = root / "docs/rules-coverage.md"
if "--update" in sys.argv:
    target.write_text(want)
elif not target.exists() or target.read_text() != want:
    print("docs/rules-coverage.md is not what the rules say: tools/rules_coverage.py . --update")
    sys.exit(1)
if gaps:
    print("rows without rule or reason:", gaps)
    sys.exit(1)
print(f"{len(ROWS)} rows, {sum(1 for r in ROWS if str(r) in by_check)} judged by rules")
