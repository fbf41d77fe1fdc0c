#!/usr/bin/env python3
"""hostile.py BINARY: inputs that try to hurt, under limits of memory and of CPU time; each must end with a clear error or be read
as Compose reads it, none may crash or hang. A second of CPU for each, more only where the row says so."""
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

binary = sys.argv[1]
MIB = 1 << 20
NOBODY = 65534


def limit(seconds, mib, user=None):
    def set_limits():
        resource.setrlimit(resource.RLIMIT_AS, (mib * MIB, mib * MIB))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)

    return set_limits


bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
web = b"services: {a: {image: i%s}}\n"
# name: (content, what the message must contain, exit status[, seconds of CPU, MiB])
texts = {
    "nul": (b"services:\0", "NUL byte", 2),
    "utf16": ("services: {a: {image: i}}\n".encode("utf-16"), "", 2),
    "binary": (bytes(range(256)) * 400, "", 2),
    "latin1": (b"services: {a: {image: \xe9}}", "not valid UTF-8", 2),
    "truncated": (b"services: \xc3", "not valid UTF-8", 2),
    "overlong": (b"services: {a: {image: \xc0\xaf}}", "UTF-8", 2),
    "surrogate": (b"services: {a: {image: \xed\xa0\x80}}", "", 2),
    "control": (b"services: {a: {image: \x01}}", "", 2),
    "deep": (b"[" * 200000, "deep", 2),
    "deep-maps": (b"a: {" * 100000, "", 2),
    "deep-blocks": (b"".join(b" " * i + b"a:\n" for i in range(1500)), "deep", 2),
    "deep-sequence": (b"- " * 50000, "", 2),
    "bomb": (bomb.encode(), "aliasing", 2),
    "bomb-merge": (b"a: &a {x: 1}\n" + b"".join(b"%s: &%s {<<: [%s], y%d: 1}\n" % (n, n, b", ".join([b"*" + p] * 50), i) for i, (p, n) in
                   enumerate(zip(b"a b c d e f".split(), b"b c d e f g".split()))) + b"services: {s: {image: i, labels: {<<: *g}}}\n", "", 2),
    "bomb-quadratic": (b"a: &a [" + b"x, " * 20000 + b"]\nb: [" + b"*a, " * 2000 + b"]\n", "aliasing", 2, 2, 1024),
    "self-alias": (b"a: &a [*a]\n", "anchor", 2),
    "include-cycle": (b"include: [include-cycle.yaml]\nservices: {a: {image: i}}\n", "cycle", 2),
    "extends-cycle": (b"services: {a: {image: i, extends: b}, b: {image: i, extends: a}}\n", "circular", 2),
    "extends-long": (b"services:\n  s0: {image: i}\n" + b"".join(b"  s%d: {extends: s%d}\n" % (i, i - 1) for i in range(1, 3000)), "", 0, 5, 1024),
    "extends-deep": (b"services:\n" + b"".join(b"  s%d: {extends: s%d}\n" % (i, i + 1) for i in range(25000)) + b"  s25000: {image: i}\n", "more than 1000", 2, 10, 1024),
    "extends-wide": (b"services:\n  s0: {image: i}\n" + b"".join(b"  s%d: {extends: s%d}\n" % (i, i - 1) for i in range(1, 30000)), "", 0, 5, 1024),
    "include-many": (b"include: [" + b"nope.yaml, " * 3000 + b"]\n", "cannot open", 2),
    "large": (b"#" * (51 << 20), "too large", 2),
    "number": (b"12", "must be a mapping", 2),
    "empty": (b"", "empty", 2),
    "blank": (b"\n" * 100000, "empty", 2),
    "scalar": (b"services: {a: {image: " + b"x" * (5 << 20) + b"}}\n", "", 0),
    "long-line": (b"services: {a: {image: i, command: [" + b"a, " * 300000 + b"]}}\n", "", 0, 3, 1024),
    "long-key": (b"services: {a: {image: i, labels: {" + b"k" * 1000000 + b": v}}}\n", "", 2),
    "huge-name": (b"name: " + b"n" * 1000000 + web % b"", "", 2),
    "lines": (b"services:\n  a:\n    image: i\n    labels:\n" + b"".join(b"      l%d: v\n" % i for i in range(1000000)), "", 0, 20, 1024),
    "services": (b"services:\n" + b"".join(b"  s%d: {image: i}\n" % i for i in range(20000)), "", 0, 5, 512),
    "unset": (b"services: {a: {image: i, environment: [" + b"".join(b"'V%d=${U%d}', " % (i, i) for i in range(300000)) + b"]}}\n", "1000 variables are not set", 0, 10, 640),
    "nested-variables": (web % (b", hostname: '" + b"${A:-" * 5000 + b"}" * 5000 + b"'"), "nested too deeply", 2),
    "open-variables": (web % (b", hostname: '" + b"${A:-" * 100000 + b"'"), "", 2),
    "dollars": (web % (b", hostname: '" + b"$" * 1000000 + b"'"), "", 0),
    "ports": (web % b", ports: ['1-65535:1-65535']", "", 0, 3, 512),
    "ports-many": (web % (b", ports: [" + b"'1-65535:1-65535/tcp', " * 40 + b"]"), "", 0, 10, 1024),
    "huge-numbers": (web % (b", mem_limit: " + b"9" * 100000), "", 2),
    "huge-duration": (web % (b", stop_grace_period: " + b"9" * 100000 + b"h"), "not a duration", 2),
    "quotes": (web % (b", command: '" + b'"' * 99999 + b"'"), "", 2),
    "depends-cycle": (b"services: {a: {image: i, depends_on: [b]}, b: {image: i, depends_on: [a]}}\n", "cycle", 2),
    "depends-long": (b"services:\n  s0: {image: i}\n" + b"".join(b"  s%d: {image: i, depends_on: [s%d]}\n" % (i, i - 1) for i in range(1, 20000)), "", 0, 5, 512),
    "env-file-device": (web % b", env_file: /dev/zero", "not a regular file", 2),
    "env-file-folder": (web % b", env_file: .", "is a folder", 2),
    "env-file-fifo": (web % b", env_file: fifo.yaml", "not a regular file", 2),
    "env-file-huge": (web % b", env_file: large.yaml", "", 0),
    "label-file-device": (web % b", label_file: /dev/urandom", "not a regular file", 2),
    "include-device": (b"include: [/dev/zero]\n", "not a regular file", 2),
    "extends-device": (web % b", extends: {file: /dev/zero, service: a}", "not a regular file", 2),
    "include-env-device": (b"include: [{path: scalar.yaml, env_file: /dev/zero}]\n", "not a regular file", 2),
    "many-errors": (b"services: {a: {image: i}}\n" + b"".join(b"x%d: 1\n" % i for i in range(50000)), "unknown key", 2, 3, 512),
}
faults = []
with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    everyones = root / "program"  # nobody may not look into a clone below /root

    def run(name, arguments, wanted, status, seconds=1, mib=512, user=None):
        # The limit counts CPU time; on a busy machine the clock may run much longer.
        try:
            program = binary
            if user is not None:
                program = shutil.copy(binary, everyones)
            done = subprocess.run([program, *arguments, "config", "-q"], cwd=root, stdin=subprocess.DEVNULL, capture_output=True,
                                  preexec_fn=limit(seconds, mib, user), timeout=300)
        except subprocess.TimeoutExpired:
            faults.append(f"{name}: hangs")
            return
        said = done.stderr.decode(errors="replace")
        if done.returncode != status or wanted not in said:
            faults.append(f"{name}: exit {done.returncode}, wanted {status} with '{wanted}'; said: {said[:300]}")
        elif status != 0 and not said.strip():
            faults.append(f"{name}: fails without a word")
        elif len(said) > 20 * MIB:
            faults.append(f"{name}: {len(said)} bytes of messages")

    def survives(name, verb, seconds=1, mib=512):
        """Whatever the verdict: an answer in bounded time and memory."""
        try:
            done = subprocess.run([binary, "-f", f"{name}.yaml", verb], cwd=root, stdin=subprocess.DEVNULL, capture_output=True,
                                  preexec_fn=limit(seconds * 2 + 2, mib * 2, None), timeout=300)
        except subprocess.TimeoutExpired:
            faults.append(f"{name}: {verb} hangs")
            return
        if done.returncode not in (0, 1, 2) or not (done.stdout or done.stderr or done.returncode == 0):
            faults.append(f"{name}: {verb} exit {done.returncode}; said: {done.stderr.decode(errors='replace')[:300]}")

    for name, (content, *_) in texts.items():
        (root / f"{name}.yaml").write_bytes(content)
    os.mkfifo(root / "fifo.yaml")
    (root / "loop.yaml").symlink_to("loop.yaml")
    (root / "ring-a").symlink_to("ring-b")
    (root / "ring-b").symlink_to("ring-a")
    (root / "folder.yaml").mkdir()
    (root / "secret.yaml").write_text("services: {a: {image: i}}\n")
    (root / "secret.yaml").chmod(0)
    (root / "uses-secret.yaml").write_text("services: {a: {image: i, env_file: secret.yaml}}\n")
    (root / "many-envs").mkdir()
    root.chmod(0o755)
    count = len(texts)
    for name, (_, wanted, status, *limits) in texts.items():
        run(name, ["-f", f"{name}.yaml"], wanted, status, *limits)
        for verb in ("audit", "report", "graph"):
            survives(name, verb, *limits[:2])
    # name: (arguments, message, status, seconds, MiB)
    for name, (arguments, wanted, status, *limits) in {
        "fifo": (["-f", "fifo.yaml"], "not a regular file", 2),
        "loop": (["-f", "loop.yaml"], "cannot open", 2),
        "ring": (["-f", "ring-a/compose.yaml"], "cannot open", 2),
        "folder": (["-f", "folder.yaml"], "is a folder", 2),
        "missing": (["-f", "nowhere/compose.yaml"], "cannot open", 2),
        "device": (["-f", "/dev/zero"], "not a regular file", 2),
        "env device": (["-f", "secret-free.yaml", "--env-file", "/dev/zero"], "not a regular file", 2),
        "long name": (["-f", "x" * 5000], "cannot open", 2),
        "many files": (["-f", "services.yaml"] + ["-f", "depends-cycle.yaml"] * 500, "cycle", 2, 10, 1024),
        "many env files": (["-f", "secret-free.yaml"] + ["--env-file", "plain.env"] * 3000, "", 0, 3),
        "closed stdin": (["-f", "-"], "empty", 2),
    }.items():
        (root / "secret-free.yaml").write_text("services: {a: {image: i}}\n")
        (root / "plain.env").write_text("A=1\nB=$A\n")
        run(name, arguments, wanted, status, *limits)
        count += 1
    if os.getuid() == 0:  # root may read everything: only somebody else meets a file that cannot be read
        os.chmod(folder, 0o755)
        run("unreadable", ["-f", "secret.yaml"], "ermission denied", 2, user=NOBODY)
        run("unreadable env file", ["-f", "uses-secret.yaml"], "ermission denied", 2, user=NOBODY)
    else:
        run("unreadable", ["-f", "secret.yaml"], "ermission denied", 2)
        run("unreadable env file", ["-f", "uses-secret.yaml"], "ermission denied", 2)
    count += 2
print("\n".join(faults) or f"{count} hostile inputs, all refused or read as they should be")
sys.exit(bool(faults))
