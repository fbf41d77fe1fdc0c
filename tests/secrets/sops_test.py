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


def edited(path, change):
    """`secrets edit` whose editor is a function of the text; what came of it in the file: the lines that are new."""
    w.write("editor.py", "import sys\n" + change)
    w.write("editor", '#!/bin/sh\nexec python3 "%s/editor.py" "$1"\n' % w.folder)
    os.chmod(os.path.join(w.folder, "editor"), 0o755)
    before = w.read(path).decode().split("\n")
    w.dm("edit", path, env={"EDITOR": os.path.join(w.folder, "editor")})
    return new_lines(before, w.read(path).decode().split("\n"))


def new_lines(before, after):
    """What stands before the sealed text of each line that is new; the time, which may be the same second's, is none."""
    return [line.split("ENC[")[0].strip() for line in after if line not in before and "lastmodified" not in line]


def replacing(*pairs):
    return "p = sys.argv[1]\ns = open(p).read()\nfor a, b in %r:\n    assert s.count(a) == 1, (a, s)\n    s = s.replace(a, b)\nopen(p, 'w').write(s)\n" % (pairs,)


def same_to_sops(path, plain, kind):
    """What `sops` reads from our file is what it reads from its own of the same text, to the byte."""
    equal(sops("-d", path).decode(), sops("-d", sealed_by_sops("theirs.enc." + kind, plain, kind)).decode())


def yaml_edit():
    path = sealed_by_sops("e.enc.yaml", yaml_text, "yaml")
    equal(edited(path, replacing(("port: 5432", "port: 5433"))), ["port:", "mac:", "mac:"])  # the metadata of both documents
    lines = edited(path, replacing(("port: 5433", "port: 5433\n    added: |\n        one\n        two\n    flow: [a, {b: 'c d', e: 1.5}] # beside it"), ("# in a list", "# in a list, changed"), ("second: document", "second: document\n# at the end")))
    equal([l for l in lines if l != "mac:"], ["added:", "flow: [\"", "-", "#"])
    equal(w.dm("get", "db.added", "--in", path).stdout, b"one\ntwo\n")
    text = w.dm("open", path).stdout.decode()
    for line in ("# about the password", "# in a list, changed", "# beside it", "# at the end", "# head"):
        equal((line, line in text), (line, True))
    same_to_sops(path, text, "yaml")
    before = w.read(path)
    for bad in ("a: &x 1", "b: *x", "c: !!int '3'", "second: again", "5: number", "sops: mine", "x: [1", "big: 9999999999999999999"):
        w.write("editor.py", "open(__import__('sys').argv[1], 'a').write(%r)\n" % ("\n" + bad + "\n"))
        w.dm("edit", path, env={"EDITOR": os.path.join(w.folder, "editor")}, status=2)
    equal(w.read(path), before)
    # Values that the rule leaves open, set where they stand: in a block, and in [...].
    edited(path, replacing(("second: document", "second: document\nopen_unencrypted:\n    block: |\n        x\n        y\n    list: [a, b]")))
    w.dm("set", "open_unencrypted.block", "--in", path, input="one line")
    w.dm("set", "open_unencrypted.list", "--in", path, input="c, d: e")
    same_to_sops(path, w.dm("open", path).stdout.decode(), "yaml")
    equal((w.dm("get", "open_unencrypted.block", "--in", path).stdout, w.dm("get", "open_unencrypted.list", "--in", path).stdout), (b"one line", b"c, d: e"))
    w.dm("remove", "db.port", "--in", path, "--yes")
    w.dm("remove", "list", "--in", path, "--yes", status=2)  # elements
    equal(b"port" in sops("-d", path), False)
    w.dm("reseal", path)
    same_to_sops(path, w.dm("open", path).stdout.decode(), "yaml")


w.check("yaml: edited as a whole, small differences, comments kept, what SOPS would read otherwise refused", yaml_edit)


def yaml_sealed_by_us():
    text = yaml_text + "# last\n"
    w.write("own.yaml", text)
    w.dm("seal", "own.yaml", "--type", "yaml")
    equal(b"plain_unencrypted: 1.50" in w.read("own.enc.yaml") and b"about the password" not in w.read("own.enc.yaml"), True)
    same_to_sops("own.enc.yaml", text, "yaml")


w.check("yaml: sealed by us, read by sops", yaml_sealed_by_us)


def json_edit():
    path = sealed_by_sops("e.enc.json", json.dumps(sample), "json")
    lines = edited(path, replacing(('"port": 5432', '"port": 5433')))
    equal([l.split(":")[0] for l in lines], ['"port"', '"mac"'])
    lines = edited(path, replacing(('"port": 5433', '"port": 5433,\n\t\t"added": ["x", {"y": true}]')))
    equal(json.loads(sops("-d", path))["db"]["added"], ["x", {"y": True}])
    w.dm("remove", "db.port", "--in", path, "--yes")
    w.dm("remove", "ü", "--in", path, "--yes")
    expected = json.loads(json.dumps(sample))
    expected["db"]["added"] = ["x", {"y": True}]
    del expected["db"]["port"], expected["ü"]
    equal(json.loads(sops("-d", path)), expected)
    w.dm("reseal", path)
    equal(json.loads(sops("-d", path)), expected)
    before = w.read(path)
    for bad in ('"db": 1, "db"', '"sops"'):
        w.write("editor.py", "import sys\np = sys.argv[1]\ns = open(p).read()\nopen(p, 'w').write(s.replace('{', '{' + %r + ': 1, ', 1))\n" % bad)
        w.dm("edit", path, env={"EDITOR": os.path.join(w.folder, "editor")}, status=2)
    equal(w.read(path), before)
    w.write("own.json", json.dumps(sample))
    w.dm("seal", "own.json", "--type", "json")
    equal(json.loads(sops("-d", "own.enc.json")), sample)


w.check("json: edited as a whole, values removed, sealed by us", json_edit)

ini_text = "; note\n; of two lines\n[db]\npassword = pa ss\n; about the host\nhost_unencrypted = h\nempty =\n\n[other]\nodd = `a \"b\" ; c`\n"


def ini_store():
    path = sealed_by_sops("s.enc.ini", ini_text, "ini")
    out = w.dm("open", path).stdout
    equal(b"password" in out and b"pa ss" in out and b"sops" not in out and b"of two lines" in out, True)
    before = w.read(path).decode().split("\n")
    w.dm("set", "db.password", "--in", path, input='new "one"; # \'x')
    equal(new_lines(before, w.read(path).decode().split("\n")), ["password         =", "mac                        ="])
    as_json = lambda: json.loads(sops("-d", "--output-type", "json", path))
    equal(as_json()["db"], {"password": 'new "one"; # \'x', "host_unencrypted": "h", "empty": ""})
    equal(as_json()["other"]["odd"], 'a "b" ; c')
    w.dm("set", "db.password", "--in", path, input="two\nlines", status=2)
    w.dm("set", "db.password", "--in", path, input="pa ss")
    equal(edited(path, replacing(("[other]", "added = 1\n[other]"))), ["added =", "mac                        ="])
    equal((as_json()["db"]["added"], w.dm("get", "db.added", "--in", path).stdout), ("1", b"1"))
    w.dm("remove", "db.added", "--in", path, "--yes")
    same_to_sops(path, ini_text, "ini")
    w.dm("reseal", path)
    same_to_sops(path, ini_text, "ini")
    w.write("own.ini", ini_text)
    w.dm("seal", "own.ini", "--type", "ini")
    same_to_sops("own.enc.ini", ini_text, "ini")


w.check("ini: read, values replaced and removed, edited as a whole, sealed by us", ini_store)


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
w.end()
