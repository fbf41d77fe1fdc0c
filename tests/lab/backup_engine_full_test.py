#!/usr/bin/env python3
"""A full disk at the engine: an engine of its own with little room, in a network namespace of its own. What cannot be done is said, leaves
nothing that looks whole, and works again with room."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from labtest import ENV, LABEL, ROOT, docker, engine, eventually, run, skip, that

DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build/datamancy").resolve())
if not shutil.which("restic") or os.geteuid() != 0:
    skip("needs restic and root")
WORK = pathlib.Path(tempfile.mkdtemp(prefix="dmtest-small-engine-"))
DISK, LAB = WORK / "disk", WORK / "disk/lab"
SMALL = {**ENV, "DOCKER_HOST": f"unix://{LAB}/engine/docker.sock", "DATAMANCY_STATE": str(WORK / "state")}
KEY, VALUE = LABEL.split("=")
NAME = "dmtest-full"
COMPOSE = f"""name: {NAME}
services:
  db:
    image: datamancy-lab/postgres:17
    labels: {{{KEY}: {VALUE}}}
    environment: {{POSTGRES_PASSWORD: geheim, POSTGRES_INITDB_ARGS: --no-sync}}
    volumes: [data:/var/lib/postgresql/data]
volumes: {{data: }}
"""


def small(*argv, data=None, check=True):
    done = subprocess.run([engine.docker(), *argv], env=SMALL, capture_output=True, text=True, input=data)
    that(not check or done.returncode == 0, f"docker {argv}: {done.stderr}")
    return done.stdout.strip()


def dm(*argv):
    done = subprocess.run([DATAMANCY, *argv, "--repository", str(WORK / "repository"), "--password-file", str(WORK / "key")], cwd=WORK / "project", env=SMALL, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
    return done.returncode, done.stdout, done.stderr


def filled():
    """Not a block is left on the engine's disk. The file that has them."""
    filler = DISK / "filler"
    with open(filler, "wb") as file:
        try:
            while True:
                file.write(bytes(1 << 20))
                file.flush()
        except OSError:
            pass
    return filler


def test_a_backup_and_a_drill_on_a_full_disk_are_said_and_work_again_with_room():
    that(json.loads(dm("backup", "run", "--json")[1])["outcome"] == "verified", "with room it works")
    runs = json.loads(dm("backup", "list", "--json")[1])["runs"]
    filler = filled()
    status, out, err = dm("backup", "run", "--json")
    print(f"       backup run on the full disk: status {status} {[s['trouble'] for s in json.loads(out)['saved']] if out else err}")
    now = json.loads(dm("backup", "list", "--json")[1])["runs"]
    that((status == 0) == (len(now) > len(runs) and now[0]["outcome"] == "verified"), f"what is called verified is whole: {status} {now}")
    if status == 0:  # an exec needs no room: then the dump has to be whole
        that(dm("backup", "verify", "--read-data")[0] == 0, "it verifies")
    else:
        that("shell" not in out + err, f"no wrong advice: {out}{err}")
    status, out, err = dm("drill", "restore", "db", "--run", runs[0]["run"], "--json")
    print(f"       drill on the full disk: status {status} {out.strip()[:500]}{err[-300:]}")
    that(status == 2 and "space" in out + err, f"the drill says why it could not verify: {status} {out}{err}")
    that(not small("ps", "-aq", "--filter", f"label=datamancy.drill={NAME}"), "no stand-in is left")
    filler.unlink()
    eventually("PostgreSQL answers", lambda: subprocess.run([engine.docker(), "exec", f"{NAME}-db-1", "pg_isready", "-h", "127.0.0.1"], env=SMALL, capture_output=True).returncode == 0, 60)
    that(json.loads(dm("backup", "run", "--json")[1])["outcome"] == "verified", "the next run works")
    status, out, err = dm("drill", "restore", "db", "--json")
    that(status == 0 and json.loads(out)["outcome"] == "verified", f"and the next drill: {out}{err}")


if __name__ == "__main__":
    if not engine.find()[1]:
        skip("no engine answers")
    lab = [str(ROOT / "lab/lab"), "engine", "--namespace"]
    environment = {**os.environ, "DATAMANCY_LAB": str(LAB)}
    environment.pop("DOCKER_HOST", None)
    try:
        DISK.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200m", "none", str(DISK)], check=True)
        LAB.mkdir()
        started = subprocess.run(lab, env=environment, capture_output=True, text=True)
        if started.returncode:
            skip(f"no second engine: {started.stderr.strip()[-300:]}")
        (WORK / "project").mkdir()
        (WORK / "project/compose.yaml").write_text(COMPOSE)
        (WORK / "key").write_text("repository password\n")
        (WORK / "image.tar").touch()
        docker("save", "-o", str(WORK / "image.tar"), "datamancy-lab/postgres:17")
        small("load", "-i", str(WORK / "image.tar"))
        (WORK / "image.tar").unlink()
        subprocess.run([str(engine.compose()), "-f", str(WORK / "project/compose.yaml"), "up", "-d"], env=SMALL, check=True, capture_output=True)
        eventually("PostgreSQL answers", lambda: subprocess.run([engine.docker(), "exec", f"{NAME}-db-1", "pg_isready", "-h", "127.0.0.1"], env=SMALL, capture_output=True).returncode == 0, 90)
        small("exec", "-i", f"{NAME}-db-1", "psql", "-qU", "postgres", data="create table t as select i, repeat(md5(i::text), 4) as body from generate_series(1, 50000) i;")
        run(globals(), needs=("postgres",))
    finally:
        subprocess.run([engine.docker(), "rm", "-fv", f"{NAME}-db-1"], env=SMALL, capture_output=True)
        subprocess.run([lab[0], "engine", "stop"], env=environment, capture_output=True)
        for _ in range(20):
            if subprocess.run(["umount", str(DISK)], capture_output=True).returncode == 0:
                break
            subprocess.run(["sleep", "0.5"])
        else:
            subprocess.run(["umount", "-l", str(DISK)])
        shutil.rmtree(WORK, ignore_errors=True)
