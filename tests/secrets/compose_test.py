#!/usr/bin/env python3
"""compose_test.py DATAMANCY [VALUES]: random values through set, seal, open and the real `docker compose config`, which gets them by memory files.

For each batch: values that we wrote come back equal from Compose; any text that can be sealed comes back byte for byte, and our reading of it is
Compose's. Default 4,000 values; `./test --long` gives 100,000. Needs `docker compose`, no engine. Skips (77) without it.
"""
import json, os, random, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from common import World, equal

w = World(sys.argv[1], need=("docker",))
if not w.compose():
    print("skipped: no docker compose")
    sys.exit(77)
count = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
# The docker CLI reads its plugins from the home, too.
rng = random.Random(int(os.environ.get("DM_SEED", "7")))
letters = [chr(c) for c in range(0x20, 0x7f)] + [chr(c) for c in range(0xa1, 0x17f)] + ["\\", "'", '"', "$", "#", " ", "=", "{", "}", "`", ":", "\\n", "${", "$$"] * 4
w.dm("init")
batch = 1000


def value():
    kind = rng.random()
    size = rng.randrange(0, 40) if kind < 0.9 else rng.randrange(40, 400)
    text = "".join(rng.choice(letters) for _ in range(size))
    return text + ("\n" + text if kind > 0.85 else "") + ("\n" if kind > 0.97 else "")


def compose_file(names):
    w.write("compose.yaml", "name: p\nservices:\n  s:\n    image: x\n    environment:\n" + "".join(f"      {n}: ${{{n}-}}\n" for n in names))


def by_compose():
    model = json.loads(w.dm("compose", "--", "config", "--format", "json").stdout)
    return {k: v.replace("$$", "$") for k, v in model["services"]["s"]["environment"].items()}


def by_us():
    done = w.run([w.binary, "config", "--format", "json", "--show-secrets"])
    return {k: v.replace("$$", "$") for k, v in json.loads(done.stdout)["services"]["s"]["environment"].items()}


def clean():
    for name in ("secrets.enc.env", "t.enc.env", "t.env"):
        if os.path.exists(os.path.join(w.folder, name)):
            os.remove(os.path.join(w.folder, name))


def set_batch():
    values = {f"V{i}": value() for i in range(batch)}
    w.dm("set", "--null", input="".join(f"{k}={v}\0" for k, v in values.items()))
    compose_file(values)
    equal(by_compose(), values)
    equal(by_us(), values)
    done = w.dm("exec", "--", "env", "-0").stdout.decode()
    got = dict(line.split("=", 1) for line in done.split("\0") if "=" in line)
    equal({k: got[k] for k in values}, values)
    clean()


def written(i):
    """A line as people write them."""
    text = value().replace("\n", "").replace("${", "$x")
    form = rng.random()
    if form < 0.3:
        return "V%d=%s" % (i, text.lstrip("'\" \t"))
    if form < 0.5:
        return "V%d='%s'" % (i, text.replace("'", "").replace("\\", ""))
    if form < 0.8:
        return f'V{i}="{text.replace(chr(92), "").replace(chr(34), "")}"'
    if form < 0.9:
        return f"V{i}=${{V{rng.randrange(0, max(i, 1))}:-{rng.randrange(1000)}}}x # note"
    return f"# {text}"


refused = 0


def text_batch():
    global refused
    # Lines that Compose itself refuses, or that the two would read differently, are refused line by line and left out.
    lines = [written(i) for i in range(batch)]
    for _ in range(50):
        text = "\n".join(lines) + "\n"
        w.write("t.env", text)
        done = w.dm("seal", "t.env", status=None)
        if done.returncode == 0:
            break
        bad = sorted({int(l.split()[1][:-1]) for l in done.stderr.decode().split("\n") if l.startswith("  line ")}, reverse=True)
        equal(bool(bad), True)
        refused += len(bad)
        for number in bad:
            del lines[number - 1]
    equal(w.dm("open", "t.enc.env").stdout, text.encode())
    names = [l.split("=")[0] for l in lines if not l.startswith("#")]
    compose_file(names)
    w.run(["mv", "t.env", "../t.plain"])
    plain = w.run(["docker", "compose", "--env-file", "../t.plain", "config", "--format", "json"], status=None)
    if plain.returncode != 0:  # a malformed reference: then both must refuse
        equal(w.dm("compose", "--", "config", status=None).returncode != 0, True)
    else:
        expected = {k: v.replace("$$", "$") for k, v in json.loads(plain.stdout)["services"]["s"]["environment"].items()}
        equal(by_compose(), expected)
        equal(by_us(), expected)
    clean()


done = 0
while done < count and not w.failed:
    w.check(f"{batch} values set, {done + batch} so far", set_batch)
    done += batch
    if done < count:
        w.check(f"{batch} lines as people write them, {done + batch} so far", text_batch)
        done += batch
print(f"{refused} lines were refused before sealing")
w.end()
