#!/usr/bin/env python3
"""Holds what the pages show against what the program prints: check_pages.py BIN PAGE...

A block of a page that begins with `    $ datamancy audit|report|graph|config ... examples/...` (it needs no engine) is run from the root of the
checkout; its lines must stand in the output in the same order. What a page leaves out needs no mark.
"""
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHOWN = re.compile(r"^ {4}\$ datamancy ((?:audit|report|graph|config)\b.*\bexamples/.*)$")


def blocks(page):
    command, lines = None, []
    for line in pathlib.Path(page).read_text().splitlines() + ["end"]:
        start = SHOWN.match(line)
        if command and (start or (line and not line.startswith("    ")) or line.startswith("    $ ")):
            yield command, lines
            command = None
        if start:
            command, lines = start[1], []
        elif command and line.strip():
            lines.append(line[4:])


binary, *pages = sys.argv[1:]
wrong = seen = 0
for page in pages:
    for command, lines in blocks(page):
        seen += 1
        printed = iter(subprocess.run([binary, *shlex.split(command)], cwd=ROOT, text=True, capture_output=True, timeout=60).stdout.splitlines())
        for line in lines:
            if not any(line == now for now in printed):
                print(f"{page}: `datamancy {command}` does not print (any more, or here): {line}")
                wrong += 1
                break
print(f"{seen} shown, {wrong} wrong")
sys.exit(wrong > 0 or seen == 0)
