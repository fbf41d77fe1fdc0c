#!/usr/bin/env python3
"""Repositories on real servers of this machine's loopback: restic by S3, SFTP and REST, a mirror by rsync over SSH, and Kopia as the second
engine in a folder; each through run, list, verify, restore, drill, retention, damage, and a network that is lost."""
import contextlib
import getpass
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from labtest import PATIENCE, engine, eventually, run, skip, that
import backup_stack

DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else backup_stack.DATAMANCY).resolve())
if not shutil.which("restic"):
    skip("restic is not installed")
if os.geteuid() != 0:
    skip("needs root, for volumes")
S = backup_stack.Stack(DATAMANCY, rows=500, services=("db", "app"))
PORT = 20000 + os.getpid() % 10000
SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
MOTO = os.environ.get("MOTO_SERVER") or shutil.which("moto_server")  # PyPI's moto[server]


def listens(port):
    return subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], stderr=subprocess.DEVNULL).returncode == 0


def server(port, *argv, **more):
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    eventually(f"{argv[0]} listens", lambda: listens(port), 40)
    return child


def settings(text):
    (S.project / ".datamancy.yml").write_text(text)


def dm(*argv, status=None, env=None):
    """With the repositories of .datamancy.yml."""
    done = subprocess.run([DATAMANCY, *argv], cwd=S.project, env=S.env(env), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if status is not None:
        that(done.returncode == status, f"datamancy {' '.join(argv)}: status {done.returncode}, not {status}\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    return done.stdout


def whole_life(name):
    """What every repository must be able to do."""
    first = json.loads(dm("backup", "run", "--json", status=0))
    second = json.loads(dm("backup", "run", "--json", status=0))
    that(first["outcome"] == second["outcome"] == "verified", f"{name}: both runs are verified")
    listed = json.loads(dm("backup", "list", "--json", status=0))
    that([r["run"] for r in listed["runs"]] == [second["run"], first["run"]], f"{name}: the list has both, the newest first: {listed}")
    dm("backup", "verify", "--read-data", status=0)
    dm("backup", "restore", "--all", "--to", str(S.work / f"out-{name}"), status=0)
    that((S.work / f"out-{name}" / "db" / "db-shop.sql").stat().st_size == next(s["bytes"] for s in second["saved"] if s["item"] == "shop"), f"{name}: the dump comes back whole")
    that(json.loads(dm("drill", "restore", "--all", "--json", status=0))["outcome"] == "verified", f"{name}: every drill is equal")
    gone = json.loads(dm("backup", "forget", "--yes", "--json", status=0))["forgotten"]
    that(gone > 0, f"{name}: retention forgets the first run ({gone} snapshots)")
    that([r["run"] for r in json.loads(dm("backup", "list", "--json", status=0))["runs"]] == [second["run"]], f"{name}: one run is left")
    that(json.loads(dm("backup", "prune", "--json", status=0))["pruned"], f"{name}: the space is freed")
    dm("backup", "verify", "--read-data", status=0)


KEEP = "  keep: {latest: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, annual: 0}\n"


def repository(url, kind="restic", more=""):
    return f"backup:\n  repositories:\n    main: {{url: '{url}', kind: {kind}, password_file: {S.work}/key{more}}}\n{KEEP}"


def test_restic_by_s3():
    if not MOTO:
        return
    child = server(PORT, MOTO, "-p", str(PORT), "-H", "127.0.0.1")
    try:
        (S.work / "s3.env").write_text("AWS_ACCESS_KEY_ID=test\nAWS_SECRET_ACCESS_KEY=secret-of-the-bucket\nAWS_DEFAULT_REGION=us-east-1\n")
        settings(repository(f"s3:http://127.0.0.1:{PORT}/bucket/shop", more=f", env_file: {S.work}/s3.env"))
        whole_life("s3")
        child.kill()
        child.wait()
        done = subprocess.run([DATAMANCY, "backup", "run"], cwd=S.project, env=S.env(), capture_output=True, text=True, timeout=600)
        that(done.returncode != 0 and "secret-of-the-bucket" not in done.stdout + done.stderr, f"a server that is gone is a failure: {done.returncode}")
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def ssh_server(port, name):
    """A real sshd on loopback with a key for us; gives the folder with `user` (the key) and `known_hosts`."""
    home = S.work / name
    home.mkdir(mode=0o700)
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / key)], check=True)
    shutil.copy(home / "user.pub", home / "authorized_keys")
    key = (home / "host.pub").read_text().split()
    (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {key[0]} {key[1]}\n")
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    child = server(port, SSHD, "-D", "-f", "/dev/null", "-p", str(port), "-h", str(home / "host"), "-o", "ListenAddress=127.0.0.1", "-o", f"AuthorizedKeysFile={home}/authorized_keys", "-o", "StrictModes=no",
                   "-o", "PasswordAuthentication=no", "-o", "UsePAM=no", "-o", f"PidFile={home}/pid", "-o", "Subsystem=sftp internal-sftp", "-o", "PermitRootLogin=yes")
    try:
        yield home
    finally:
        child.kill()
        child.wait()


def test_restic_by_sftp():
    if not os.path.exists(SSHD):
        return
    port = PORT + 1
    with ssh_server(port, "ssh") as home:
        options = f", options: ['sftp.args=-p {port} -i {home}/user -o UserKnownHostsFile={home}/known_hosts -o StrictHostKeyChecking=yes']"
        settings(repository(f"sftp:{getpass.getuser()}@127.0.0.1:{S.work}/far", more=options))
        whole_life("sftp")


def test_a_mirror_by_rsync_over_ssh():
    """Item O15: encrypted files to a machine with nothing but rsync and SSH, and back from there."""
    if not os.path.exists(SSHD) or not shutil.which("rsync"):
        return
    port, source, far = PORT + 3, S.work / "mirrored", S.work / "mirror by ssh"
    with ssh_server(port, "ssh2") as home:
        def settings_with(known_hosts):
            settings(f"backup:\n  repositories:\n    main: {{url: '{source}', password_file: {S.work}/key}}\n"
                     f"    far: {{url: 'rsync:{getpass.getuser()}@127.0.0.1:{far}', copy_of: main, options: [Port={port}, IdentityFile={home}/user, UserKnownHostsFile={known_hosts}]}}\n")
        settings_with(home / "known_hosts")
        dm("backup", "run", status=0)
        dm("backup", "replicate", status=0)
        files = {p.relative_to(source) for p in source.rglob("*") if p.is_file() and "locks" not in p.parts}
        that(files == {p.relative_to(far) for p in far.rglob("*") if p.is_file()}, "every file is there")
        that(all((source / p).read_bytes() == (far / p).read_bytes() for p in files), "and equal")
        # Deletion and damage here do not follow.
        pack = max((p for p in files if p.parts[0] == "data"), key=lambda p: (source / p).stat().st_size)
        whole = (source / pack).read_bytes()
        (source / pack).chmod(0o600)
        (source / pack).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        done = subprocess.run([DATAMANCY, "backup", "replicate"], cwd=S.project, env=S.env(), capture_output=True, text=True)
        that((far / pack).read_bytes() == whole, f"what is whole there stays whole: {done.stdout}{done.stderr}")
        (source / pack).unlink()
        subprocess.run([DATAMANCY, "backup", "replicate"], cwd=S.project, env=S.env(), capture_output=True, text=True)
        that((far / pack).read_bytes() == whole, "what is gone here stays there")
        that(S.json("drill", "restore", "db", repository=far, status=0)["outcome"] == "verified", "and comes back from there")
        (source / pack).write_bytes(whole)
        # Another host key is refused.
        (home / "other").write_text(f"[127.0.0.1]:{port} {(home / 'user.pub').read_text()}")
        settings_with(home / "other")
        dm("backup", "run", status=0)
        done = subprocess.run([DATAMANCY, "backup", "replicate"], cwd=S.project, env=S.env(), capture_output=True, text=True)
        that(done.returncode == 1 and "key" in done.stdout.lower() + done.stderr.lower(), f"a host with another key gets nothing: {done.returncode} {done.stdout}{done.stderr}")
        that(len(list((far / "snapshots").iterdir())) < len(list((source / "snapshots").iterdir())), "nothing new is there")
        settings_with(home / "known_hosts")
        dm("backup", "replicate", status=0)
    done = subprocess.run([DATAMANCY, "backup", "replicate"], cwd=S.project, env=S.env(), capture_output=True, text=True)
    that(done.returncode == 1 and "refused" in done.stdout + done.stderr, f"a host that is gone is a failure: {done.returncode} {done.stdout}{done.stderr}")


def stopped_with_a_lock(child, store):
    """Stops the server while pg_dump copies and a lock lies there; from then on nobody removes it."""
    child.send_signal(signal.SIGSTOP)
    if any((store / "locks").iterdir()) and S.psql("select 1 from pg_stat_activity where application_name = 'pg_dump' and query like 'COPY public.lost%'"):
        return True
    child.send_signal(signal.SIGCONT)
    return False


def test_a_network_that_is_lost_half_way_and_comes_back():
    """The off-site server goes while the dump streams there: a run waits for it, and ends verified when it is back."""
    if not shutil.which("rclone"):
        return
    port, store = PORT + 4, S.work / "rest2"
    store.mkdir()
    start = lambda: server(port, "rclone", "serve", "restic", "--addr", f"127.0.0.1:{port}", str(store), env={**os.environ, "RCLONE_CONFIG": "/dev/null"})  # noqa: E731
    child = start()
    try:
        settings(repository(f"rest:http://127.0.0.1:{port}/"))
        dm("backup", "run", status=0)
        S.psql("create table if not exists lost(a text); insert into lost select md5(random()::text) || repeat(md5(i::text), 20) from generate_series(1, 100000) i")
        run_now = subprocess.Popen([DATAMANCY, "backup", "run", "--json"], cwd=S.project, env=S.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        eventually("pg_dump copies", lambda: run_now.poll() is not None or S.psql("select 1 from pg_stat_activity where application_name = 'pg_dump' and query like 'COPY public.%'"), 60)
        child.kill()
        child.wait()
        time.sleep(15)
        that(run_now.poll() is None, f"it waits: {run_now.returncode}")
        child = start()
        out, err = run_now.communicate(timeout=900)
        that(run_now.returncode == 0 and json.loads(out)["outcome"] == "verified", f"{run_now.returncode} {out[-500:]}{err[-500:]}")
        dm("backup", "verify", "--read-data", status=0)
        # And where it does not come back: it is given up, after as long as is asked for, however many streams wait. Slowly, and of what is not there yet:
        # the dump must last.
        settings(repository(f"rest:http://127.0.0.1:{port}/", more=", upload_limit: 500"))
        S.psql("insert into lost select string_agg(md5(random()::text), '') from generate_series(1, 400000) i group by i / 20")
        runs = json.loads(dm("backup", "list", "--json", status=0))["runs"]
        run_now = subprocess.Popen([DATAMANCY, "backup", "run", "--json", "--stall-timeout", "30s"], cwd=S.project, env=S.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        eventually("the dump goes on while a lock is there", lambda: run_now.poll() is not None or stopped_with_a_lock(child, store), 60)
        child.kill()
        child.wait()
        begin = time.monotonic()
        out, err = run_now.communicate(timeout=1200)
        seconds = time.monotonic() - begin
        print(f"       gave up after {seconds:.0f} s with {run_now.returncode}: {err.strip()[-300:]}")
        that(run_now.returncode == 2 and "given up after 30 s in which nothing moved" in err, f"{run_now.returncode} {err}")
        that(seconds < 30 + 15 * PATIENCE, f"after what it says, and not after twice of it: {seconds:.0f} s")
        that(any((store / "locks").iterdir()), "a lock is left")
        child = start()
        dm("backup", "verify", status=0)
        that(json.loads(dm("backup", "list", "--json", status=0))["runs"] == runs, "no run more than before")
        dm("backup", "run", status=0)
        # What was killed has left its lock: nobody has to unlock by hand before all is checked, forgotten and freed.
        dm("backup", "verify", status=0)
        dm("backup", "forget", "--yes", "--prune", status=0)
        dm("backup", "prune", status=0)
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def dropped(port):
    """No packet passes to or from this port of loopback, and nobody says so."""
    rules = [["INPUT", "-i", "lo", "-p", "tcp", f"--{side}", str(port), "-j", "DROP"] for side in ("dport", "sport")]
    for rule in rules:
        subprocess.run(["iptables", "-w", "-I", *rule], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-w", "-D", *rule], check=True)


def test_an_off_site_copy_whose_packets_are_dropped_is_given_up_and_the_local_one_stays():
    if not shutil.which("rclone") or not shutil.which("iptables"):
        return
    port, store = PORT + 5, S.work / "rest3"
    store.mkdir()
    child = server(port, "rclone", "serve", "restic", "--addr", f"127.0.0.1:{port}", str(store), env={**os.environ, "RCLONE_CONFIG": "/dev/null"})
    try:
        settings(f"backup:\n  repositories:\n    main: {{url: '{S.work}/near', password_file: {S.work}/key}}\n    far: {{url: 'rest:http://127.0.0.1:{port}/', password_file: {S.work}/key, copy_of: main, stall_timeout: 30s}}\n")
        dm("backup", "run", status=0)
        dm("backup", "replicate", status=0)
        S.psql("drop table if exists far; create table far as select md5(random()::text) || md5(random()::text) as a from generate_series(1, 300000) i")
        made = json.loads(dm("backup", "run", "--json", status=0))
        child_now = subprocess.Popen([DATAMANCY, "backup", "replicate"], cwd=S.project, env=S.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        before = sum(p.stat().st_size for p in store.rglob("*") if p.is_file())
        eventually("something arrives there", lambda: child_now.poll() is not None or any(p.is_file() and "locks" in p.parts for p in store.rglob("*")), 60)
        with dropped(port):
            out, err = child_now.communicate(timeout=1200)
            that(child_now.returncode == 1 and "given up after 30 s in which nothing moved" in out + err, f"{child_now.returncode} {out}{err}")
            that(json.loads(dm("backup", "list", "--json", status=0))["runs"][0]["outcome"] == "verified", "the local run is what it was")
            dm("backup", "verify", "--read-data", status=0)
        dm("backup", "replicate", status=0)
        that(json.loads(dm("backup", "list", "--repository", "far", "--json", status=0))["runs"][0]["run"] == made["run"], f"the next copy brings it there (before: {before} bytes)")
    finally:
        child.kill()
        child.wait()


def test_restic_by_rest():
    if not shutil.which("rclone"):
        return
    port, store = PORT + 2, S.work / "rest"
    store.mkdir()
    child = server(port, "rclone", "serve", "restic", "--addr", f"127.0.0.1:{port}", str(store), env={**os.environ, "RCLONE_CONFIG": "/dev/null"})
    try:
        settings(repository(f"rest:http://127.0.0.1:{port}/"))
        whole_life("rest")
    finally:
        child.kill()
        child.wait()


def test_kopia_in_a_folder():
    if not shutil.which("kopia"):
        return
    settings(repository(f"{S.work}/kopia", kind="kopia"))
    whole_life("kopia")


def test_kopia_finds_damage_and_a_wrong_password():
    if not shutil.which("kopia"):
        return
    # A repository with one run: of what is forgotten Kopia keeps the contents for a day, and damage there matters to nobody.
    settings(repository(f"{S.work}/kopia1", kind="kopia"))
    dm("backup", "run", status=0)
    packs = sorted((p for p in (S.work / "kopia1").glob("p*/**/*") if p.is_file()), key=lambda p: p.stat().st_size)
    with open(packs[-1], "r+b") as file:
        file.seek(packs[-1].stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    shutil.rmtree(S.work / "state", ignore_errors=True)  # with it Kopia's cache, which still has the whole pack
    done = subprocess.run([DATAMANCY, "backup", "verify", "--read-data"], cwd=S.project, env=S.env(), capture_output=True, text=True)
    that(done.returncode == 1, f"one flipped bit is found: {done.returncode} {done.stdout}{done.stderr}")
    (S.work / "wrong").write_text("not it\n")
    done = subprocess.run([DATAMANCY, "backup", "run", "--password-file", str(S.work / "wrong")], cwd=S.project, env=S.env(), capture_output=True, text=True)
    that(done.returncode == 2 and "wrong password" in done.stderr, f"a wrong password is said: {done.returncode} {done.stderr}")


def test_kopia_keeps_nothing_of_a_failed_dump():
    if not shutil.which("kopia"):
        return
    settings(repository(f"{S.work}/kopia2", kind="kopia"))
    S.psql("create table if not exists big(a text); insert into big select repeat(md5(i::text), 20) from generate_series(1, 200000) i")
    child = subprocess.Popen([DATAMANCY, "backup", "run", "--json"], cwd=S.project, env=S.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually("pg_dump copies", lambda: child.poll() is not None or S.psql("select 1 from pg_stat_activity where application_name = 'pg_dump' and query like 'COPY public.big%'"), 60)
    S.psql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg_dump'")
    child.communicate()
    that(child.returncode == 1, f"status {child.returncode}")
    shop = next(s for s in json.loads(dm("backup", "show", "--json"))["saved"] if s["item"] == "shop")
    that(shop["snapshot"] == "" and shop["outcome"] == "failed", f"nothing of it is kept: {shop['outcome']}")
    that(json.loads(dm("backup", "run", "--json", status=0))["outcome"] == "verified", "the next run works")


if __name__ == "__main__":
    if not engine.find()[1]:
        skip("no engine answers")
    try:
        S.__enter__()
        run(globals(), needs=("postgres", "base"))
    finally:
        S.__exit__()
