#!/usr/bin/env python3
"""Backups on real servers: saved, verified, restored, proven by a drill; and every failure that can be staged is loud, leaves nothing
that looks whole, and the next run works."""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

from labtest import ENV, Failed, docker, engine, eventually, run, skip, that
import backup_stack

DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else backup_stack.DATAMANCY).resolve())
if not shutil.which("restic"):
    skip("restic is not installed")
if os.geteuid() != 0:
    skip("needs root, for volumes and small file systems")
S = backup_stack.Stack(DATAMANCY, rows=2000, services=("db", "app"))


def runs():
    return S.json("backup", "list")["runs"]


def next_run_works():
    made = S.json("backup", "run", status=0)
    that(made["outcome"] == "verified", f"the next run: {made['outcome']}")


def item(manifest, name):
    return next(s for s in manifest["saved"] if f"{s['subject']}/{s['item']}" == name)


def big_table():
    S.psql("create table if not exists big(a text); insert into big select repeat(md5(i::text), 20) from generate_series(1, 200000) i")


def during_copy(*argv):
    """Starts datamancy; returns it once pg_dump copies the big table."""
    child = subprocess.Popen(S.command(*argv), cwd=S.project, env=S.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually("pg_dump copies", lambda: child.poll() is not None or S.psql("select 1 from pg_stat_activity where application_name = 'pg_dump' and query like 'COPY public.big%'"), 60)
    that(child.poll() is None, "the dump is under way")
    return child


def test_a_run_is_verified_and_every_drill_is_equal():
    made = S.json("backup", "run", status=0)
    that({f"{s['subject']}/{s['item']}" for s in made["saved"]} >= {"db/(roles)", "db/shop", 'db/Second "DB', "db/empty", "project/."}, f"all is saved: {[s['item'] for s in made['saved']]}")
    S.is_proven()


def test_a_database_comes_back_beside_and_in_place_with_a_safety_copy():
    S.dm("backup", "restore", "db", "shop", "--as", "shop2", status=0)
    that(S.psql("select count(*) from orders", "shop2") == "2000", "beside")
    that(S.dm("backup", "restore", "db", "shop", "--as", "shop2")[0] != 0, "what is there is not overwritten")
    S.psql("drop database shop2", "postgres")
    S.psql("delete from orders where id > 5")
    that(S.dm("backup", "restore", "db", "shop", "--in-place")[0] == 2 and S.psql("select count(*) from orders") == "5", "nobody agreed: nothing was touched")
    S.dm("backup", "restore", "db", "shop", "--in-place", "--yes", status=0)
    that(S.psql("select count(*) from orders") == "2000", "in place")
    that(runs()[0]["outcome"] == "verified", "the safety copy is there")


def test_a_run_of_a_part_says_nothing_about_the_rest():
    S.json("backup", "run", "db", status=0)
    covered = {c["subject"]: c for c in S.json("backup", "coverage")["covered"]}
    that(all(c["finding"] == "" and c["last_backup"] != "never" for c in covered.values()), f"what was saved before is saved: {covered}")
    newest = next(c["detail"] for c in S.json("backup", "doctor")["checks"] if c["what"] == "newest run")
    whole = next(r for r in runs() if r["run"] != runs()[0]["run"])
    that(not newest.startswith("no whole") and "verified" in newest, f"the newest whole run counts: {newest} {whole}")


def test_a_volume_comes_back_in_place_and_its_services_go_on():
    uploads = pathlib.Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", f"{S.name}_uploads"))
    S.sqlite.close()
    (uploads / "a/b/f").unlink()
    (uploads / "new").write_text("later")
    S.dm("backup", "restore", f"volume:{S.name}_uploads", "--in-place", "--yes", status=0)
    that((uploads / "a/b/f").read_text() == "hi\n" and not (uploads / "new").exists() and os.stat(uploads / "a/b/f").st_nlink == 2, "as it was")
    that((uploads / ".datamancy-before-restore/new").read_text() == "later", "what was there before is kept")
    _, *said = S.dm("backup", "restore", f"volume:{S.name}_uploads", "--in-place", "--yes", status=1)
    that("earlier restore" in str(said) and (uploads / "a/b/f").exists(), f"and not written over: {said}")
    shutil.rmtree(uploads / ".datamancy-before-restore")
    that(docker("inspect", "-f", "{{.State.Running}}", S.container("app")) == "true", "the service runs again")


def test_no_secret_shows():
    S.dm("backup", "run", status=0)
    leaked = [p for p in S.work.rglob("*") if p.is_file() and "project" not in p.parts and p.name != "key" and (b"pg \"pw'" in p.read_bytes() or b"repository password" in p.read_bytes())]
    that(not leaked, f"passwords in {leaked}")


def test_a_missing_dump_program_is_a_failure():
    docker("exec", S.container("db"), "sh", "-c", "while p=$(command -v pg_dump); do mv $p $p.away; hash -r; done")
    try:
        before = len(runs())
        status, out, _ = S.dm("backup", "run")
        that(status == 1 and "failed" in out, f"status {status}: {out}")
        that(item(S.json("backup", "show"), "db/shop")["snapshot"] == "", "nothing of it is kept")
        that("nothing is forgotten" in out and len(runs()) == before + 1, "retention did not run")
    finally:
        docker("exec", S.container("db"), "sh", "-c", "for d in /usr/bin /usr/local/bin /usr/lib/postgresql/*/bin; do [ -e $d/pg_dump.away ] && mv $d/pg_dump.away $d/pg_dump; done; true")
    next_run_works()


def test_a_server_killed_half_way_is_a_failure():
    big_table()
    child = during_copy("backup", "run", "--json")
    docker("kill", S.container("db"))
    child.communicate()
    that(child.returncode == 1, f"status {child.returncode}")
    that(item(S.json("backup", "show"), "db/shop")["snapshot"] == "", "nothing of it is kept")
    S.compose("start", "db")
    eventually("PostgreSQL answers", lambda: subprocess.run([engine.docker(), "exec", S.container("db"), "pg_isready", "-h", "127.0.0.1", "-U", "shop"], env=ENV, capture_output=True).returncode == 0, 90)
    next_run_works()


def test_a_backend_that_is_terminated_is_a_failure():
    big_table()
    child = during_copy("backup", "run", "--json")
    S.psql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg_dump'")
    child.communicate()
    that(child.returncode == 1, f"status {child.returncode}")
    next_run_works()


def test_the_program_killed_leaves_nothing_that_counts():
    big_table()
    before = runs()
    child = during_copy("backup", "run", "--json")
    child.kill()
    child.communicate()
    time.sleep(1)
    that(runs() == before, "no run more than before")
    next_run_works()


def test_an_interrupted_program_ends_in_good_order():
    big_table()
    before = runs()
    child = during_copy("backup", "run", "--json")
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    that(child.returncode == 130, f"status {child.returncode}: {err}")
    that(runs() == before, "no run more than before")
    next_run_works()


def test_an_interrupted_drill_says_nothing_about_the_backup():
    child = subprocess.Popen(S.command("drill", "restore", "db", "--json"), cwd=S.project, env=S.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually("the stand-in runs", lambda: docker("ps", "-q", "--filter", f"label=datamancy.drill={S.name}"), 60)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=240)
    that(child.returncode != 1 and '"outcome": "failed"' not in out, f"{child.returncode} {out}{err}")
    that(not docker("ps", "-aq", "--filter", f"label=datamancy.drill={S.name}"), "the stand-in is gone")
    that(all(c["finding"] == "" for c in S.json("backup", "coverage")["covered"]), "no finding comes of it")


def test_a_killed_drill_is_cleaned_up_by_the_next():
    child = subprocess.Popen(S.command("drill", "restore", "db"), cwd=S.project, env=S.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually("the stand-in runs", lambda: docker("ps", "-q", "--filter", f"label=datamancy.drill={S.name}"), 60)
    child.kill()
    child.wait()
    that(docker("ps", "-aq", "--filter", f"label=datamancy.drill={S.name}"), "it was left")
    S.dm("drill", "restore", "db", status=0)
    that(not docker("ps", "-aq", "--filter", f"label=datamancy.drill={S.name}"), "it is gone")


def test_a_table_that_stays_locked_is_a_failure():
    holder = subprocess.Popen([engine.docker(), "exec", S.container("db"), "psql", "-U", "shop", "-qc", "begin; lock table orders; select pg_sleep(300)", "shop"], env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually("the lock is held", lambda: S.psql("select 1 from pg_locks where mode = 'AccessExclusiveLock' and relation = 'orders'::regclass"), 20)
    status, out, _ = S.dm("backup", "run", "db")
    that(status == 1 and "lock" in out, f"status {status}: {out}")
    S.psql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()")
    holder.wait()
    next_run_works()


def test_a_wrong_password_is_said():
    (S.work / "wrong").write_text("not it\n")
    status, _, err = S.dm("backup", "run", key=S.work / "wrong")
    that(status == 2 and "wrong password" in err, f"status {status}: {err}")


def test_a_full_disk_at_the_repository_is_a_failure():
    small = S.work / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(small)], check=True)
    try:
        status, out, err = S.dm("backup", "run", repository=small / "r")
        that(status in (1, 2), f"status {status}")
        left = S.json("backup", "list", repository=small / "r")["runs"]
        that(all(r["outcome"] != "verified" for r in left), f"nothing looks whole: {left}")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    next_run_works()


def test_a_full_disk_at_the_source_is_a_failure():
    """SQLite's copy lies beside the database for a moment."""
    import sqlite3
    full = S.project / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(full)], check=True)
    try:
        db = sqlite3.connect(full / "a.db")
        db.execute("create table t(a)")
        db.execute("insert into t values (zeroblob(600000))")
        db.commit()
        db.close()
        made = S.json("backup", "run", "project", status=1)
        that("a.db" in item(made, "project/.")["trouble"] or "full" in item(made, "project/.")["trouble"], item(made, "project/.")["trouble"])
        that(sorted(p.name for p in full.iterdir()) == ["a.db"], "no copy stays")
    finally:
        subprocess.run(["umount", str(full)], check=True)
    next_run_works()


def test_a_damaged_repository_is_found():
    broken = S.work / "broken"
    shutil.copytree(S.repository, broken)
    # What a killed run left belongs to no index, and a check passes it over: it is taken away, so that the damage hits what counts.
    for verb in ("unlock", "prune"):
        subprocess.run(["restic", verb], env={**os.environ, "RESTIC_REPOSITORY": str(broken), "RESTIC_PASSWORD": "repository password"}, check=True, capture_output=True)
    packs = sorted((p for p in (broken / "data").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    with open(packs[-1], "r+b") as file:
        at = packs[-1].stat().st_size // 2
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))
    packs[-1].chmod(0o600)
    that(S.dm("backup", "verify", "--read-data", repository=broken)[0] == 1, "one flipped bit is found")


def test_a_locked_repository_is_said_and_unlocked():
    """A check that is killed leaves a lock that excludes everybody."""
    env = {**os.environ, "RESTIC_REPOSITORY": str(S.repository), "RESTIC_PASSWORD": "repository password"}
    child = subprocess.Popen(["restic", "check", "--read-data", "--limit-download", "50"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually("it is locked", lambda: list((S.repository / "locks").iterdir()), 30)
    child.kill()
    child.wait()
    that(list((S.repository / "locks").iterdir()), "the lock stays")
    S.dm("backup", "unlock", status=0)
    that(not list((S.repository / "locks").iterdir()), "the lock is gone")
    next_run_works()


def test_the_password_changes_and_nothing_is_uploaded_again():
    (S.work / "new key").write_text("another password\n")
    before = sum(p.stat().st_size for p in (S.repository / "data").rglob("*") if p.is_file())
    S.dm("backup", "password", "--new-password-file", str(S.work / "new key"), status=0)
    that(S.dm("backup", "list")[0] == 2, "the old one opens nothing")
    shutil.copy(S.work / "new key", S.work / "key")
    that(sum(p.stat().st_size for p in (S.repository / "data").rglob("*") if p.is_file()) == before, "the data is as it was")
    next_run_works()


def test_an_off_site_copy_is_restored_from_alone():
    S.dm("backup", "replicate", "--to", str(S.work / "offsite"), status=0)
    that(S.json("drill", "restore", "db", repository=S.work / "offsite", status=0)["outcome"] == "verified", "it comes back from there")
    S.dm("backup", "restore", "--all", "--to", str(S.work / "out"), repository=S.work / "offsite", status=0)
    done = subprocess.run([DATAMANCY, "backup", "inspect", str(S.work / "out/db/db-shop.sql")], capture_output=True, text=True)
    that(done.returncode == 0 and "whole" in done.stdout, done.stdout)


def test_a_mirror_does_not_take_over_deletion_or_damage():
    if not shutil.which("rsync"):
        return
    mirror = S.work / "mirror"
    S.dm("backup", "replicate", "--to", f"rsync:{mirror}", status=0)
    packs = sorted(p.relative_to(S.repository) for p in (S.repository / "data").rglob("*") if p.is_file())
    saved = {p: (S.repository / p).read_bytes() for p in packs[:2]}
    (S.repository / packs[0]).chmod(0o600)
    (S.repository / packs[0]).write_bytes(b"damaged")
    (S.repository / packs[1]).unlink()
    S.dm("backup", "replicate", "--to", f"rsync:{mirror}")
    that((mirror / packs[0]).read_bytes() == saved[packs[0]] and (mirror / packs[1]).exists(), "the mirror is whole")
    that(S.dm("backup", "verify", "--read-data", repository=mirror)[0] == 0, "it verifies")
    that(S.json("drill", "restore", "db", repository=mirror, status=0)["outcome"] == "verified", "and comes back")
    for path, content in saved.items():
        (S.repository / path).write_bytes(content)
    next_run_works()


def test_an_append_only_repository_takes_backups_and_lets_nothing_be_deleted():
    if not shutil.which("rclone"):
        return
    port, store = 28000 + os.getpid() % 10000, S.work / "far"
    store.mkdir()
    server = subprocess.Popen(["rclone", "serve", "restic", "--append-only", "--addr", f"127.0.0.1:{port}", str(store)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "RCLONE_CONFIG": "/dev/null"})
    try:
        url = f"rest:http://127.0.0.1:{port}/"
        eventually("the server listens", lambda: subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], stderr=subprocess.DEVNULL).returncode == 0, 20)
        S.json("backup", "run", repository=url, status=0)
        before = sorted(str(p) for p in store.rglob("*") if p.is_file() and "locks" not in p.parts)
        env = {**os.environ, "RESTIC_REPOSITORY": url, "RESTIC_PASSWORD": (S.work / "key").read_text().strip()}
        done = subprocess.run(["restic", "forget", "--unsafe-allow-remove-all", "--host", S.name, "--prune"], env=env, capture_output=True, text=True)
        that(done.returncode != 0, f"deleting is refused: {done.stdout}{done.stderr}")
        that(sorted(str(p) for p in store.rglob("*") if p.is_file() and "locks" not in p.parts) == before, "nothing is gone")
        that(S.dm("backup", "verify", "--read-data", repository=url)[0] == 0, "all is there")
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    random.seed(1)
    if not engine.find()[1]:
        skip("no engine answers")
    try:
        S.__enter__()
        run(globals(), needs=("postgres", "base"))
    finally:
        S.__exit__()
