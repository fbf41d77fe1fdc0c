#!/usr/bin/env python3
"""The second place of the stack's backups: `stack/backup/database-backup` with a real restic and `kopia-start` with a real Kopia, copied elsewhere (a folder, and S3
where moto is at hand) and fetched from there, as on a host that replaces a lost one. Only folders and the port are changed in them. Needs no engine."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from labtest import ENV, ROOT, Failed, eventually, run, skip, that

BIN = pathlib.Path(ENV.get("DATAMANCY_LAB", "/var/cache/datamancy-lab")) / "bin"
RESTIC = shutil.which("restic", path=f"{BIN}:{os.environ['PATH']}")
if not RESTIC or b"--stdin-from-command" not in subprocess.run([RESTIC, "backup", "--help"], capture_output=True).stdout:
    skip("restic 0.17 or later is not there: lab/lab tools restic")
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="second-place-"))
PASSWORD, KEY = FOLDER / "secrets" / "restic_password", FOLDER / "secrets" / "offsite_access_key"
MOTO = os.environ.get("MOTO_SERVER") or shutil.which("moto_server")


def backup(verb="once", **env):
    """One run with these variables: (status, what it says)."""
    done = subprocess.run(["sh", FOLDER / "database-backup", verb], capture_output=True, text=True, timeout=600,
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


def test_a_new_host_fetches_what_the_second_place_has():
    second, new = FOLDER / "second", str(FOLDER / "new")
    status, said = backup("fetch", RESTIC_REPOSITORY=new, OFFSITE_RESTIC_REPOSITORY=str(second))
    that(status == 0 and "fetched from the second place" in said, f"{status}: {said}")
    that(len(snapshots(new)) == len(snapshots(second)) and restic(new, "dump", "latest", f"{FOLDER}/data/file") == "two", "all of it")
    status, said = backup("fetch", RESTIC_REPOSITORY=str(FOLDER / "newer"), OFFSITE_RESTIC_REPOSITORY=str(FOLDER / "nowhere"))
    that(status == 1 and "cannot be opened" in said and not (FOLDER / "nowhere").exists() and not (FOLDER / "newer").exists(), f"a wrong name makes nothing: {status}: {said}")
    status, said = backup("fetch", OFFSITE_S3_BUCKET="")
    that(status == 1 and "no second place is named" in said, f"{status}: {said}")


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


PORT = 20000 + os.getpid() % 10000
BUCKET = {"OFFSITE_S3_BUCKET": "club", "OFFSITE_S3_ENDPOINT": f"http://127.0.0.1:{PORT}"}


def listens(port):
    return subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], stderr=subprocess.DEVNULL).returncode == 0


@contextlib.contextmanager
def ended(*argv, **more):
    """A program that runs meanwhile."""
    process = subprocess.Popen([str(a) for a in argv], **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def running(process, log):
    if process.poll() is not None:
        log.seek(0)
        raise Failed(f"it ended: {log.read()}")
    return True


def test_s3():
    if not MOTO:
        print("note: no moto_server (PyPI, moto[server]): S3 is left out", flush=True)
        return
    with ended(MOTO, "-p", PORT, "-H", "127.0.0.1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        eventually("moto listens", lambda: listens(PORT), 60)
        status, said = backup(AWS_DEFAULT_REGION="us-east-1", **BUCKET)
        that(status == 0 and "copied to the second place" in said, f"{status}: {said}")
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret of the bucket"}
        that(restic(f"s3:http://127.0.0.1:{PORT}/club/databases", "dump", "latest", f"{FOLDER}/data/file", **keys) == "two", "the file comes back from the bucket")
        volumes_go_to_the_bucket_and_come_back()


def volumes_go_to_the_bucket_and_come_back():
    kopia = shutil.which("kopia", path=f"{BIN}:{os.environ['PATH']}")
    if not kopia:
        print("note: no kopia: lab/lab tools kopia", flush=True)
        return
    (FOLDER / "secrets" / "kopia_password").write_text("pass'word \"of\" $the \\ volumes")
    (FOLDER / "secrets" / "kopia_server_password").write_text("of the server")
    work = FOLDER / "volumes" / "work"
    work.mkdir(parents=True)
    (work / "notes").write_text("written by people")

    def host(name):
        """The script of a host that keeps everything below its own folder, and its port."""
        text = (ROOT / "stack" / "backup" / "kopia-start").read_text()
        port = PORT + 1 + len(name)
        for old, new in (("/tmp/", f"{FOLDER}/{name}/"), ("/run/secrets/", f"{FOLDER}/secrets/"), ("/app/", f"{FOLDER}/{name}/app/"), ("/repository/", f"{FOLDER}/{name}/repository/"), ("/data/", f"{FOLDER}/volumes/"),
                         ("0.0.0.0:51515", f"127.0.0.1:{port}")):
            that(old in text, f"kopia-start names {old}")
            text = text.replace(old, new)
        (FOLDER / name).mkdir(exist_ok=True)
        (FOLDER / name / "kopia-start").write_text(text)
        return FOLDER / name / "kopia-start", port

    env = {"PATH": f"{pathlib.Path(kopia).parent}:{os.environ['PATH']}", "HOME": str(FOLDER), "KOPIA_SERVER_USERNAME": "admin", "KOPIA_CHECK_FOR_UPDATES": "false", "OFFSITE_S3_PREFIX": "kopia/", **BUCKET}
    script, port = host("lost")
    with open(FOLDER / "lost.log", "w+") as log, ended("sh", script, env=env, stdout=log, stderr=log) as process:
        eventually("its snapshots are in the bucket", lambda: running(process, log) and (FOLDER / "lost" / "app" / "cache" / "offsite.ok").exists(), 120)
        eventually("it serves", lambda: listens(port), 60)

    def there(script, *argv):
        done = subprocess.run(["sh", script, *map(str, argv)], env=env, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    status, said = there(script, "fetch")
    that(status == 1 and "is not empty: nothing is overwritten" in said, f"{status}: {said}")
    script, port = host("new")
    status, said = there(script, "fetch")
    that(status == 0 and "fetched from the second place" in said, f"{status}: {said}")
    (work / "notes").unlink()  # the new host has nothing yet
    with open(FOLDER / "new.log", "w+") as log, ended("sh", script, env=env, stdout=log, stderr=log):
        eventually("the new host serves it", lambda: listens(port), 60)
        status, said = there(script, "run", "restore", work, FOLDER / "restored")
        that(status == 0 and (FOLDER / "restored" / "notes").read_text() == "written by people", f"{status}: {said}")


try:
    run(globals())
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
