#!/usr/bin/env python3
"""docs/origin.md has each id once; the verbs and rules that it names exist: check_origin.py ROOT BINARY"""
import pathlib
import re
import subprocess
import sys

root, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
text = (root / "docs/origin.md").read_text()
wanted = [f"O{n}" for n in (*range(1, 9), *range(10, 21), *range(31, 44), *range(51, 57), *range(61, 68), *range(71, 81))]
ids = re.findall(r"^\| (O\d+) \|", text, re.M)
faults = [f"{i} stands {ids.count(i)} times" for i in wanted if ids.count(i) != 1]
faults += [f"{i} is no item" for i in ids if i not in wanted]
rules = subprocess.run([binary, "rules"], capture_output=True, text=True, check=True).stdout
faults += [f"rule {rule} does not exist" for rule in set(re.findall(r"DM\d{4}", text)) if rule not in rules]
usage = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout
faults += [f"verb {verb} does not exist" for verb in set(re.findall(r"`datamancy (\w+)`", text)) if f"  {verb} " not in usage]
print("\n".join(faults) or f"{len(ids)} items")
sys.exit(bool(faults))
