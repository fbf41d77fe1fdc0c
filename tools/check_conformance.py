#!/usr/bin/env python3
"""Agreement with recorded answers of docker compose: check_conformance.py ROOT BINARY LEAST_PERCENT; exit 77 = skipped."""
import pathlib
import re
import subprocess
import sys

root, binary, least = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
compare = root.parent / "shared/conformance/compare.py"
if not compare.exists():
    print("skipped: the recorded answers are not beside this checkout")
    sys.exit(77)
said = subprocess.run([sys.executable, compare, f"{binary} {{opts}} config --format json", "--show", "10"], capture_output=True, text=True).stdout
print(said)
percent = float(re.search(r"agree \d+ of \d+ \(([\d.]+)%\)", said)[1])
sys.exit(percent < least or "crash" in said)
