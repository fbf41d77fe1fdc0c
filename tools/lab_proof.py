#!/usr/bin/env python3
"""lab_proof.py FILE CTEST_LOG ENGINE COMMIT SECONDS: puts the result of a run of the lab's tests at the top of the table in FILE,
one section for each engine version: date, commit, what passed, what failed, what was skipped."""
import datetime
import pathlib
import re
import sys

path, log, engine, commit, seconds = sys.argv[1:]
path = pathlib.Path(path)
rows = re.findall(r"^ *\d+/\d+ Test +#\d+: (\S+) \.*[ *]*(Passed|Failed|Skipped|Timeout|Not Run)\D* +([\d.]+) sec", pathlib.Path(log).read_text(), re.M)
if not rows:
    sys.exit("lab_proof: the log names no test")
head = "# Tests on a real engine\n\nWritten by `./test --lab`: the last run on each engine version.\n"
sections = re.split(r"(?m)^## ", path.read_text() if path.exists() else head)
kept = [s for s in sections[1:] if not s.startswith(f"Engine {engine}\n")]
count = {kind: sum(r[1] == kind for r in rows) for kind in ("Passed", "Failed", "Timeout", "Skipped", "Not Run")}
summary = ", ".join(f"{n} {kind.lower()}" for kind, n in count.items() if n)
now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
text = f"Engine {engine}\n\n{now}, commit {commit}: {summary}, {seconds} s.\n\n| test | result | seconds |\n|---|---|---|\n"
text += "".join(f"| {name} | {result.lower()} | {float(time):.0f} |\n" for name, result, time in rows)
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(head + "".join(f"\n## {s.strip()}\n" for s in [text, *kept]))
print(f"recorded in {path}: {summary}")
