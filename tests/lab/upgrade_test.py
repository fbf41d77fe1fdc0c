#!/usr/bin/env python3
"""Newer images are found in a real registry, and PostgreSQL goes from one major version to another through dump and restore: equal, the
old data kept, and back again where the new version does not come up."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from labtest import ENV, LABEL, docker, engine, eventually, run, skip, that
from labkit.common import BIN, CannotDo
import backup_stack
import older_postgres

os.environ["PATH"] = ENV["PATH"] = f"{BIN}:{os.environ['PATH']}"
DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else backup_stack.DATAMANCY).resolve())
REGISTRY = shutil.which("docker-registry")
if not shutil.which("restic"):
    skip("restic is not installed: lab/lab programs restic")
if not REGISTRY:
    skip("no image registry: apt-get install docker-registry")
if os.geteuid() != 0:
    skip("needs root, for volumes")
KEY, VALUE = LABEL.split("=")
NAME = f"dmtest-upgrade-{os.getpid()}"
WORK = pathlib.Path(tempfile.mkdtemp(prefix="dmtest-upgrade-"))
PROJECT = WORK / "project"
PORT = 21000 + os.getpid() % 8000
HUB = f"127.0.0.1:{PORT}"
PLUGINS = WORK / "docker/cli-plugins"
COMPOSE = f"""# the tag below is what changes
name: {NAME}
x-mark: &mark {{labels: {{{KEY}: {VALUE}}}}}
services:
  db:
    <<: *mark
    image: "{HUB}/club/postgres:15"   # PostgreSQL
    environment: {{POSTGRES_USER: shop, POSTGRES_PASSWORD: geheim, POSTGRES_DB: shop}}
    healthcheck: {{test: [CMD-SHELL, "pg_isready -h 127.0.0.1 -U shop"], interval: 1s, retries: 60}}
    volumes: [data:/var/lib/postgresql/data]
  app:
    <<: *mark
    image: {HUB}/club/app:1.0
    init: true
    environment: {{PGPASSWORD: geheim}}
    command: [sh, -c, "while :; do psql -h db -U shop -c 'insert into ticks default values' shop >/dev/null 2>&1; sleep 0.2; done"]
    depends_on: {{db: {{condition: service_healthy}}}}
volumes: {{data: *mark}}
networks: {{default: *mark}}
"""
SUM = "select count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) from orders t"


def env():
    return {**ENV, "DATAMANCY_STATE": str(WORK / "state"), "DOCKER_CONFIG": str(PLUGINS.parent)}


def dm(*argv, status=None):
    done = subprocess.run([DATAMANCY, *map(str, argv)], cwd=PROJECT, env=env(), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if status is not None:
        that(done.returncode == status, f"datamancy {' '.join(map(str, argv))}: status {done.returncode}, not {status}\n{done.stdout[-4000:]}{done.stderr[-3000:]}")
    return done


def upgrade(*argv, status=0):
    return dm("upgrade", *argv, "--repository", WORK / "repository", "--password-file", WORK / "key", "--quiet", status=status)


def psql(sql, database="shop"):
    return docker("exec", "-i", f"{NAME}-db-1", "psql", "-U", "shop", "-XAtq", "-v", "ON_ERROR_STOP=1", database, data=sql)


def push(source, name):
    docker("tag", source, f"{HUB}/club/{name}")
    docker("push", f"{HUB}/club/{name}")


def version():
    return psql("show server_version").split(".")[0]


def lines():
    return {s["service"]: s for s in json.loads(dm("outdated", "--json").stdout)["services"]}


def test_newer_images_are_found_with_their_traps():
    found = lines()
    that(found["db"]["state"] == "newer" and found["db"]["newest"] == "17" and found["db"]["step"] == "major", found["db"])
    that(found["db"]["data"] == "dump and restore" and "major version" in found["db"]["traps"][0], found["db"])
    that(found["app"]["state"] == "newer" and found["app"]["within"] == found["app"]["newest"] == "1.10", found["app"])
    that(dm("outdated").returncode == 1, "a newer one is a finding")


def test_a_tag_that_has_moved_is_found():
    docker("build", "-q", "-t", f"{HUB}/club/app:1.0", "--label", LABEL, "-", data="FROM datamancy-lab/postgres:17\nLABEL moved=yes\n")
    docker("push", f"{HUB}/club/app:1.0")
    old = docker("images", "-q", "datamancy-lab/postgres:17")
    docker("tag", old, f"{HUB}/club/app:1.0")
    that(lines()["app"]["tag_moved"], lines()["app"])


def test_without_the_registry_nothing_is_up_to_date():
    text = (PROJECT / "compose.yaml").read_text()
    (PROJECT / "compose.yaml").write_text(text.replace(HUB, "127.0.0.1:9"))
    try:
        done = dm("outdated", "--json", status=2)
        that({s["state"] for s in json.loads(done.stdout)["services"]} == {"unknown"} and "up to date" not in dm("outdated").stdout, done.stdout)
    finally:
        (PROJECT / "compose.yaml").write_text(text)


def test_the_plan_touches_nothing():
    text = (PROJECT / "compose.yaml").read_text()
    done = upgrade("db", "--to", "17", "--dry-run")
    that("trap:" in done.stdout and "keep the data" in done.stdout and "stop app" in done.stdout, done.stdout)
    that(upgrade("db", "--to", "17", status=2).returncode == 2, "nobody agreed")
    that((PROJECT / "compose.yaml").read_text() == text and version() == "15", "nothing changed")


def test_a_tag_that_is_not_there_changes_nothing():
    done = upgrade("db", "--to", "16", "--yes", status=2)
    that("pulling" in done.stderr and version() == "15" and docker("inspect", "-f", "{{.State.Running}}", f"{NAME}-app-1") == "true", done.stderr)


def test_a_new_version_that_does_not_start_goes_back_with_its_data():
    before, text = psql(SUM), (PROJECT / "compose.yaml").read_text()
    done = upgrade("db", "--to", "17-broken", "--yes", status=1)
    that("runs " + f"{HUB}/club/postgres:15 again" in done.stdout, done.stdout + done.stderr)
    that(version() == "15" and psql(SUM) == before and (PROJECT / "compose.yaml").read_text() == text, "as it was")
    that([v for v in docker("volume", "ls", "-q").split() if v.startswith(NAME)] == [f"{NAME}_data"], "no volume more")
    ticks = int(psql("select count(*) from ticks"))
    eventually("the application writes again", lambda: int(psql("select count(*) from ticks")) > ticks, 30)


def ended_at(marker, also=lambda: True, how=signal.SIGKILL):
    """Starts the upgrade to 17 and ends it by `how` once it says `marker` and `also()` holds. Gives its exit status and the rest of what it said."""
    argv = [DATAMANCY, "upgrade", "db", "--to", "17", "--yes", "--repository", str(WORK / "repository"), "--password-file", str(WORK / "key"), "--quiet"]
    child = subprocess.Popen(argv, cwd=PROJECT, env=env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
    for line in child.stdout:
        if marker in line:
            break
    eventually("it is there", lambda: child.poll() is not None or also(), 60)
    that(child.poll() is None, f"it is still at work after '{marker}'")
    child.send_signal(how)
    rest = child.stdout.read()
    return child.wait(), rest


def test_interrupted_half_way_it_is_left_to_the_next_run_and_up_waits_for_it():
    before, text = psql(SUM), (PROJECT / "compose.yaml").read_text()
    status, said = ended_at("are kept in volume", how=signal.SIGINT)
    that(status != 0 and "interrupted half-way: 'datamancy upgrade db' goes back first; 'up' waits for that" in said, f"it says what it leaves: {status} {said}")
    shape = lambda: sorted(docker("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}", "--filter", f"label=com.docker.compose.project={NAME}").splitlines())  # noqa: E731
    left = shape()
    waits = dm("up", "--no-preflight", status=2)
    that("was interrupted: 'datamancy upgrade db' goes back first" in waits.stderr and shape() == left, f"up touches nothing: {waits.stderr}")
    done = upgrade("db", "--to", "16", "--yes", status=2)  # goes back, and finds no such tag then
    that("runs " + f"{HUB}/club/postgres:15 again" in done.stdout, done.stdout + done.stderr)
    that(version() == "15" and psql(SUM) == before and (PROJECT / "compose.yaml").read_text() == text, "as it was")
    for volume in [v for v in docker("volume", "ls", "-q").split() if v.startswith(f"{NAME}_data.undone-")]:
        docker("volume", "rm", volume)
    dm("up", "--no-preflight", status=0)


def test_killed_half_way_it_goes_back_first():
    before, text = psql(SUM), (PROJECT / "compose.yaml").read_text()
    files = lambda: subprocess.run([engine.docker(), "exec", f"{NAME}-db-1", "cat", "/var/lib/postgresql/data/PG_VERSION"], env=ENV, capture_output=True, text=True).stdout.strip()  # noqa: E731
    stages = (("no client reaches it any more", lambda: True), ("streams, verified and read back", lambda: True), ("are kept in volume", lambda: True), ("are kept in volume", lambda: files() == "17"))
    for marker, also in stages:
        ended_at(marker, also)
        that("interrupted" in upgrade("db", "--to", "17", "--dry-run", status=2).stderr, "the plan says it")
        that("interrupted" in upgrade("db", "--to", "17", status=2).stderr, "nobody agreed: nothing is touched")
        done = upgrade("db", "--to", "16", "--yes", status=2)  # goes back, and finds no such tag then
        that("runs " + f"{HUB}/club/postgres:15 again" in done.stdout and "pulling" in done.stderr, f"{marker}: {done.stdout}{done.stderr}")
        that(version() == "15" and psql(SUM) == before and (PROJECT / "compose.yaml").read_text() == text, f"{marker}: as it was")
        undone = [v for v in docker("volume", "ls", "-q").split() if v.startswith(f"{NAME}_data.undone-")]
        that(len(undone) <= 1 and (not also() or not undone or undone[0] in done.stdout), f"{marker}: what the new version wrote is kept, and named: {done.stdout}")
        for volume in undone:
            docker("volume", "rm", volume)
        that([v for v in docker("volume", "ls", "-q").split() if v.startswith(NAME)] == [f"{NAME}_data"], f"{marker}: no volume more")
        ticks = int(psql("select count(*) from ticks"))
        eventually("the application writes again", lambda: int(psql("select count(*) from ticks")) > ticks, 30)


FORGE = f"""name: {NAME}-forge
x-mark: &mark {{labels: {{{KEY}: {VALUE}}}}}
services:
  forge:
    <<: *mark
    image: {HUB}/forgejo/forgejo:11.0
    init: true
    volumes: [forge:/data]
volumes: {{forge: *mark}}
networks: {{default: *mark}}
"""


def test_a_way_back_that_is_killed_goes_on_where_it_was():
    """A product that changes its files in place; the new version writes into them and ends. The way back is killed after each of its steps."""
    docker("build", "-q", "-t", f"{HUB}/forgejo/forgejo:11.0", "--label", LABEL, "-", data="FROM datamancy-lab/base:13\nCMD [\"sleep\", \"infinity\"]\n")
    docker("build", "-q", "-t", f"{HUB}/forgejo/forgejo:11.1", "--label", LABEL, "-", data="FROM datamancy-lab/base:13\nENTRYPOINT [\"sh\", \"-c\", \"rm -f /data/d1/f1; date >>/data/migrated; exit 1\"]\n")
    for tag in ("11.0", "11.1"):
        docker("push", f"{HUB}/forgejo/forgejo:{tag}")
    project = WORK / "forge"
    project.mkdir()
    (project / "compose.yaml").write_text(FORGE)
    compose = [str(engine.compose()), "-f", str(project / "compose.yaml")]
    argv = [DATAMANCY, "upgrade", "forge", "--to", "11.1", "--yes", "--repository", str(WORK / "forge-repository"), "--password-file", str(WORK / "key"), "--quiet"]
    try:
        subprocess.run([*compose, "up", "-d"], env=env(), check=True, capture_output=True)
        forge = f"{NAME}-forge-forge-1"
        docker("exec", forge, "sh", "-c", "for d in $(seq 60); do mkdir /data/d$d; for f in $(seq 300); do echo $d $f >/data/d$d/f$f; done; done; chown -R 1000:1000 /data/d7")
        tree = lambda: docker("exec", forge, "sh", "-c", "cd /data && find . -type f | sort | xargs cat | sha256sum; find . | sort | xargs stat -c '%n %u %a' | sha256sum")  # noqa: E731
        before = tree()
        place = pathlib.Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", f"{NAME}-forge_forge"))
        markers = (("entries that the new version wrote", lambda: True), ("entries that the new version wrote", lambda: sum(1 for _ in place.glob("d*/*")) > 200))
        for marker, also in markers:
            child = subprocess.Popen(argv, cwd=project, env=env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
            said = []
            for line in child.stdout:
                said.append(line)
                if marker in line:
                    break
            eventually("it is there", lambda: child.poll() is not None or also(), 60)
            that(child.poll() is None, f"it is still at work after '{marker}': {said}")
            child.kill()
            child.wait()
            # The next run is killed on its way, too: between two notes.
            child = subprocess.Popen(argv, cwd=project, env=env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
            eventually("it goes on", lambda: child.poll() is not None or sum(1 for _ in place.glob("d*/*")) > 100, 60)
            child.kill()
            child.wait()
            done = subprocess.run([*argv[:4], "11.7", *argv[5:]], cwd=project, env=env(), capture_output=True, text=True, stdin=subprocess.DEVNULL)  # no such tag
            that(f"runs {HUB}/forgejo/forgejo:11.0 again, with the data of before" in done.stdout, f"{done.stdout}{done.stderr}")
            that(tree() == before and (project / "compose.yaml").read_text() == FORGE, "as it was")
            failed = [p for p in place.parent.glob("_data.failed-*")]
            that(len(failed) == 1 and (failed[0] / "migrated").exists() and not (failed[0] / "d1/f1").exists(), f"what the new version wrote is kept, apart: {failed}")
            for path in place.parent.glob("_data.*"):
                shutil.rmtree(path)
    finally:
        subprocess.run([*compose, "down", "-v", "-t", "0"], env=env(), capture_output=True)


def test_postgresql_15_becomes_17_with_all_its_data():
    before, roles = psql(SUM), psql("select string_agg(rolname, ',' order by rolname) from pg_roles where rolname !~ '^pg_'")
    done = upgrade("db", "--to", "17", "--yes")
    that(version() == "17", "the new version runs")
    that(psql(SUM) == before and psql("select string_agg(rolname, ',' order by rolname) from pg_roles where rolname !~ '^pg_'") == roles, "the data is equal")
    that(psql("select count(*) from pg_largeobject_metadata") == "20", "large objects too")
    that(int(psql("select count(*) from ticks")) > 0 and "equal" in done.stdout, done.stdout)
    text = (PROJECT / "compose.yaml").read_text()
    that(text == COMPOSE.replace("postgres:15", "postgres:17"), "one tag changed, nothing else")
    kept = pathlib.Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", f"{NAME}_data.before-17"))
    that((kept / "PG_VERSION").read_text().strip() == "15", "the old data is kept")
    ticks = int(psql("select count(*) from ticks"))
    eventually("the application writes again", lambda: int(psql("select count(*) from ticks")) > ticks, 30)
    that(lines()["db"]["state"] == "up to date", lines()["db"])


def test_a_plain_step_is_gated():
    done = upgrade("app", "--to", "1.10", "--yes")
    that(docker("inspect", "-f", "{{.Config.Image}}", f"{NAME}-app-1") == f"{HUB}/club/app:1.10", done.stdout)


if __name__ == "__main__":
    if not engine.find()[1]:
        skip("no engine answers")
    server = None
    try:
        try:
            older = older_postgres.make()
        except (CannotDo, subprocess.CalledProcessError) as error:
            skip(f"no image of PostgreSQL 15: {error}")
        PROJECT.mkdir()
        PLUGINS.mkdir(parents=True)
        (PLUGINS / "docker-compose").symlink_to(engine.compose())
        (WORK / "key").write_text("repository password\n")
        (WORK / "registry.yml").write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {WORK}/registry}}}}\nhttp: {{addr: '{HUB}'}}\nlog: {{level: error}}\n")
        server = subprocess.Popen([REGISTRY, "serve", str(WORK / "registry.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually("the registry answers", lambda: subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{PORT}"], stderr=subprocess.DEVNULL).returncode == 0, 20)
        new = "datamancy-lab/postgres:17"
        for source, name in ((older, "postgres:15"), (new, "postgres:17"), (new, "app:1.0"), (new, "app:1.9"), (new, "app:1.10"), (new, "app:2.0-rc1"), (new, "app:latest")):
            push(source, name)
        docker("build", "-q", "-t", f"{HUB}/club/postgres:17-broken", "--label", LABEL, "-", data=f"FROM {new}\nENTRYPOINT [\"sh\", \"-c\", \"echo broken; exit 1\"]\n")
        docker("push", f"{HUB}/club/postgres:17-broken")
        for name in ("postgres:17", "postgres:17-broken", "app:1.10"):
            docker("rmi", f"{HUB}/club/{name}")  # they have to be pulled
        (PROJECT / "compose.yaml").write_text(COMPOSE)
        subprocess.run([str(engine.compose()), "-f", str(PROJECT / "compose.yaml"), "up", "-d"], env=env(), check=True, capture_output=True)
        eventually("PostgreSQL answers", lambda: subprocess.run([engine.docker(), "exec", f"{NAME}-db-1", "pg_isready", "-h", "127.0.0.1", "-U", "shop"], env=ENV, capture_output=True).returncode == 0, 90)
        psql(backup_stack.POSTGRES.replace("ROWS", "5000") + "\ncreate table ticks(at timestamptz default now());")
        run(globals(), needs=("postgres", "base"))
    finally:
        if (PROJECT / "compose.yaml").exists():
            subprocess.run([str(engine.compose()), "-f", str(PROJECT / "compose.yaml"), "down", "-v", "-t", "0"], env=env(), capture_output=True)
        for volume in docker("volume", "ls", "-q", check=False).split():
            if volume.startswith(NAME):
                docker("volume", "rm", "-f", volume, check=False)
        for image in docker("images", "--format", "{{.Repository}}:{{.Tag}}", check=False).split():
            if image.startswith(HUB):
                docker("rmi", "-f", image, check=False)
        if server:
            server.kill()
            server.wait()
        shutil.rmtree(WORK, ignore_errors=True)
