#!/usr/bin/env python3
"""Holds `datamancy config` against `docker compose config` on cases of our own and on folders of projects.

    compose_cases.py BINARY FILE.txt...            against the answers recorded beside each file (FILE.jsonl)
    compose_cases.py --live BINARY FILE.txt...     against the `docker compose` of this machine, asked now
    compose_cases.py --record FILE.txt...          asks `docker compose` and writes FILE.jsonl (review the difference)
    compose_cases.py --live BINARY FOLDER...       every compose file below the folders, each alone, all profiles

A block of FILE.txt is `== name [VAR=value]... [args=a,b,...] [say=--images,...] [nofiles|stdin] [list] [known]`, then compose.yaml; `-- path`
starts another file (compose.N.yaml are further -f files); in `--e path` backslash escapes are decoded. `args` replaces the options
before the verb (-p conf --profile '*'), `say` those after it (--format json); `stdin` gives compose.yaml by `-f -`.
`known`: the two differ, for a reason that docs/conformance.md gives. Both reject, or both accept with equal JSON (key order aside) or, with `say`, equal text (`list`: equal lines in any order)."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

COMPOSE = os.environ.get("COMPOSE", "docker compose").split()


def read(path):
    """The blocks of a case file: name -> (options, {path: content})."""
    cases, files = {}, None
    for line in path.read_text().splitlines(keepends=True):
        if line.startswith("== "):
            name, *options = line[3:].split()
            assert name not in cases, f"{path}: case '{name}' twice"
            files = {"compose.yaml": ""}
            cases[name], current, escaped = (options, files), "compose.yaml", set()
        elif files is not None and line.startswith(("-- ", "--e ")):
            mark, current = line.split()
            files[current] = ""
            if mark == "--e":
                escaped.add(current)
        elif files is not None:
            decode = current in escaped
            files[current] += line.rstrip("\n").encode().decode("unicode_escape") if decode else line
    return cases


def lay(folder, options, files):
    """Writes a case's files; gives (arguments before the verb, after it, environment, standard input)."""
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode("utf-8", "surrogateescape"))
    env = {"PATH": os.environ["PATH"], "HOME": "/home/conformance"}
    before, after, stdin, named = ["-p", "conf", "--profile", "*"], ["--format", "json"], None, True
    for option in options:
        key, _, value = option.partition("=")
        if key == "args":
            before = [x for x in value.split(",") if x]
        elif key == "say":
            after = [x for x in value.split(",") if x]
        elif option == "nofiles":
            named = False
        elif option == "stdin":
            stdin, named = files["compose.yaml"].encode(), False
            before += ["-f", "-"]
        elif option not in ("list", "known"):
            env[key] = value
    if named:
        chosen = ["compose.yaml"] + [f"compose.{i}.yaml" for i in range(1, 20) if f"compose.{i}.yaml" in files]
        before += [x for f in chosen for x in ("-f", f)]
    return before, after, env, stdin


def ask(program, folder, before, after, env, stdin):
    """What a program says: {"rc": status, "out": text} with the folder's name replaced."""
    try:
        done = subprocess.run([*program, *before, "config", *after], cwd=folder, env=env, input=stdin or b"", capture_output=True, timeout=60)
    except subprocess.TimeoutExpired:
        return {"rc": -1, "out": "", "err": "timeout"}
    # What the machine and the plugin's caller add to the environment is no answer.
    noise = re.compile(r"^(PATH|PWD|DOCKER_CLI_PLUGIN\w*)=.*\n", re.M)
    clean = lambda b: b.decode(errors="replace").replace(str(folder.parent), "@ROOT@")
    return {"rc": done.returncode, "out": noise.sub("", clean(done.stdout)) if done.returncode == 0 else "", "err": clean(done.stderr)[-300:]}


def differ(want, got, path=""):
    """The first difference of two JSON values, or None."""
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(want.keys() | got.keys()):
            if key not in got or key not in want:
                return f"{path}.{key}: {'missing' if key not in got else 'extra'}: {json.dumps(want.get(key, got.get(key)))[:150]}"
            if found := differ(want[key], got[key], f"{path}.{key}"):
                return found
        return None
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return next(filter(None, (differ(w, g, f"{path}[{i}]") for i, (w, g) in enumerate(zip(want, got)))), None)
    number = lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)
    same = want == got and (type(want) is type(got) or number(want) and number(got))
    return None if same else f"{path}: wanted {json.dumps(want)[:150]}, got {json.dumps(got)[:150]}"


def verdict(want, got, options):
    """Why two answers differ, or None."""
    if got["rc"] < 0 or got["rc"] > 125:
        return f"crash {got['rc']}"
    if bool(want["rc"]) != bool(got["rc"]):
        return f"rejects: {got['err']}" if got["rc"] else f"accepts; Compose says: {want['err']}"
    if want["rc"]:
        return None
    if any(o.startswith("say=") for o in options) and "json" not in " ".join(options):
        order = sorted if "list" in options else list
        return None if order(want["out"].splitlines()) == order(got["out"].splitlines()) else f"wanted {want['out']!r}, got {got['out']!r}"
    try:
        return differ(json.loads(want["out"]), json.loads(got["out"]))
    except ValueError as error:
        return f"not JSON: {error}"


def one(case, programs):
    name, (options, files) = case
    answers = []
    for program in programs:
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch).resolve() / "proj"
            folder.mkdir()
            answers.append(ask(program, folder, *lay(folder, options, files)))
    return name, answers


def projects(top):
    """Compose files below a folder, each a case of its own: (name, path)."""
    pattern = re.compile(r".*compose[^/]*\.ya?ml$", re.I)
    return [p for p in sorted(top.rglob("*")) if p.is_file() and pattern.match(p.name)]


def main():
    words = [w for w in sys.argv[1:] if not w.startswith("--")]
    live, record = "--live" in sys.argv, "--record" in sys.argv
    binary = None if record else [str(pathlib.Path(words.pop(0)).resolve())]
    faults = total = accepted = known = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path in map(pathlib.Path, words):
            if path.is_dir():
                env = {"PATH": os.environ["PATH"], "HOME": "/home/conformance"}
                before = lambda p: ["-p", "conf", "--profile", "*", "-f", p.name]
                both = lambda p: [ask(program, p.parent.resolve(), before(p), ["--format", "json"], env, None) for program in (COMPOSE, binary)]
                files = projects(path)
                rows = [(str(p), [], a) for p, a in zip(files, pool.map(both, files))]
            else:
                cases = read(path)
                answers = path.with_suffix(".jsonl")
                programs = [COMPOSE] if record else [COMPOSE, binary] if live else [binary]
                said = dict(pool.map(lambda c: one(c, programs), cases.items()))
                if record:
                    with answers.open("w") as out:
                        for name, (answer,) in said.items():
                            if answer["rc"] == 0 and answer["out"].startswith("{"):
                                answer["out"] = json.dumps(json.loads(answer["out"]), sort_keys=True)
                            out.write(json.dumps({"name": name, **answer}) + "\n")
                    print(f"{answers}: {len(said)} answers, {sum(a['rc'] == 0 for a, in said.values())} accepted")
                    continue
                if not live:
                    recorded = {a["name"]: a for a in map(json.loads, answers.open())}
                    said = {name: [recorded[name], *a] for name, a in said.items()}
                rows = [(name, cases[name][0], a) for name, a in said.items()]
            for name, options, (want, got) in rows:
                total, accepted = total + 1, accepted + (want["rc"] == 0)
                why = verdict(want, got, options)
                if "known" in options:
                    known, why = known + 1, None if why else "no longer differs: take `known` away"
                if why:
                    faults += 1
                    print(f"{name}: {why}")
    if not record:
        print(f"{total - faults} of {total} as they should; Compose accepts {accepted}, {known} are known to differ")
    sys.exit(bool(faults))


main()
