#!/usr/bin/env python3
"""The second place of the stack's dumps: `stack/backup/database-backup` with a real restic, copied to a repository elsewhere (a folder, and S3 where moto is at
hand). Only folders are changed in it. Needs no engine."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from labtest import ENV, ROOT, eventually, run, skip, that

BIN = pathlib.Path(ENV.get("DATAMANCY_LAB", "/var/cache/datamancy-lab")) / "bin"
RESTIC = shutil.which("restic", path=f"{BIN}:{os.environ['PATH']}")
if not RESTIC or b"--stdin-from-command" not in subprocess.run([RESTIC, "backup", "--help"], capture_output=True).stdout:
    skip("restic 0.17 or later is not there: lab/lab tools restic")
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="second-place-"))
PASSWORD, KEY = FOLDER / "secrets" / "restic_password", FOLDER / "secrets" / "offsite_access_key"
MOTO = os.environ.get("MOTO_SERVER") or shutil.which("moto_server")


def backup(**env):
    """One run with these variables: (status, what it says)."""
    done = subprocess.run(["sh", FOLDER / "database-backup", "once"], capture_output=True, text=True, timeout=600,
                          env={"PATH": f"{pathlib.Path(RESTIC).parent}:{os.environ['PATH']}", "HOME": str(FOLDER), "RESTIC_REPOSITORY": str(FOLDER / "first"),
                               "RESTIC_PASSWORD_FILE": str(PASSWORD), "RESTIC_CACHE_DIR": str(FOLDER / "cache"), **env})
    return done.returncode, done.stdout + done.stderr


def restic(repository, *argv, **env):
    done = subprocess.run([RESTIC, *argv], capture_output=True, text=True,
                          env={**os.environ, "RESTIC_REPOSITORY": str(repository), "RESTIC_PASSWORD_FILE": str(PASSWORD), "RESTIC_CACHE_DIR": str(FOLDER / "cache"), **env})
    that(done.returncode == 0, f"restic {' '.join(argv)}: {done.stderr}")
    return done.stdout


def snapshots(repository):
    return json.loads(restic(repository, "snapshots", "--json"))


def test_without_a_second_place_it_says_so():
    for name in ("secrets", "state", "data"):
        (FOLDER / name).mkdir()
    script = (ROOT / "stack" / "backup" / "database-backup").read_text()
    for here in ("/run/secrets/", "/state/", "/data"):
        that(here in script, f"it names {here}")
    (FOLDER / "database-backup").write_text(script.replace("/run/secrets/", f"{FOLDER}/secrets/").replace("/state/", f"{FOLDER}/state/").replace(" /data", f" {FOLDER}/data"))
    PASSWORD.write_text("pass'word \"of\" $the \\ repository")
    KEY.write_text("")
    (FOLDER / "data" / "file").write_text("one")
    status, said = backup(OFFSITE_S3_BUCKET="")
    that(status == 0 and "no second place" in said and "backup: complete" in said, f"{status}: {said}")
    status, said = backup()
    that(status == 0 and "second place" not in said, f"a product of `init --service` has none to name: {said}")


def test_each_run_is_copied_and_nothing_is_deleted_there():
    second = FOLDER / "second"
    (FOLDER / "data" / "file").write_text("two")
    status, said = backup(OFFSITE_S3_BUCKET="", OFFSITE_RESTIC_REPOSITORY=str(second))
    that(status == 0 and "copied to the second place" in said, f"{status}: {said}")
    that(len(snapshots(second)) == len(snapshots(FOLDER / "first")) == 3, f"all three runs are there: {len(snapshots(second))}")
    polynomial = [json.loads(restic(r, "cat", "config"))["chunker_polynomial"] for r in (second, FOLDER / "first")]
    that(polynomial[0] == polynomial[1], "both cut files alike, so that what is the same is stored once")
    restic(second, "restore", "latest", "--target", str(FOLDER / "back"))
    that((FOLDER / "back" / str(FOLDER)[1:] / "data" / "file").read_text() == "two", "it comes back from there alone")
    restic(FOLDER / "first", "forget", "--keep-last", "1", "--prune")
    that(backup(OFFSITE_RESTIC_REPOSITORY=str(second))[0] == 0 and len(snapshots(second)) == 4, "what is forgotten here stays there")


def test_a_second_place_that_fails_is_no_complete_backup():
    done = FOLDER / "state" / "last-success"
    done.unlink()
    (FOLDER / "another-password").write_text("of somebody else")
    restic(FOLDER / "theirs", "init", RESTIC_PASSWORD_FILE=str(FOLDER / "another-password"))
    status, said = backup(OFFSITE_RESTIC_REPOSITORY=str(FOLDER / "theirs"))
    that(status == 1 and "copy to the second place FAILED" in said and "backup: complete" not in said, f"{status}: {said}")
    that(not done.exists(), "the health check counts from the last run that was whole")


def test_the_bucket_alone_names_its_folder():
    """What restic is told: a stand-in before the real one says it."""
    told = FOLDER / "stand-in"
    told.mkdir()
    (told / "restic").write_text(f'#!/bin/sh\ncase $RESTIC_REPOSITORY in s3:*) echo "$AWS_ACCESS_KEY_ID $RESTIC_FROM_REPOSITORY $RESTIC_REPOSITORY $*" >>{told}/log; exit 0 ;; esac\nexec {RESTIC} "$@"\n')
    (told / "restic").chmod(0o755)
    KEY.write_text("key")
    (FOLDER / "secrets" / "offsite_secret_key").write_text("secret of the bucket")
    status, said = backup(PATH=f"{told}:{os.environ['PATH']}", OFFSITE_S3_BUCKET="club", OFFSITE_S3_ENDPOINT="s3.example.org")
    log = (told / "log").read_text()
    that(status == 0 and f"key {FOLDER}/first s3:https://s3.example.org/club/databases copy -q" in log and "secret of the bucket" not in log + said, f"{status}: {said}{log}")


def test_s3():
    if not MOTO:
        print("note: no moto_server (PyPI, moto[server]): S3 is left out", flush=True)
        return
    port = 20000 + os.getpid() % 10000
    server = subprocess.Popen([MOTO, "-p", str(port), "-H", "127.0.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually("moto listens", lambda: subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], stderr=subprocess.DEVNULL).returncode == 0, 60)
        url, env = f"s3:http://127.0.0.1:{port}/club/databases", {"AWS_DEFAULT_REGION": "us-east-1"}
        status, said = backup(OFFSITE_RESTIC_REPOSITORY=url, **env)
        that(status == 0 and "copied to the second place" in said, f"{status}: {said}")
        env |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret of the bucket"}
        that(restic(url, "dump", "latest", f"{FOLDER}/data/file", **env) == "two", "the file comes back from the bucket")
    finally:
        server.kill()
        server.wait()


try:
    run(globals())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
