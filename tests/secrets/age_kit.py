#!/usr/bin/env python3
"""age_kit.py AGE_TRY: every test file of the age test kit (npm package cctv-age) but the post-quantum ones.

Outcome by outcome: success with the payload's hash, "no match" as exit 11, every other failure as exit 12. Skips with 77 where npm
cannot bring the package.
"""
import base64, hashlib, os, re, subprocess, sys, tarfile, tempfile, zlib

tool = os.path.abspath(sys.argv[1])


def kit():
    cache = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "datamancy-tests")
    os.makedirs(cache, exist_ok=True)
    name = os.path.join(cache, "cctv-age-0.2.0.tgz")
    if not os.path.exists(name):
        try:
            subprocess.run(["npm", "pack", "--silent", "cctv-age@0.2.0"], cwd=cache, check=True, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            print("skipped: npm cannot bring cctv-age:", error)
            sys.exit(77)
    with tarfile.open(name) as archive:
        text = archive.extractfile("package/index.js").read().decode()
    return {m[1]: base64.b64decode(m[2]) for m in re.finditer(r'var (\w+)_default = __toBinary\("([^"]*)"\)', text)}


ran, skipped, wrong = 0, 0, []
for name, content in sorted(kit().items()):
    head, _, file = content.partition(b"\n\n")
    fields = {}
    for line in head.decode().split("\n"):
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    known = {"expect", "payload", "identity", "passphrase", "armored", "file key", "comment", "compressed"}
    if set(fields) - known or any("-PQ-" in i for i in fields.get("identity", [])):
        skipped += 1
        continue
    if fields.get("compressed") == ["zlib"]:
        file = zlib.decompress(file)
    env = dict(os.environ, AGE_IDENTITIES="\n".join(fields.get("identity", [])), AGE_PASSPHRASES="\n".join(fields.get("passphrase", [])))
    got = subprocess.run([tool], input=file, env=env, capture_output=True)
    ran += 1
    expect = fields["expect"][0]
    status = {"success": 0, "no match": 11}.get(expect, 12)
    if got.returncode != status:
        wrong.append(f"{name}: expected {expect}, got {got.returncode} ({got.stderr.decode().strip()})")
    elif status == 0 and hashlib.sha256(got.stdout).hexdigest() != fields["payload"][0]:
        wrong.append(f"{name}: another payload")
    elif status != 0 and got.stdout:
        wrong.append(f"{name}: plaintext was let out")
print("\n".join(wrong))
print(f"{ran - len(wrong)} of {ran} as expected, {skipped} post-quantum or unknown left out")
sys.exit(1 if wrong or ran < 124 else 0)
