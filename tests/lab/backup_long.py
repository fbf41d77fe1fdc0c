#!/usr/bin/env python3
"""The long proofs of backups: bits flipped at random places of a restic repository, every one of which `backup verify` has to find, and
volumes of very many small files that have to come back equal. Writes docs/proofs/backup-long.md:
backup_long.py [DATAMANCY]   FLIPS=1000 FILES="100000 1000000" JOBS=2 name the sizes; 0 leaves a part out."""
import concurrent.futures
import datetime
import json
import os
import pathlib
import platform
import random
import re
import resource
import shutil
import subprocess
import sys
import time

from labtest import ROOT, VERSION, docker, engine, skip, that
import backup_stack

DATAMANCY = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else backup_stack.DATAMANCY).resolve())
FLIPS, JOBS = int(os.environ.get("FLIPS", "1000")), int(os.environ.get("JOBS", "2"))
FILES = [n for n in map(int, os.environ.get("FILES", "100000 1000000").split()) if n]
PAGE = ROOT / "docs/proofs/backup-long.md"


GROUP = 25  # packs damaged at once: each of them has to be named


def flips(stack):
    """(what was missed, {folder: [found, tried]}, bytes, files). Packs are damaged GROUP at a time, one bit in each, and every one has to be
    named; an index, a snapshot, a key, the configuration one at a time, since one of them hides what else there is."""
    uploads = pathlib.Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", f"{stack.name}_uploads"))
    with open(uploads / "random", "wb") as file:
        for _ in range(150):
            file.write(os.urandom(1 << 20))
    env = {"RESTIC_PACK_SIZE": "4"}
    stack.dm("backup", "run", f"volume:{stack.name}_uploads", status=0, env=env)
    random.seed(int(os.environ.get("SEED", "6")))
    files = sorted(p.relative_to(stack.repository) for p in stack.repository.rglob("*") if p.is_file() and "locks" not in p.parts)
    size = {p: (stack.repository / p).stat().st_size for p in files}
    packs = [p for p in files if p.parts[0] == "data"]
    that(len(packs) >= GROUP, f"{len(packs)} packs")
    singles = [random.choice([p for p in files if p.parts[0] == folder]) for folder in ("index", "snapshots", "keys", "config") for _ in range(min(10, FLIPS // 8))]
    groups = [[p] for p in singles]
    left = FLIPS - len(singles)
    while left > 0:
        group = set()
        while len(group) < min(GROUP, left):  # a place anywhere, by size, but no pack twice at once
            group.add(random.choices(packs, [size[p] for p in packs])[0])
        groups.append(sorted(group))
        left -= len(group)

    def work(mine):
        number, part = mine
        copy, state = stack.work / f"copy{number}", stack.work / f"state{number}"
        shutil.copytree(stack.repository, copy)
        out = []

        def verify():
            shutil.rmtree(state, ignore_errors=True)  # with it restic's cache, which still has the whole files
            return stack.dm("backup", "verify", "--read-data", "-q", repository=copy, env={"DATAMANCY_STATE": str(state)})
        that(verify()[0] == 0, "the copy is whole")
        for group in part:
            whole = {}
            for path in group:
                at, bit = random.randrange(size[path]), random.randrange(8)
                whole[path] = (copy / path).read_bytes()
                (copy / path).chmod(0o600)
                with open(copy / path, "r+b") as file:
                    file.seek(at)
                    file.write(bytes([whole[path][at] ^ (1 << bit)]))
            status, text, err = verify()
            for path in group:
                named = path.parts[0] != "data" or path.name[:8] in text + err
                out.append((path, status != 0 and named, f"{path} ({len(group)} at once): status {status}"))
                (copy / path).write_bytes(whole[path])
        that(verify()[0] == 0, "the copy is whole again")
        return out

    missed, hit = [], {}
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for out in pool.map(work, enumerate(groups[n::JOBS] for n in range(JOBS))):
            for path, found, line in out:
                count = hit.setdefault(path.parts[0], [0, 0])
                count[0] += found
                count[1] += 1
                if not found:
                    missed.append(line)
    return missed, hit, sum(size.values()), len(files)


def measured(stack, *argv):
    """(seconds, CPU seconds, peak kB of the program and of the largest program that it started, JSON) of a run."""
    begin = time.monotonic()
    child = subprocess.Popen(["/usr/bin/time", "-f", "%U %S %M", *stack.command(*argv, "--json")], cwd=stack.project, env=stack.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = 0
    ours = None
    while child.poll() is None:
        if ours is None:
            found = subprocess.run(["pgrep", "-P", str(child.pid)], capture_output=True, text=True).stdout.split()
            ours = found[0] if found else None
        else:
            status = pathlib.Path(f"/proc/{ours}/status")
            try:
                peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", status.read_text()).group(1)))
            except (OSError, AttributeError):
                pass
        time.sleep(0.2)
    out, err = child.communicate()
    that(child.returncode == 0, f"{argv}: status {child.returncode}\n{out[-1500:]}{err[-1500:]}")
    user, system, largest = err.strip().splitlines()[-1].split()
    return time.monotonic() - begin, float(user) + float(system), peak, int(largest), json.loads(out)


def small_files(count):
    with backup_stack.Stack(DATAMANCY, rows=10, services=("app",)) as stack:
        uploads = pathlib.Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", f"{stack.name}_uploads"))
        stack.sqlite.close()
        for n in range(count):
            if n % 1000 == 0:
                folder = uploads / f"d{n // 1000 % 100}" / str(n // 1000)
                folder.mkdir(parents=True)
            (folder / f"file {n}").write_text(f"content of file {n}\n" * (n % 20))
        subject = f"volume:{stack.name}_uploads"
        first = measured(stack, "backup", "run", subject)
        again = measured(stack, "backup", "run", subject)
        drill = measured(stack, "drill", "restore", subject)
        saved = next(s for s in first[4]["saved"] if s["subject"] == subject)
        entries = sum(p["rows"] for p in saved["fingerprint"]["parts"])
        one = drill[4]["drills"][0]
        that(drill[4]["outcome"] == "verified" and entries > count, f"{entries} entries, {drill[4]}")
        lines = []
        for what, run in (("backup run, first", first), ("backup run, unchanged", again), ("drill restore", drill)):
            lines.append(f"| {count:,} | {what} | {run[0]:.1f} s | {run[1]:.1f} s | {run[2] / 1000:.0f} MB | {run[3] / 1000:.0f} MB |")
        lines.append(f"| {count:,} | equal: {one['items'][0]['detail']}; {saved['bytes'] / 1e6:.0f} MB of stream | | | | |")
        return lines


if __name__ == "__main__":
    if not engine.find()[1]:
        skip("no engine answers")
    if not shutil.which("restic") or os.geteuid() != 0:
        skip("needs restic and root")
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    commit += "" if subprocess.run(["git", "-C", str(ROOT), "diff", "--quiet", "HEAD", "--", "src"]).returncode == 0 else " with changes"
    restic = subprocess.run(["restic", "version"], capture_output=True, text=True).stdout.split(" compiled")[0]
    made = (f"Measured on {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC at commit {commit}, engine {VERSION}, Linux {platform.release()}, {restic}, {os.cpu_count()} cores with a load of "
            f"{os.getloadavg()[0]:.0f} at the beginning: times are upper bounds.")
    sections = {}
    if PAGE.exists():  # a part that is left out keeps its record
        for text in PAGE.read_text().split("\n## ")[1:]:
            sections[text.split("\n")[0]] = text.split("\n", 1)[1].strip()
    bad = False
    if FLIPS:
        with backup_stack.Stack(DATAMANCY, rows=200, services=("app",)) as stack:
            missed, hit, size, count = flips(stack)
        bad = bool(missed)
        table = "\n".join(f"| {kind} | {found} | {tried} |" for kind, (found, tried) in sorted(hit.items()))
        sections["Flipped bits"] = (f"{made}\n\n{FLIPS:,} bits at random places of a restic repository of {count} files and {size / 1e6:.0f} MB, with nothing in a cache, then `backup verify --read-data`. Packs {GROUP} at "
                                    f"a time, one bit in each: every damaged one has to be named; other files one at a time. In between the repository was whole again.\n\n| where | found | tried |\n|---|---|---|\n" +
                                    table + "".join(f"\n\nNot found: {line}" for line in missed[:20]))
    if FILES:
        lines = [line for count in FILES for line in small_files(count)]
        sections["Many small files"] = (f"{made}\n\nA volume of files of 0 to 400 bytes. The drill restores it into a new volume and compares names, modes, owners, times, links and contents.\n\n"
                     "| files | what | time | CPU | peak of datamancy | of the largest program |\n|---|---|---|---|---|---|\n" + "\n".join(lines))
    PAGE.write_text("# Long proofs of the backups\n\nWritten by `tests/lab/backup_long.py` (`./test --lab --long`).\n" + "".join(f"\n## {name}\n\n{text}\n" for name, text in sorted(sections.items())))
    print(PAGE.read_text())
    sys.exit(1 if bad else 0)
