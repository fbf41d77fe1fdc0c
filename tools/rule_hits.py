#!/usr/bin/env python3
"""docs/rules-hits.md: for each rule a hit on a project that its author did not write: rule_hits.py BINARY FOLDER... > docs/rules-hits.md

FOLDER holds checkouts as OWNER__REPOSITORY. Nothing is read from the network."""
import json
import os
import pathlib
import re
import subprocess
import sys

binary, roots = sys.argv[1], [pathlib.Path(p) for p in sys.argv[2:]]
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
    found = hits.get(rule["id"], [])
    if found:
        where, line, message = min(found, key=lambda hit: (len(hit[2]) > 160, len(hit[0])))
        message = message.replace("|", "\\|")
        print(f"| {rule['id']} {rule['name']} | {len(found)} | {where}:{line} | {message[:180]} |")
    else:
        print(f"| {rule['id']} {rule['name']} | 0 | - | none yet |")
