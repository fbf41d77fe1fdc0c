#!/usr/bin/env python3
"""sops_test.py DATAMANCY: round trips with the real `sops` and `age`, every store, both directions. Skips (77) where one is missing."""
import json, os, random, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import World, equal

w = World(sys.argv[1], need=("sops", "age", "age-keygen"))
w.dm("init")
keys = os.path.join(w.home, ".config/sops/age/keys.txt")
recipient = w.run(["age-keygen", "-y", keys]).stdout.decode().strip()
plain_config = ["--config", "/dev/null", "--age", recipient]


def sops(*words, **options):
    return w.run(["sops", *words], **options).stdout


def sealed_by_sops(name, content, kind):
    path = w.write("plain.tmp", content)
    sealed = sops(*plain_config, "--encrypt", "--input-type", kind, "--output-type", kind, path)
    os.remove(path)
    return w.write(name, sealed)


rng = random.Random(5)
alphabet = [bytes([c]) for c in range(0x20, 0x100) if c != 0x7f] + [b"\\", b"'", b'"', b"$", b"#", b" ", b"=", b"\\n"] * 6


def nasty(size):
    return b"".join(rng.choice(alphabet) for _ in range(size))


def text_of_many(count):
    return b"# a comment with $ and \\\n" + b"".join(b"V%d=%s\n" % (i, nasty(rng.randrange(0, 60))) for i in range(count))


def dotenv_ours_to_sops():
    text = b"# note\n" + b"".join(b"V%d=%s\n" % (i, b"".join(rng.choice(alphabet[:95]) for _ in range(rng.randrange(0, 40))).replace(b"'", b"").replace(b'"', b"").strip()) for i in range(300))
    w.write("many.env", text)
    w.dm("seal", "many.env")
    equal(sops("-d", "many.enc.env"), text)
    equal(w.dm("open", "many.enc.env").stdout, text)


w.check("dotenv: ours opens with sops", dotenv_ours_to_sops)


def dotenv_sops_to_ours():
    text = text_of_many(400)
    sealed_by_sops("theirs.enc.env", text, "dotenv")
    equal(w.dm("open", "theirs.enc.env").stdout, text)
    os.remove(os.path.join(w.folder, "theirs.enc.env"))
    os.remove(os.path.join(w.folder, "many.enc.env"))


w.check("dotenv: 400 random values of sops open with ours", dotenv_sops_to_ours)


def every_length():
    text = b"".join(b"L%d=%s\n" % (i, b"x" * i) for i in range(200))
    w.write("l.env", text)
    w.dm("seal", "l.env")
    equal(sops("-d", "l.enc.env"), text)
    os.remove(os.path.join(w.folder, "l.enc.env"))


w.check("dotenv: every length up to 199", every_length)


def edits_keep_both_happy():
    w.dm("set", "FIRST", input="one")
    w.dm("set", "SECOND", input="two $x 'y' \"z\" \\n\nline")
    before = w.read("secrets.enc.env").split(b"\n")
    w.dm("set", "FIRST", input="uno")
    after = w.read("secrets.enc.env").split(b"\n")
    changed = [a.split(b"=")[0] for a, b in zip(after, before) if a != b]
    equal(set(changed) - {b"FIRST", b"sops_mac", b"sops_lastmodified"}, set())
    sops("set", "secrets.enc.env", '["FIRST"]', '"eins"')
    equal(w.dm("get", "FIRST").stdout, b"eins")
    equal(w.dm("get", "SECOND").stdout, b"two $x 'y' \"z\" \\n\nline")
    equal(json.loads(sops("-d", "--output-type", "json", "secrets.enc.env"))["FIRST"], "eins")


w.check("dotenv: edits by turns, and a difference has only what changed", edits_keep_both_happy)


def binary():
    for size in (1, 100, 65536, 200001):
        content = bytes(rng.randrange(256) for _ in range(size))
        w.write("b.bin", content)
        w.dm("seal", "b.bin")
        equal(sops("-d", "--input-type", "binary", "--output-type", "binary", "b.bin.enc"), content)
        os.remove(os.path.join(w.folder, "b.bin.enc"))
        sealed_by_sops("t.bin.enc", content, "binary")
        equal(w.dm("open", "t.bin.enc").stdout, content)


w.check("binary, both directions", binary)

sample = {"db": {"password": "p<a>&s\u2028s\n\"q\"", "port": 5432, "ratio": 0.1, "big": 1e21, "on": True, "none": None, "empty": "", "neg": -3.50},
          "list": ["a", 1, {"x": "y"}, []], "plain_unencrypted": 12.5, "m": {"t_unencrypted": {"deep": "open"}}, "ü": "ß"}


def json_store():
    path = sealed_by_sops("s.enc.json", json.dumps(sample), "json")
    equal(json.loads(w.dm("open", path).stdout), sample)
    w.dm("set", "db.password", "--in", path, input="new one")
    w.dm("set", "list.x", "--in", path, input="<&>")
    got = json.loads(sops("-d", path))
    equal((got["db"]["password"], got["list"][2]["x"], got["db"]["port"]), ("new one", "<&>", 5432))


w.check("json: opened, values replaced, sops accepts the MAC", json_store)

yaml_text = '''# head
db:
    # about the password
    password: "p: #1"
    port: 5432
    ratio: 0.10
    on: true
    none: null
    octal: 017
    day: 2024-01-02
    stamp: 2024-01-02T03:04:05.500+02:00
list:
    # in a list
    - a
    - 1
    - x: y
      z: |
        several
        lines
empty: ""
plain_unencrypted: 1.50
flag_unencrypted: yes
when_unencrypted: 2024-01-02
int_unencrypted: 0x10
umlaut: "äöü € \\U0001F600"
---
second: document
'''


def yaml_store():
    path = sealed_by_sops("s.enc.yaml", yaml_text, "yaml")
    ours = w.dm("open", path).stdout
    w.write("ours.yaml", ours)
    again = sealed_by_sops("again.enc.yaml", ours, "yaml")
    equal(sops("-d", again).decode(), sops("-d", path).decode())
    w.dm("set", "db.password", "--in", path, input="new: #2")
    w.dm("set", "list.z", "--in", path, input="other\nlines\n")
    w.dm("set", "second", "--in", path, input="- changed")
    got = sops("-d", "--extract", '["db"]["password"]', path)
    equal(got, b"new: #2")
    equal(b"changed" in sops("-d", path), True)
    equal(w.dm("get", "list.z", "--in", path).stdout, b"other\nlines")


w.check("yaml: two documents, comments, types; values replaced, sops accepts the MAC", yaml_store)


def ini_store():
    path = sealed_by_sops("s.enc.ini", "; note\ntop = 1\n[db]\npassword = pa ss\nhost_unencrypted = h\n", "ini")
    out = w.dm("open", path).stdout
    equal(b"password" in out and b"pa ss" in out and b"sops" not in out, True)


w.check("ini is read", ini_store)


def rules():
    for option, text in (("--encrypted-regex", "PASS|TOKEN$"), ("--unencrypted-regex", "^HOST"), ("--encrypted-suffix", "_S"), ("--unencrypted-suffix", "_open")):
        for mac_only in ([], ["--mac-only-encrypted"]):
            content = b"# c\nDB_PASS=1\nHOST=2\nX_S=3\nY_open=4\n"
            path = w.write("r.env", content)
            w.write("r.enc.env", sops(*plain_config, option, text, *mac_only, "-e", path))
            equal(w.dm("open", "r.enc.env").stdout, content)
            w.dm("set", "DB_PASS" if "PASS" in text or "HOST" in text or "open" in text else "X_S", "--in", "r.enc.env", input="new")
            equal(b"new" in sops("-d", "r.enc.env"), True)


w.check("every rule, with and without mac_only_encrypted", rules)


def creation_rules():
    w.write(".sops.yaml", f"creation_rules:\n  - path_regex: ^conf/.*\\.env$\n    encrypted_regex: (PASSWORD|KEY)$\n    mac_only_encrypted: true\n    age: >-\n      {recipient}\n  - path_regex: nothing\n    age: [{recipient}]\n")
    os.makedirs(os.path.join(w.folder, "conf"), exist_ok=True)
    w.write("conf/a.env", "DB_PASSWORD=x\nHOST=h\n")
    w.dm("seal", "conf/a.env")
    sealed = w.read("conf/a.enc.env")
    equal((b"HOST=h" in sealed, b"DB_PASSWORD=ENC[" in sealed, b"sops_mac_only_encrypted=true" in sealed), (True, True, True))
    equal(sops("-d", "conf/a.enc.env"), b"DB_PASSWORD=x\nHOST=h\n")
    w.write("conf/b.env", "DB_PASSWORD=x\nMY_TOKEN=h\n")
    equal(b"MY_TOKEN" in w.dm("seal", "conf/b.env", status=2).stderr, True)  # a rule that would leave it in the clear
    w.write("c.env", "A=1\n")
    equal(b"no creation rule fits" in w.dm("seal", "c.env", status=2).stderr, True)
    os.remove(os.path.join(w.folder, ".sops.yaml"))


w.check(".sops.yaml: the first rule that fits; a rule that would leave secrets open is refused", creation_rules)


def recipients():
    other = os.path.join(w.home, "other.txt")
    w.run(["age-keygen", "-o", other])
    second = w.run(["age-keygen", "-y", other]).stdout.decode().strip()
    w.write("q.env", "A=1\n")
    w.dm("seal", "q.env")
    alone = {"HOME": "/nonexistent", "SOPS_AGE_KEY_FILE": other}
    w.dm("open", "q.enc.env", env=alone, status=11)
    w.dm("recipients", "add", second, "--in", "q.enc.env")
    equal(sops("-d", "q.enc.env", env=alone), b"A=1\n")
    sops("--config", "/dev/null", "rotate", "-i", "q.enc.env")
    equal(w.dm("open", "q.enc.env", env=alone).stdout, b"A=1\n")
    said = w.dm("recipients", "remove", second, "--in", "q.enc.env").stdout
    equal(b"reseal" in said and b" A" in said, True)
    before = w.read("q.enc.env")
    w.dm("reseal", "q.enc.env")
    equal(w.read("q.enc.env").split(b"\n")[0] == before.split(b"\n")[0], False)
    w.dm("open", "q.enc.env", env=alone, status=11)
    equal(sops("-d", "q.enc.env"), b"A=1\n")
    w.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(w.home, "sshkey")])
    public = " ".join(open(os.path.join(w.home, "sshkey.pub")).read().split()[:2])
    w.dm("recipients", "add", public, "--in", "q.enc.env")
    ssh = {"HOME": "/nonexistent", "SOPS_AGE_SSH_PRIVATE_KEY_FILE": os.path.join(w.home, "sshkey")}
    equal(sops("-d", "q.enc.env", env=ssh), b"A=1\n")
    equal(w.dm("open", "q.enc.env", env=ssh).stdout, b"A=1\n")
    w.dm("recipients", "add", public, "--in", "q.enc.env", env={"PATH": "/nonexistent"}, status=0)  # it is there already
    w.dm("recipients", "add", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", "--in", "q.enc.env", env={"PATH": "/nonexistent"}, status=10)


w.check("recipients added, removed, resealed; ssh recipients through age", recipients)


def age_both_ways():
    # The age program reads our data keys' files, and armored files of ours.
    sealed = w.read("secrets.enc.env").decode()
    enc = next(l for l in sealed.split("\n") if l.startswith("sops_age__list_0__map_enc=")).split("=", 1)[1].replace("\\n", "\n")
    equal(len(w.run(["age", "-d", "-i", keys], input=enc).stdout), 32)


w.check("age opens what we wrap", age_both_ways)
w.end()
