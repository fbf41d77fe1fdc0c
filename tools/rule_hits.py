#!/usr/bin/env python3
"""docs/rules-hits.md: for each rule a hit on a project that its author did not write: rule_hits.py BINARY FOLDER... > docs/rules-hits.md

FOLDER holds checkouts as OWNER__REPOSITORY. Nothing is read from the network. Hits that were looked for by hand are kept in
docs/rules-hits-searched.tsv (rule, place, finding), rules for which nothing was found in docs/rules-hits-none.tsv (rule, searched
for, what came nearest), what was judged in docs/rules-hits-judged.tsv; all are appended. Rules about machines (DM1...) are left out:
they have no file that could be published."""
import json
import os
import pathlib
import re
import subprocess
import sys

binary, roots = str(pathlib.Path(sys.argv[1]).resolve()), [pathlib.Path(p) for p in sys.argv[2:]]
NOT_REAL = ("compose-spec__", "docker__compose/", "tmatens__", "zavoloklom__")  # test data of tools
hits, count = {}, 0
for root in roots:
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = pathlib.Path(folder, name)
            shown = str(path.relative_to(root))
            if not re.fullmatch(r".*compose.*\.ya?ml", name) or shown.startswith(NOT_REAL):
                continue
            run = subprocess.run([binary, "audit", "--json", "--show", "info", str(path)], cwd=folder, capture_output=True, text=True)
            if run.returncode not in (0, 1):
                continue
            count += 1
            for finding in json.loads(run.stdout)["findings"]:
                place = finding["places"][0]
                where = os.path.normpath(os.path.join(os.path.dirname(shown), place["file"]))
                hits.setdefault(finding["rule"], []).append((where, place["line"], finding["message"]))

rules = json.loads(subprocess.run([binary, "rules", "--json"], capture_output=True, text=True, check=True).stdout)
print("# Hits on projects of others\n")
print(f"Made by `tools/rule_hits.py` over {count} compose files of public projects. One hit a rule; the number says how many there are. The\n"
      "copies hold few of the files that the projects mount, so rules about these (Caddyfiles, scripts, Dockerfiles, git) find little here.\n")
print("| rule | hits | place | finding |\n|---|---|---|---|")
for rule in rules:
    if rule["id"].startswith("DM1"):
        continue
    found = hits.get(rule["id"], [])
    if found:
        where, line, message = min(found, key=lambda hit: (len(hit[2]) > 160, len(hit[0])))
        message = message.replace("|", "\\|")
        print(f"| {rule['id']} {rule['name']} | {len(found)} | {where}:{line} | {message[:180]} |")
    else:
        print(f"| {rule['id']} {rule['name']} | 0 | - | none yet |")

docs = pathlib.Path(__file__).resolve().parent.parent / "docs"


def rows(name):
    """The rows of a table in docs/, without the line of its heads and without comments."""
    lines = (docs / name).read_text().splitlines()
    return [line.split("\t") for line in lines[1:] if line and not line.startswith("#")]


names = {rule["id"]: rule["name"] for rule in rules}
print("\n## Looked for by hand\n")
print("Public projects that have the defect, found by a search for it and read with the files that they mount. Not part of the folders\n"
      "above, so their hits are not counted there. Kept in [rules-hits-searched.tsv](rules-hits-searched.tsv).\n")
print("| rule | place | finding |\n|---|---|---|")
for rule, place, finding in sorted(rows("rules-hits-searched.tsv")):
    print(f"| {rule} {names[rule]} | {place} | {finding} |")
print("\n## Searched for, and not found\n")
print("Rules without a hit on a project of others: what was searched for on 2026-11-26, in public code and issues, and what came nearest.\n"
      "Kept in [rules-hits-none.tsv](rules-hits-none.tsv).\n")
print("| rule | searched for | what came nearest |\n|---|---|---|")
for rule, what, nearest in sorted(rows("rules-hits-none.tsv")):
    print(f"| {rule} {names[rule]} | {what} | {nearest} |")
print("\n## Judged\n")
print("The findings of severity critical or high on 47 compose files of 31 public projects (28 of the files are those that Go modules\n"
      "carry, the others were looked for), judged true or false by one reader: beside the files where there was doubt, else by the\n"
      "message alone. False means: who runs the project would not mend anything. What was false is mended in the rule since; the\n"
      "number counts it as it was found. Left out: seven findings of DM0105, since the copies had lost their mode bits. Kept in\n"
      "[rules-hits-judged.tsv](rules-hits-judged.tsv).\n")
print("| date | severity | judged | true | false | precision | what was false |\n|---|---|---|---|---|---|---|")
for date, severity, true, false, what in rows("rules-hits-judged.tsv"):
    total = int(true) + int(false)
    print(f"| {date} | {severity} | {total} | {true} | {false} | {100 * int(true) / total:.1f} % | {what} |")
