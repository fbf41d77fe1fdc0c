#!/usr/bin/env python3
"""Writes docs/backup-proof.md: every kind of datastore of the lab dumped, restored and compared, its dumps cut and damaged:
backup_proof.py [DATAMANCY] [ROWS]"""
import datetime
import json
import os
import pathlib
import platform
import random
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lab"))
from labtest import VERSION, docker  # noqa: E402
import backup_stack  # noqa: E402

datamancy = str(pathlib.Path(sys.argv[1]).resolve()) if len(sys.argv) > 1 else backup_stack.DATAMANCY
rows = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
flips = int(os.environ.get("FLIPS", "10"))
random.seed(7)


def size(count):
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def judged(path):
    return subprocess.run([datamancy, "backup", "inspect", str(path)], capture_output=True, text=True).returncode


def bad_inputs(path):
    """(refused, tried): cut at 25 places, at line ends and anywhere; with one flipped bit at 25 places where the format has a checksum."""
    whole = path.read_bytes()
    text = whole.startswith((b"-", b"/", b"dn:"))
    last = len(whole.rstrip(b"\n")) if text else len(whole)  # who loses empty lines behind the end mark has lost nothing
    cuts = {random.randrange(last) for _ in range(15)}
    ends = [m.end() for m in re.finditer(rb"\n", whole[: 4 << 20]) if m.end() < last]
    cuts |= {random.choice(ends) for _ in range(10)} if ends else set()
    cuts.discard(len(whole))
    refused = 0
    test = path.with_suffix(".cut")
    for cut in cuts:
        test.write_bytes(whole[:cut])
        refused += judged(test) != 0
    test.unlink()
    return refused, len(cuts)


with backup_stack.Stack(datamancy, rows=rows, services=(*backup_stack.SERVICES, *backup_stack.STORES, "mysql")) as stack:
    made = stack.json("backup", "run", status=0)
    drill = stack.json("drill", "restore", "--all")
    stack.dm("backup", "restore", "--all", "--to", str(stack.work / "out"), status=0)
    show = stack.json("backup", "show")
    results = {(d["subject"], i["item"]): i for d in drill["drills"] for i in d["items"]}
    lines = []
    for saved in show["saved"]:
        result = results.get((saved["subject"], saved["item"]), {"outcome": "not tried", "restore_seconds": 0, "compare_seconds": 0})
        parts = saved["fingerprint"]["parts"]
        path = stack.work / "out" / pathlib.PurePosixPath(saved["path"]).relative_to("/" + stack.name)
        bad = "-"
        if saved["kind"] != "tree":
            refused, tried = bad_inputs(path)
            bad = f"{refused} of {tried} cuts refused"
        name = saved["subject"].replace(stack.name + "_", "")
        lines.append(f"| {saved['kind']} | {name}/{saved['item']} | {saved['outcome']} | {size(saved['bytes'])} | {saved['seconds']:.1f} s | {sum(p['rows'] for p in parts)} in {len(parts)} | "
                     f"{result['outcome']} | {result['restore_seconds']:.1f} s | {result['compare_seconds']:.1f} s | {bad} |")
    # One flipped bit in a repository, at places chosen at random, each time in a fresh copy of the pack.
    packs = [p for p in (stack.repository / "data").rglob("*") if p.is_file()]
    found = tried = 0
    for _ in range(flips):
        pack = random.choices(packs, [p.stat().st_size for p in packs])[0]
        content = pack.read_bytes()
        at = random.randrange(len(content))
        pack.chmod(0o600)
        pack.write_bytes(content[:at] + bytes([content[at] ^ (1 << random.randrange(8))]) + content[at + 1:])
        tried += 1
        found += stack.dm("backup", "verify", "--read-data", "-q")[0] == 1
        pack.write_bytes(content)
    drills = "\n".join(f"| {d['subject'].replace(stack.name + '_', '')} | {d['outcome']} | {d['recovery_seconds']:.1f} s | {d['check']} |" for d in drill["drills"])
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    (ROOT / "docs/backup-proof.md").write_text(f"""# Proof of the backups

Written by `tests/lab/backup_proof.py` on {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC at commit {commit}, with {show['tool']}, Docker Engine {VERSION} on
Linux {platform.release()}; the machine was shared ({os.getloadavg()[0]:.0f} runnable tasks on {os.cpu_count()} cores), so times are upper bounds. Servers in containers, from Debian packages but for the three named below.

*Dump*: streamed into the repository, program ended well, end mark seen, bytes as the repository counts them. *Equal*: restored into a fresh server
of the same image without network, dumped again, every table's row count and 128-bit checksum and the schema's hash equal. *Cuts*: the dump cut at
random places and at line ends (empty lines behind the end mark left aside: without them nothing is lost), given to `backup inspect`, which must not call
it whole.

| kind | what | dump | size | time | rows in parts | equal | restored in | compared in | bad input |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}

Four cuts of an earlier record were called whole. Two of `pg_dump` lay behind its end mark, where only `\\unrestrict` or a line of dashes is lost: both are
wanted now. Two of LDIF lay between entries; LDIF has no end mark, so our dumps end in a comment, and one without it is "could not verify". `backup
verify` and every restore compare bytes and content with the manifest besides, for all kinds.

| drill | outcome | back after | the product's own check |
|---|---|---|---|
{drills}

One flipped bit in the repository at {tried} random places, found by `backup verify --read-data`: {found}.

ClickHouse, CouchDB and Qdrant are not the vendors' servers, which were not to be had: chdb and qdrant-edge are their real engines as libraries, with
the HTTP interface in front of them ours; pouchdb-server is another implementation of CouchDB's.

Kopia: `tests/lab/repositories_test.py`. Bits flipped at 1,000 places and very many small files: [proofs/backup-long.md](proofs/backup-long.md).
""")
    print((ROOT / "docs/backup-proof.md").read_text())
