#!/usr/bin/env python3
"""trace_test.py DATAMANCY: every command under strace; no file, argv or output that is not asked for holds the plaintext.

What may see it: standard output of get, open, exec; the editor's file on tmpfs; files of `deliver` on tmpfs; memory files. Everything else
that is written, and each argv, is searched for the values. Skips (77) without strace.
"""
import os, re, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import World, equal

w = World(sys.argv[1], need=("strace", "git"))
values = [b"Zebra7Quantum9Plaintext", b"Yonder4Marble2Plaintext", b"Xylo8Copper1Plaintext"]
trace = os.path.join(w.temporary.name, "trace")
if subprocess.run(["strace", "-o", trace, "true"], capture_output=True).returncode != 0:
    print("skipped: strace may not trace here")
    sys.exit(77)


def traced(*words, input=b"", allowed_out=False, status=0, env=None):
    for name in os.listdir(w.temporary.name):
        if name.startswith("trace"):
            os.remove(os.path.join(w.temporary.name, name))
    done = w.run(["strace", "-ff", "-qq", "-s", "1000000", "-xx", "-y", "-e", "trace=write,writev,pwrite64,execve,sendto,sendmsg", "-o", trace, w.binary, *words], input=input, status=status, env=env)
    if not allowed_out:
        for value in values:
            equal(value in done.stdout + done.stderr, False)
    needles = ["".join(f"\\x{b:02x}" for b in value) for value in values]
    for name in os.listdir(w.temporary.name):
        if not name.startswith("trace"):
            continue
        for line in open(os.path.join(w.temporary.name, name), errors="replace"):
            if not any(needle in line for needle in needles):
                continue
            call = line.split("(")[0]
            target = bytes.fromhex("".join(re.findall(r"\\x([0-9a-f]{2})", line.split("<", 1)[1].split(">", 1)[0]))).decode(errors="replace") if "<" in line else ""
            target = target or (re.search(r"^\w+\(\d+<([^>]*)>", line) or [None, ""])[1]
            fine = call != "execve" and ("memfd:" in target or target.startswith("/dev/shm/") or target.startswith("/run/datamancy") or target.startswith("pipe:") and allowed_out)
            if not fine:
                raise AssertionError(f"{call} to {target or '?'} holds a value, in {words}")
    # and nothing that lies on a disk afterwards
    for folder in (w.folder, w.home):
        for at, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(at, name), "rb") as file:
                    content = file.read()
                for value in values:
                    equal((os.path.join(at, name), value in content), (os.path.join(at, name), False))
    return done


w.run(["git", "init", "-q", "."])
w.check("init", lambda: traced("secrets", "init"))
w.check("set from stdin", lambda: traced("secrets", "set", "PG_PASSWORD", input=values[0]))
w.check("set many", lambda: traced("secrets", "set", "--null", input=b"B_TOKEN=" + values[1] + b"\0C_SECRET=" + values[2] + b"\0"))
w.check("get", lambda: traced("secrets", "get", "PG_PASSWORD", allowed_out=True))
w.check("list", lambda: traced("secrets", "list"))
w.check("open", lambda: traced("secrets", "open", "secrets.enc.env", allowed_out=True))
w.check("exec", lambda: traced("secrets", "exec", "--", "true"))
w.check("edit", lambda: traced("secrets", "edit", env={"EDITOR": "sed -i s/nothing/nothing/"}))
w.check("recipients", lambda: traced("secrets", "recipients"))
w.check("reseal", lambda: traced("secrets", "reseal", "secrets.enc.env"))
w.check("textconv", lambda: traced("secrets", "textconv", "secrets.enc.env"))
w.check("merge", lambda: traced("secrets", "merge", "secrets.enc.env", "secrets.enc.env", "secrets.enc.env"))
w.check("scan", lambda: traced("secrets", "scan"))
w.check("doctor", lambda: traced("secrets", "doctor", status=None))
w.check("wrong key", lambda: traced("secrets", "get", "PG_PASSWORD", env={"HOME": "/nonexistent"}, status=11))
w.write("compose.yaml", "name: dmsecretstrace\nservices:\n  db: {image: postgres:17, environment: {POSTGRES_PASSWORD: '${PG_PASSWORD:?}', T: 'a${B_TOKEN}'}}\n  w: {image: x, ports: ['${C_SECRET}:80']}\n")
w.check("config with an error at a sealed value", lambda: traced("config", status=2))
w.write("compose.yaml", "name: dmsecretstrace\nservices:\n  db: {image: postgres:17, environment: {POSTGRES_PASSWORD: '${PG_PASSWORD:?}', T: 'a${B_TOKEN}'}}\n")
w.check("config", lambda: traced("config"))
w.check("audit", lambda: traced("audit", status=None))
w.check("report", lambda: traced("report", status=None))
w.check("graph", lambda: traced("graph"))
w.check("deliver", lambda: traced("secrets", "deliver"))
w.check("deliver --withdraw", lambda: traced("secrets", "deliver", "--withdraw"))
if w.compose():
    w.check("compose", lambda: traced("secrets", "compose", "--", "config", "--quiet"))


def migrate():
    path = os.path.join("/dev/shm", f"dm-trace-{os.getpid()}.env")  # the plain file that is there before
    with open(path, "wb") as file:
        file.write(b"NEW_PASSWORD=" + values[0] + b"\n")
    traced("secrets", "migrate", path, "-o", os.path.join(w.folder, "n.enc.env"), "--yes")
    equal(os.path.exists(path), False)


w.check("migrate", migrate)
w.end()
