#!/usr/bin/env python3
"""trace_test.py DATAMANCY: every command of `secrets` under strace; no file, argv or output that is not asked for holds the plaintext or the key.

What may see it: standard output of get, open, escrow print; the editor's file on tmpfs; files of `deliver` on tmpfs; memory files. Everything else that is
written, and each argv and path, is searched for the values. A leak that is planted must be seen. What needs an engine (up, plan, restart, rollback, rotate,
backup run) is traced in tests/lab/secrets_up_test.py and secrets_test.py. Skips (77) without strace.
"""
import os, pty, re, select, signal, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import World, equal
from tracing import Trace, can_trace

w = World(sys.argv[1], need=("strace", "git"))
if not can_trace():
    print("skipped: strace may not trace here")
    sys.exit(77)
values = [b"Zebra7Quantum9Plaintext", b"Yonder4Marble2Plaintext", b"Xylo8Copper1Plaintext", b"Walrus3Indigo5Plaintext"]
covered, memory = set(), 0
keys = os.path.join(w.home, ".config/sops/age/keys.txt")


def key():
    return [line for line in open(keys, "rb").read().split(b"\n") if line.startswith(b"AGE-SECRET-KEY-")] if os.path.exists(keys) else []


def on_terminal(argv, env, answers):
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(w.folder)
        os.execvpe(argv[0], argv, env)
    said, waiting, seen = b"", list(answers), 0
    while select.select([master], [], [], 60)[0]:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        said += piece
        if waiting and said[seen:].rstrip().endswith((b":", b"]", b"?")):
            seen = len(said)
            os.write(master, waiting.pop(0) + b"\n")
    else:
        os.kill(pid, signal.SIGKILL)  # it waits for an answer that nobody has
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def traced(*words, input=b"", allowed_out=False, status=0, env=None, typed=None, argv=None):
    global memory
    if words and words[0] == "secrets":
        covered.add(words[1])
    trace = Trace()
    secret = values + key()
    try:
        command = trace.argv(argv or [w.binary, *words])
        if typed is None:
            done = w.run(command, input=input, status=status, env=env)
            said = done.stdout + done.stderr
        else:
            code, said = on_terminal(command, {**w.env, **(env or {})}, typed)
            equal((code, said if code != status else b""), (status, b""))
        if not allowed_out:
            equal([value for value in secret if value in said], [])
        # The key file is written once, with the key in it.
        found = [leak for leak in trace.leaks(secret, pipes=allowed_out) if "/sops/age/keys.txt" not in leak]
        if found:
            raise AssertionError(f"{words or argv}: {found[0]} holds a value")
        memory += trace.seen
    finally:
        trace.close()
    for folder in (w.folder, w.home):  # and nothing that lies on a disk afterwards
        for at, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(at, name)
                with open(path, "rb") as file:
                    content = file.read()
                equal((path, [value for value in secret if value in content and path != keys]), (path, []))
    return said


w.run(["git", "init", "-q", "."])
w.check("init", lambda: traced("secrets", "init"))
w.check("set from stdin", lambda: traced("secrets", "set", "PG_PASSWORD", input=values[0]))
w.check("set at a prompt", lambda: traced("secrets", "set", "TYPED_PASSWORD", typed=[values[3], values[3]]))
w.check("set many", lambda: traced("secrets", "set", "--null", input=b"B_TOKEN=" + values[1] + b"\0C_SECRET=" + values[2] + b"\0"))
w.check("a value in argv is refused", lambda: equal(w.dm("set", "D=e", status=64).returncode, 64))
w.check("get", lambda: traced("secrets", "get", "PG_PASSWORD", allowed_out=True))
w.check("list", lambda: traced("secrets", "list"))
w.check("open", lambda: traced("secrets", "open", "secrets.enc.env", allowed_out=True))


def open_to_memory():
    path = f"/dev/shm/dm-trace-{os.getpid()}.open"
    try:
        traced("secrets", "open", "secrets.enc.env", "-o", path)
    finally:
        os.remove(path)


w.check("open -o", open_to_memory)
w.check("exec", lambda: traced("secrets", "exec", "--", "true"))
w.check("edit", lambda: traced("secrets", "edit", env={"EDITOR": "sed -i s/nothing/nothing/"}))
w.check("edit that changes a value", lambda: traced("secrets", "edit", env={"EDITOR": "sed -i s/Walrus3/Walrus3/;s/^TYPED_PASSWORD/RENAMED_PASSWORD/"}))
w.check("edit that is refused", lambda: traced("secrets", "edit", env={"EDITOR": "sed -i s/^B_TOKEN=/B_TOKEN/"}, status=2))
w.check("remove", lambda: traced("secrets", "remove", "RENAMED_PASSWORD", "--yes"))
w.check("seal", lambda: traced("secrets", "seal", "-", "-o", "whole.enc", input=values[0] + b"\n"))
w.check("seal as yaml", lambda: traced("secrets", "seal", "-", "-o", "x.enc.yaml", "--type", "yaml", input=b"password: " + values[1] + b"\n"))
w.check("seal that is refused", lambda: traced("secrets", "seal", "-", "-o", "y.enc.env", "--type", "dotenv", input=b"export A=" + values[1] + b"\n", status=2))
w.check("recipients", lambda: traced("secrets", "recipients"))


def recipients():
    other = w.run([w.binary, "secrets", "init", "--no-git"], env={"HOME": w.temporary.name}, cwd=w.temporary.name).stdout.decode()
    public = re.search(r"age1[0-9a-z]+", other)[0]
    traced("secrets", "recipients", "add", public, "--in", "secrets.enc.env")
    traced("secrets", "recipients", "remove", public, "--in", "secrets.enc.env")


w.check("recipients add and remove", recipients)
w.check("reseal", lambda: traced("secrets", "reseal", "secrets.enc.env"))
w.check("textconv", lambda: traced("secrets", "textconv", "secrets.enc.env"))


def merge():
    base = w.read("secrets.enc.env")
    for name in ("base", "ours", "theirs"):
        w.write(name + ".enc.env", base)
    w.dm("set", "PG_PASSWORD", "--in", "ours.enc.env", input=values[3])
    w.dm("set", "B_TOKEN", "--in", "theirs.enc.env", input=values[2])
    traced("secrets", "merge", "base.enc.env", "ours.enc.env", "theirs.enc.env", "secrets.enc.env")
    w.dm("set", "PG_PASSWORD", "--in", "theirs.enc.env", input=values[1])
    traced("secrets", "merge", "base.enc.env", "ours.enc.env", "theirs.enc.env", "secrets.enc.env", status=None)  # both changed it
    for name in ("base", "ours", "theirs"):
        os.remove(os.path.join(w.folder, name + ".enc.env"))


w.check("merge, of different values and of a conflict", merge)
w.check("scan", lambda: traced("secrets", "scan", "--history", status=None))
w.check("doctor", lambda: traced("secrets", "doctor", status=None))
w.check("escrow print", lambda: traced("secrets", "escrow", "print", "--yes", allowed_out=True))
w.check("escrow save", lambda: traced("secrets", "escrow", "save", "backup.age", typed=[b"a long passphrase", b"a long passphrase"]))
w.check("escrow check", lambda: traced("secrets", "escrow", "check", "--from", "backup.age", typed=[b"a long passphrase"]))
w.check("escrow drill", lambda: traced("secrets", "escrow", "drill", "--from", "backup.age", "--place", "the safe", typed=[b"a long passphrase"]))
w.check("wrong key", lambda: traced("secrets", "get", "PG_PASSWORD", "--in", "secrets.enc.env", env={"HOME": "/nonexistent"}, status=11))
w.write("compose.yaml", "name: dmsecretstrace\nservices:\n  db: {image: postgres:17, environment: {POSTGRES_PASSWORD: '${PG_PASSWORD:?}', T: 'a${B_TOKEN}'}}\n  w: {image: x, ports: ['${C_SECRET}:80']}\n")
w.check("config with an error at a sealed value", lambda: traced("config", status=2))
os.makedirs(os.path.join(w.folder, "env"))
w.dm("seal", "-", "-o", "env/own.enc.env", "--type", "dotenv", input=b"OWN_TOKEN=" + values[3] + b"\nREF=x${PG_PASSWORD}\n")
w.write("compose.yaml", "name: dmsecretstrace\nservices:\n  db: {image: postgres:17, environment: {POSTGRES_PASSWORD: '${PG_PASSWORD:?}', T: 'a${B_TOKEN}'}, env_file: env/own.enc.env}\n")
w.check("config", lambda: traced("config"))
w.check("audit", lambda: traced("audit", status=None))
w.check("report", lambda: traced("report", status=None))
w.check("graph", lambda: traced("graph"))
w.check("deliver", lambda: traced("secrets", "deliver"))
w.check("deliver --override", lambda: traced("secrets", "deliver", "--override"))
w.check("deliver --withdraw", lambda: traced("secrets", "deliver", "--withdraw"))
w.check("rotate that is refused", lambda: traced("secrets", "rotate", "C_SECRET", "--yes", status=None, env={"DOCKER_HOST": "unix:///nonexistent"}))
if w.compose():
    w.check("compose", lambda: traced("secrets", "compose", "--", "config", "--quiet"))
else:
    covered.add("compose")


def migrate():
    path = os.path.join("/dev/shm", f"dm-trace-{os.getpid()}.env")  # the plain file that is there before
    with open(path, "wb") as file:
        file.write(b"NEW_PASSWORD=" + values[0] + b"\n")
    traced("secrets", "migrate", path, "-o", os.path.join(w.folder, "n.enc.env"), "--yes")
    equal(os.path.exists(path), False)


w.check("migrate", migrate)


def every_command():
    verbs = re.findall(r"^  ([a-z]+) ", w.run([w.binary, "secrets", "--help"]).stdout.decode(), re.M)
    equal((len(verbs) > 15, [verb for verb in verbs if verb not in covered]), (True, []))
    equal(memory > 5, True)  # the trace sees writes to memory, so it would see others


w.check("no command of secrets is left out", every_command)


def planted(*words, what, **more):
    try:
        traced(*words, **more)
    except AssertionError as error:
        equal((what in str(error), str(error)[:200] if what not in str(error) else ""), (True, ""))
        return
    raise AssertionError(f"a planted leak was not seen: {what}")


def leaks_are_seen():
    away = os.path.join(w.temporary.name, "away")
    open_ = w.tool("sh")
    planted("secrets", "edit", "secrets.enc.env", env={"EDITOR": os.path.join(w.temporary.name, "copies")}, what="away")
    planted("secrets", "exec", "--", open_, "-c", 'env true "$PG_PASSWORD"', what="argv")
    planted("secrets", "exec", "--", open_, "-c", f'printf %s "$PG_PASSWORD" >{away}', what="away")
    planted("secrets", "exec", "--", open_, "-c", f'mkdir -p "{away}-d/$PG_PASSWORD"', what="argv")
    planted("secrets", "exec", "--", open_, "-c", 'echo "$PG_PASSWORD" >&2', what="Plaintext")


with open(os.path.join(w.temporary.name, "copies"), "w") as file:
    file.write(f'#!/bin/sh\ncp "$1" {w.temporary.name}/away\n')
os.chmod(os.path.join(w.temporary.name, "copies"), 0o755)
w.check("leaks that are planted are seen: a copying editor, an argument, a file, a path, an output", leaks_are_seen)
w.end()
