#!/usr/bin/env python3
"""planted.py SOURCE_DIR BINARY: every line of examples/large and of tests/origin (what the project's origin recommended) that is
marked `# defect: RULE` is found there, and Compose's own check of the stack has nothing to say."""
import json
import pathlib
import re
import subprocess
import sys


def judge(stack, binary, least):
    done = subprocess.run([binary, "audit", str(stack), "--format", "json"], capture_output=True, text=True, check=False)
    found = {(place["file"], place["line"], finding["rule"])
             for finding in json.loads(done.stdout)["findings"] for place in finding["places"]}
    planted = set()
    for path in sorted(stack.rglob("*")):
        if path.is_file():
            for number, line in enumerate(path.read_text().splitlines(), 1):
                for rule in re.findall(r"# defect: (DM\d{4})$", line):
                    planted.add((str(path.relative_to(stack)), number, rule))
    missed = sorted(planted - found)
    broken = sorted(item for item in found if item[2] == "DM0100")
    for file, line, rule in missed:
        print(f"{file}:{line}: {rule} was planted and not found")
    for file, line, _ in broken:
        print(f"{file}:{line}: the stack does not load")
    print(f"{stack.name}: {len(planted)} planted, {len(missed)} missed, {len(found)} places in all")
    return 1 if missed or broken or len(planted) < least else 0


def main():
    root, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
    return judge(root / "examples/large", binary, 14) | judge(root / "tests/origin", binary, 12)


if __name__ == "__main__":
    sys.exit(main())
