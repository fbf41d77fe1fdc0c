#!/usr/bin/env python3
"""files_test.py DATAMANCY: files sealed by the real SOPS code open as they must, damaged ones do not; exit codes. Needs no other program."""
import os, shutil, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import World, equal, files

w = World(sys.argv[1])
key = {"SOPS_AGE_KEY_FILE": os.path.join(files, "key.txt")}
nothing = {"PATH": "/nonexistent"}


def at(name):
    return os.path.join(files, name)


def text(name):
    with open(at(name), "rb") as file:
        return file.read()


def opens(name, plain, env=key):
    equal(w.dm("open", at(name), env=env).stdout, plain)


dotenv = b"\n".join(line for line in text("a.plain.env").split(b"\n") if line) + b"\n"  # SOPS drops empty lines
w.check("dotenv", lambda: opens("a.enc.env", dotenv))
w.check("dotenv with a rule and mac_only_encrypted", lambda: opens("a.maconly-encregex.enc.env", dotenv))
w.check("dotenv with an empty line added: the format does not protect these", lambda: w.dm("open", at("a.injected-empty.enc.env"), env=key))
w.check("binary", lambda: opens("b.enc.json", text("b.plain.bin")))
w.check("x25519 beside post-quantum", lambda: opens("a.x25519+pq.enc.env", dotenv))
w.check("the known answer", lambda: opens("vector.enc.env", b"# note\nDB_PASSWORD=p@ss word\nEMPTY=\nPEM=l1\\nl2\nHOST_unencrypted=db.local\n", {"SOPS_AGE_KEY_FILE": at("vector.key.txt")}))
w.check("ini", lambda: equal(b"k = v" in w.dm("open", at("i.enc.ini"), env=key).stdout, True))


def json_values():
    import json
    got = json.loads(w.dm("open", at("z.enc.json"), env=key).stdout)
    expected = json.loads(text("z.plain.json"))
    expected["big"] = got["big"]  # integers above 64 bits lose digits in SOPS itself
    equal(got, expected)
    equal(float(got["big"]), float(json.loads(text("z.plain.json"))["big"]))


w.check("json", json_values)


def yaml_values():
    got = w.dm("open", at("y.enc.yaml"), env=key).stdout.decode()
    for line in ["# head", "a: 1", "b: 1.5", "c: true", "d: null", 'e: "1"', "f: 2024-01-02T00:00:00Z", "    - x", "    - 2", "    - h: \"y\"", 'i: ""', "j: 1000", "k: 16", "q_unencrypted: plain"]:
        if line not in got and line.replace('"', "'") not in got:
            raise AssertionError(f"{line!r} is missing in\n{got}")
    if "sops" in got or "ENC[" in got:
        raise AssertionError(got)


w.check("yaml", yaml_values)


def refused(name, status, words, env=key):
    done = w.dm("open", at(name), env=env, status=status)
    if words not in done.stderr.decode() or done.stdout:
        raise AssertionError(done.stderr.decode())


w.check("renamed: exit 12", lambda: refused("bad.renamed.enc.env", 12, "does not open"))
w.check("deleted: exit 12", lambda: refused("bad.deleted.enc.env", 12, "MAC does not fit"))
w.check("another key: exit 11", lambda: refused("a.enc.env", 11, "no key fits", {"SOPS_AGE_KEY_FILE": at("vector.key.txt")}))
w.check("no key at all: exit 11", lambda: refused("a.enc.env", 11, "no key fits", {}))
w.check("no file: exit 13", lambda: equal(w.dm("get", "X", status=13).stdout, b""))
def post_quantum_alone():
    lines = text("a.x25519+pq.enc.env").split(b"\n")
    classic = next(l for l in lines if l.startswith(b"sops_age__list_") and b"=age1" in l and b"=age1pq1" not in l).split(b"__map_")[0]
    kept = [l for l in lines if not l.startswith(classic)]
    other = b"sops_age__list_1" if classic.endswith(b"0") else b"sops_age__list_0"
    path = w.write("pq.enc.env", b"\n".join(l.replace(other, b"sops_age__list_0") for l in kept))
    done = w.run([w.binary, "secrets", "open", path], env={"SOPS_AGE_KEY_FILE": at("pq.txt"), **nothing}, status=10)
    os.remove(path)
    equal(b"1.3 or later" in done.stderr, True)


w.check("post-quantum key without the age program: exit 10", post_quantum_alone)


def ssh_without_age():
    os.makedirs(os.path.join(w.home, ".ssh"), mode=0o700, exist_ok=True)
    shutil.copy(at("sk"), os.path.join(w.home, ".ssh", "id_ed25519"))
    os.chmod(os.path.join(w.home, ".ssh", "id_ed25519"), 0o600)
    done = w.dm("open", at("a.ssh.enc.env"), env=nothing, status=10)
    equal(b"apt-get install age" in done.stderr, True)
    if w.tool("age"):
        equal(w.dm("open", at("a.ssh.enc.env")).stdout, dotenv)
    os.remove(os.path.join(w.home, ".ssh", "id_ed25519"))


w.check("ssh key: exit 10 without age, opened with it", ssh_without_age)


def target_untouched():
    folder = "/dev/shm/dm-secrets-test-%d" % os.getpid()
    os.makedirs(folder)
    try:
        target = os.path.join(folder, "x")
        with open(target, "w") as file:
            file.write("before")
        w.dm("open", at("bad.deleted.enc.env"), "-o", target, env=key, status=12)
        equal(open(target).read(), "before")
        w.dm("open", at("a.enc.env"), "-o", target, env=key)
        equal(open(target, "rb").read(), dotenv)
        w.dm("open", at("a.enc.env"), "-o", os.path.join(w.folder, "onDisk"), env=key, status=2)
        equal(os.path.exists(os.path.join(w.folder, "onDisk")), False)
    finally:
        shutil.rmtree(folder)


w.check("a failed decryption leaves its target as it was; plain text goes to tmpfs only", target_untouched)


def init_is_safe():
    w.dm("init", env=nothing)
    path = os.path.join(w.home, ".config/sops/age/keys.txt")
    before = open(path).read()
    equal(os.stat(path).st_mode & 0o777, 0o600)
    w.dm("init", env=nothing)
    equal(open(path).read(), before)
    w.dm("set", "DB_PASSWORD", input="s3cret\n", env=nothing)
    equal(w.dm("get", "DB_PASSWORD", env=nothing).stdout, b"s3cret")
    equal(b"s3cret" in w.read("secrets.enc.env"), False)
    w.dm("set", "DB_PASSWORD=s3cret", status=64)
    w.dm("set", "DB_PASSWORD", "s3cret", status=64)
    os.rename(os.path.join(w.folder, "secrets.enc.env"), os.path.join(w.folder, ".env.enc"))
    equal(w.dm("get", "DB_PASSWORD", env=nothing).stdout, b"s3cret")  # by content
    os.remove(os.path.join(w.folder, ".env.enc"))


w.check("init, set and get need no other program; the key file is never overwritten; .env.enc is read", init_is_safe)


def passphrase_file():
    if not w.tool("age"):
        return
    import pty
    w.dm("set", "A", input="1")
    keys = os.path.join(w.home, ".config/sops/age/keys.txt")
    # age asks for its passphrase on the terminal, and so do we
    def on_terminal(argv, answers):
        pid, master = pty.fork()
        if pid == 0:
            os.chdir(w.folder)
            os.execve(argv[0], argv, w.env)
        import select
        said = b""
        while True:
            ready, _, _ = select.select([master], [], [], 60)
            if not ready:
                raise AssertionError(f"{argv} hangs: {said}")
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            if not piece:
                break
            said += piece
            if answers and said.rstrip().endswith(answers[0][0]):
                os.write(master, answers.pop(0)[1])
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said
    status, said = on_terminal([w.tool("age"), "-p", "-o", keys + ".age", keys], [(b":", b"pass word\n"), (b":", b"pass word\n")])
    equal(status, 0)
    os.rename(keys, keys + ".open")
    os.rename(keys + ".age", keys)
    try:
        status, said = on_terminal([w.binary, "secrets", "get", "A"], [(b":", b"pass word\n")])
        equal((status, said.strip().endswith(b"1"), b"pass word" in said), (0, True, False))
        status, said = on_terminal([w.binary, "secrets", "get", "A"], [(b":", b"wrong\n")])
        equal(status, 11)
    finally:
        os.rename(keys + ".open", keys)


w.check("a key file under a passphrase, made by age, is opened after asking on the terminal", passphrase_file)
w.end()
