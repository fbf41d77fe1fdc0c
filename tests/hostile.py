#!/usr/bin/env python3
"""hostile.py BINARY: inputs that try to hurt, under a limit of memory; each must end with a clear error, none may crash or hang."""
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

binary = sys.argv[1]
GIB = 1 << 30


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (2 * GIB, 2 * GIB))


bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))
# name: (content or None, what the message must contain, exit status)
texts = {
    "nul": (b"services:\0", "NUL byte", 2),
    "latin1": (b"services: {a: {image: \xe9}}", "not valid UTF-8", 2),
    "truncated": (b"services: \xc3", "not valid UTF-8", 2),
    "deep": (b"[" * 200000, "deep", 2),
    "bomb": (bomb.encode(), "aliasing", 2),
    "self-alias": (b"a: &a [*a]\n", "anchor", 2),
    "include-cycle": (b"include: [include-cycle.yaml]\nservices: {a: {image: i}}\n", "cycle", 2),
    "extends-cycle": (b"services: {a: {image: i, extends: b}, b: {image: i, extends: a}}\n", "circular", 2),
    "large": (b"#" * (51 << 20), "too large", 2),
    "number": (b"12", "must be a mapping", 2),
    "empty": (b"", "empty", 2),
    "scalar": (b"services: {a: {image: " + b"x" * (5 << 20) + b"}}\n", "", 0),
    "lines": (b"services:\n  a:\n    image: i\n    labels:\n" + b"".join(b"      l%d: v\n" % i for i in range(1000000)), "", 0),
    "depends-cycle": (b"services: {a: {image: i, depends_on: [b]}, b: {image: i, depends_on: [a]}}\n", "cycle", 2),
}
faults = []
with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)

    def check(name, path, wanted, status):
        try:
            done = subprocess.run([binary, "-f", path, "config", "-q"], cwd=root, stdin=subprocess.DEVNULL, capture_output=True, preexec_fn=limit, timeout=60)
        except subprocess.TimeoutExpired:
            faults.append(f"{name}: hangs")
            return
        said = done.stderr.decode(errors="replace")
        if done.returncode != status or wanted not in said:
            faults.append(f"{name}: exit {done.returncode}, wanted {status} with '{wanted}'; said: {said[:300]}")

    for name, (content, wanted, status) in texts.items():
        (root / f"{name}.yaml").write_bytes(content)
        check(name, f"{name}.yaml", wanted, status)
    os.mkfifo(root / "fifo.yaml")
    check("fifo", "fifo.yaml", "not a regular file", 2)
    (root / "loop.yaml").symlink_to("loop.yaml")
    check("loop", "loop.yaml", "cannot open", 2)
    (root / "folder.yaml").mkdir()
    check("folder", "folder.yaml", "is a folder", 2)
print("\n".join(faults) or f"{len(texts) + 3} hostile inputs, all refused or read as they should be")
sys.exit(bool(faults))
