#!/usr/bin/env python3
"""A stream for `git fast-import`: history_repository.py COMMITS | git fast-import --quiet. A project that grows: 40 services with a compose file, settings and
an env file each; every commit changes one to three files, and one in two hundred brings a password, which the next but one takes away."""
import random
import sys

commits = int(sys.argv[1])
dice = random.Random(20261127)
WORDS = "alpha beta gamma delta port host timeout retries cache volume network label region zone bucket queue topic worker thread limit".split()


def line(i):
    return f"{dice.choice(WORDS)}_{i}: {dice.choice(WORDS)}-{dice.randrange(10000)}"


files = {}
for s in range(40):
    files[f"service{s}/compose.yaml"] = ["services:", f"  app{s}:", f"    image: example/app{s}:1", "    environment:"] + [f"      V{i}: {dice.choice(WORDS)}" for i in range(30)]
    files[f"service{s}/settings.yaml"] = [line(i) for i in range(dice.randrange(50, 400))]
    files[f"service{s}/app.env"] = [f"V{i}={dice.choice(WORDS)}" for i in range(20)]
    files[f"service{s}/README.md"] = [" ".join(dice.choices(WORDS, k=12)) for _ in range(60)]
files["compose.yaml"] = ["services:", "  app:", "    image: example/app:1"]
out = sys.stdout


def put(path):
    text = "\n".join(files[path]) + "\n"
    out.write(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n")


paths = sorted(files)
secrets = []
for number in range(commits):
    message = f"change {number}"
    out.write(f"commit refs/heads/main\ncommitter t <t@example.org> {1600000000 + number * 600} +0000\ndata {len(message)}\n{message}\n")
    if number == 0:
        for path in paths:
            put(path)
        continue
    for path in {dice.choice(paths) for _ in range(dice.randrange(1, 4))} - {"compose.yaml"}:
        lines = files[path]
        at = dice.randrange(4, len(lines))
        lines[at] = f"      V{at}: {dice.choice(WORDS)}" if path.endswith("compose.yaml") else f"V{at}={dice.choice(WORDS)}" if path.endswith(".env") else line(at)
        put(path)
    if number % 200 == 100:
        path = f"service{dice.randrange(40)}/app.env"
        secret = f"DB_PASSWORD={''.join(dice.choices('abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789', k=24))}"
        files[path].append(secret)
        secrets.append((number + 2, path, secret))
        put(path)
    for due, path, secret in [one for one in secrets if one[0] == number]:
        files[path].remove(secret)
        put(path)
