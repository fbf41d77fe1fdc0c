#!/usr/bin/env python3
"""A project that is lost with its files, its volumes and the state of this program comes back out of the repository, and is what it was;
the same beside the living one for the drill of the whole stack, which leaves nothing behind."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

from labtest import ENV, docker, engine, eventually, run, skip, that
from labkit.common import BIN
import backup_stack

os.environ["PATH"] = ENV["PATH"] = f"{BIN}:{os.environ['PATH']}"
DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else backup_stack.DATAMANCY).resolve())
if not shutil.which("restic"):
    skip("restic is not installed: lab/lab programs restic")
if os.geteuid() != 0:
    skip("needs root, for volumes")
S = backup_stack.Stack(DATAMANCY, rows=2000)
KEY = S.age_key
PLUGINS = S.work / "docker/cli-plugins"  # the Compose of the lab as the docker CLI finds it
PLUGINS.mkdir(parents=True)
(PLUGINS / "docker-compose").symlink_to(engine.compose())
MORE = {"DOCKER_CONFIG": str(PLUGINS.parent)}
SHOP = "select count(*), sum(hashtext(t::text)::bigint) from orders t"


def dm(*argv, status=None, key=KEY, cwd=None):
    env = {**S.env(MORE)}
    if not key:
        env.pop("SOPS_AGE_KEY_FILE")
    done = subprocess.run([DATAMANCY, *map(str, argv)], cwd=cwd or S.project, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if status is not None:
        that(done.returncode == status, f"datamancy {' '.join(map(str, argv))}: status {done.returncode}, not {status}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def backup(*argv, status=0):
    return json.loads(dm("backup", *argv, "--repository", S.repository, "--password-file", S.work / "key", "--json", status=status).stdout)


def recover(*argv, status=0, key=KEY):
    return dm("recover", S.repository, "--password-file", S.work / "key", *(["--key", key] if key else []), *argv, status=status, key=None, cwd="/")


def cache(*argv):
    return docker("exec", "-e", "REDISCLI_AUTH=s3 cret", S.container("cache"), "valkey-cli", *argv)


def people():
    return docker("exec", S.container("ldap"), "ldapsearch", "-LLL", "-x", "-H", "ldapi:///", "-D", "cn=admin,dc=example,dc=org", "-w", "adminpw", "-b", "ou=people,dc=example,dc=org", "uid").count("uid: ")


def maria(sql):
    return docker("exec", "-i", S.container("maria"), "sh", "-c", "MYSQL_PWD=$MARIADB_ROOT_PASSWORD exec mariadb -uroot -h 127.0.0.1 -N shop", data=sql)


def state():
    return {"orders": S.psql(SHOP), "second": S.psql("select count(*) from pg_database where datname = 'Second \"DB'"), "maria": maria("select count(*) from orders"),
            "cache": cache("dbsize"), "list": cache("lrange", "l", "0", "-1"), "people": people(),
            "uploads": docker("exec", S.container("app"), "sh", "-c", "cd /srv/uploads; cat a/b/f; stat -c %U:%g:%a a/b/f; md5sum big; ls many | wc -l; cat /srv/keys/k")}


def lose_everything():
    S.sqlite.close()
    S.compose("down", "-v", "-t", "0")
    shutil.rmtree(S.project)
    shutil.rmtree(S.work / "state")


def test_what_a_run_keeps_has_no_secret_in_the_clear():
    docker("exec", S.container("app"), "sh", "-c", "echo in a volume without a name >/srv/keys/k")
    made = backup("run")
    that(made["outcome"] == "verified", made)
    stack = made["stack"]
    that(stack["sealed"] == ["pg.password", "shop.env"] and not made["uncovered"], stack)
    that({s["service"] for s in stack["services"]} == {"db", "maria", "cache", "ldap", "app"} and all(s["image_id"] for s in stack["services"]), stack)
    out = S.work / "out"
    dm("backup", "restore", "project", "--repository", S.repository, "--password-file", S.work / "key", "--to", out, status=0)
    that((out / "project/compose.yaml").exists() and not (out / "project/pg.password").exists(), "the folder is saved without them")
    dm("backup", "restore", "secrets", "--repository", S.repository, "--password-file", S.work / "key", "--to", out, status=0)
    text = (out / "secrets/secrets.sops").read_text()
    that("pg \\\"pw" not in text and '"sops"' in text, "they are sealed")
    shutil.rmtree(out)


def test_without_an_age_key_they_are_left_out_and_said():
    KEY.rename(S.work / "away")
    try:
        made = backup("run", "project")
        that("pg.password" in " ".join(made["uncovered"]) and "secrets" not in {s["subject"] for s in made["saved"]}, made["uncovered"])
    finally:
        (S.work / "away").rename(KEY)


def test_the_plan_shows_what_would_be_done_and_touches_nothing():
    done = recover("--dry-run", status=1)
    that("in the way" in done.stdout and "is not empty" in done.stdout and "containers" in done.stdout, done.stdout)
    that("before its server starts" in done.stdout, done.stdout)
    that(recover("--yes", status=None).returncode == 2, "a living project is not overwritten")


def test_an_older_run_comes_back_only_where_it_is_named():
    """A manifest that this program cannot read may be of the state that is wanted: none before it is taken in its place unsaid."""
    older = backup("run")["run"]
    env = {**ENV, "RESTIC_PASSWORD_FILE": str(S.work / "key"), "RESTIC_REPOSITORY": str(S.repository)}
    made = subprocess.run(["restic", "backup", "--json", "--stdin", "--stdin-filename", f"/{S.name}/manifest.json", "--host", S.name, "--tag", "run=20990101T000000Z-00000000", "--tag", "manifest"],
                          env=env, input='{"version": 9}', capture_output=True, text=True, check=True).stdout
    snapshot = json.loads(made.splitlines()[-1])["snapshot_id"]
    try:
        done = recover("--dry-run", "--into", S.work / "nowhere", status=2)
        that("20990101T000000Z-00000000" in done.stderr and "newer program" in done.stderr and "--run" in done.stderr, done.stderr)
        done = recover("--dry-run", "--into", S.work / "nowhere", "--run", older, status=None)
        that(f"run {older}" in done.stdout, done.stdout + done.stderr)
    finally:
        subprocess.run(["restic", "forget", snapshot], env=env, capture_output=True, check=True)


def test_a_lost_project_comes_back():
    before = state()
    backup("run")
    lose_everything()
    that(recover("--yes", key=None, status=None).returncode in (2, 11), "not without the key")
    shutil.rmtree(S.project, ignore_errors=True)
    done = recover("--yes", "--json")
    made = json.loads(done.stdout)
    that(made["recovered"] and all(s["outcome"] == "verified" for s in made["steps"]), made)
    that({s["kind"] for s in made["steps"]} == {"project files", "sealed files", "volume", "datastore"}, made)
    that((S.project / "pg.password").read_text() == "pg \"pw'\n", "the secret file is back")
    eventually("MariaDB answers", lambda: maria("select 1"), 60)
    after = state()
    that(after == before, f"{before}\n{after}")
    that(backup("run")["outcome"] == "verified", "the next backup works")


def test_the_drill_of_the_whole_stack_is_equal_and_leaves_nothing():
    before = state()
    running = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={S.name}").split()
    made = json.loads(dm("drill", "stack", "--repository", S.repository, "--password-file", S.work / "key", "--json", status=0).stdout)
    that(made["outcome"] == "verified" and made["services"] == 5 and 0 < made["recovery_seconds"] < made["objective_seconds"], made)
    that(len(made["steps"]) == 8 and all(s["outcome"] == "verified" for s in made["steps"]), made)
    for kind in (("ps", "-a"), ("volume", "ls"), ("network", "ls")):
        that(not docker(*kind, "-q", "--filter", f"label=datamancy.drill={S.name}"), f"{kind} are gone")
    that(not [p for p in pathlib.Path("/dev/shm").iterdir() if p.name.startswith("datamancy-")], "nothing in memory is left")
    that(not list((S.work / "state").rglob("stack-drill*")) and not [p for p in (S.work / "state").rglob("*-drill-*")], "nothing on the disk is left")
    that(docker("ps", "-q", "--filter", f"label=com.docker.compose.project={S.name}").split() == running and state() == before, "the living one is untouched")


def test_a_killed_drill_is_cleaned_up_by_the_next_and_damage_is_found():
    child = subprocess.Popen([DATAMANCY, "drill", "stack", "--repository", S.repository, "--password-file", S.work / "key"], cwd=S.project, env=S.env(MORE), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually("its containers are there", lambda: docker("ps", "-aq", "--filter", f"label=datamancy.drill={S.name}"), 90)
    child.kill()
    child.wait()
    broken = S.work / "broken"
    shutil.copytree(S.repository, broken)
    for pack in sorted((p for p in (broken / "data").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)[-3:]:
        pack.chmod(0o600)
        text = bytearray(pack.read_bytes())
        text[len(text) // 2] ^= 1
        pack.write_bytes(text)
    made = json.loads(dm("drill", "stack", "--repository", broken, "--password-file", S.work / "key", "--json", status=1).stdout)
    that(made["outcome"] == "failed" and made["detail"], made)
    that(not docker("ps", "-aq", "--filter", f"label=datamancy.drill={S.name}"), "both drills are gone")
    shutil.rmtree(broken)


def test_what_exists_is_kept_where_it_is_overwritten():
    S.compose("down", "-t", "0")
    that(recover("--yes", status=None).returncode == 2, "folder and volumes are in the way")
    S.project.joinpath("mark").write_text("here")
    recover("--yes", "--overwrite", status=0)
    kept = [p for p in S.work.iterdir() if p.name.startswith("project.before-")]
    that(len(kept) == 1 and (kept[0] / "mark").read_text() == "here", "the folder is kept")
    volumes = [v for v in docker("volume", "ls", "-q").split() if v.startswith(f"{S.name}_uploads.before-")]
    that(len(volumes) == 1, "the volume is kept")
    for volume in docker("volume", "ls", "-q").split():
        if volume.startswith(S.name) and ".before-" in volume:
            docker("volume", "rm", volume)
    shutil.rmtree(kept[0])


CLUB = """
name: NAME
services:
  db:
    image: postgres:17-NAME
    environment: {POSTGRES_PASSWORD: "${DB_PASSWORD:?}", POSTGRES_USER: shop}
    ports: ["127.0.0.1:PORT:5432"]
    volumes: [data:/var/lib/postgresql/data]
    labels: {datamancy.test: lab}
  app:
    image: datamancy-lab/postgres:17
    command: [sleep, infinity]
    init: true
    environment: {DATABASE_URL: "postgres://shop:${DB_PASSWORD}@db/shop", SESSION_KEY: "${SESSION_KEY:?}"}
    depends_on: [db]
    labels: {datamancy.test: lab, datamancy.backup: "false"}
volumes: {data: {labels: {datamancy.test: lab}}}
networks: {default: {labels: {datamancy.test: lab}}}
"""


def test_after_a_compromise_it_is_cut_off_and_its_passwords_are_new():
    name, port = f"dmtest-club-{os.getpid()}", 31000 + os.getpid() % 9000
    club, store = S.work / "club", S.work / "club-repository"
    club.mkdir()
    (club / "compose.yaml").write_text(CLUB.replace("NAME", name).replace("PORT", str(port)))
    docker("tag", "datamancy-lab/postgres:17", f"postgres:17-{name}")
    first = "Zj4-first-Pw-09"
    plain = {**S.env(MORE), "DB_PASSWORD": first, "SESSION_KEY": "q" * 32}

    def compose(*argv):
        return subprocess.run([str(engine.compose()), "-f", str(club / "compose.yaml"), *argv], env=plain, capture_output=True, text=True)

    def enters(password):
        return subprocess.run([engine.docker(), "exec", "-e", f"PGPASSWORD={password}", f"{name}-app-1", "psql", "-h", "db", "-U", "shop", "-XAtc", "select count(*) from t", "shop"], env=ENV, capture_output=True, text=True)

    try:
        for secret in ("DB_PASSWORD", "SESSION_KEY"):
            subprocess.run([DATAMANCY, "secrets", "set", secret], cwd=club, env=S.env(MORE), input=plain[secret], text=True, check=True, capture_output=True)
        that(compose("up", "-d").returncode == 0, "it starts")
        eventually("it takes the first password", lambda: enters(first).returncode in (0, 1) and "does not exist" in enters(first).stderr, 60)
        docker("exec", "-i", f"{name}-db-1", "psql", "-U", "shop", "-q", data="create table t as select generate_series(1, 500)")
        dm("backup", "run", "--repository", store, "--password-file", S.work / "key", cwd=club, status=0)
        compose("down", "-v", "-t", "0")
        shutil.rmtree(club)
        done = dm("recover", store, "--password-file", S.work / "key", "--key", KEY, "--after-compromise", "--yes", key=None, cwd="/", status=0)
        that(docker("inspect", "-f", "{{json .NetworkSettings.Ports}}", f"{name}-db-1") in ("{}", '{"5432/tcp":null}'), "nothing is published")
        that(docker("network", "inspect", "-f", "{{.Internal}}", f"{name}_default") == "true", "there is no way out")
        that(enters(first).returncode == 2, "the password that may be known does not work any more")
        now = subprocess.run([DATAMANCY, "secrets", "get", "DB_PASSWORD"], cwd=club, env=S.env(MORE), capture_output=True, text=True, check=True).stdout.strip()
        that(now != first and enters(now).stdout.strip() == "500", f"the new one does, and the data is there: {enters(now).stderr}")
        that("1 secrets changed" in done.stdout and "SESSION_KEY" in done.stdout and "age key" in done.stdout, done.stdout)
        that(now not in done.stdout + done.stderr and first not in done.stdout + done.stderr, "no password is shown")
    finally:
        for kind in ("container", "volume", "network"):
            for one in docker(kind, "ls", *(["-a"] if kind == "container" else []), "-q", "--filter", f"label=com.docker.compose.project={name}", check=False).split():
                docker(kind, "rm", *(["-f"] if kind != "network" else []), one, check=False)
        docker("rmi", f"postgres:17-{name}", check=False)


if __name__ == "__main__":
    if not engine.find()[1]:
        skip("no engine answers")
    try:
        (S.project / "shop.env").write_text("SHOP_TOKEN=Zs83kdlwP2mvKq01\n")
        files = S.project / "compose.yaml"
        files.write_text(files.read_text().replace("[uploads:/srv/uploads]", "[uploads:/srv/uploads, /srv/keys]"))
        S.__enter__()
        run(globals(), needs=("postgres", "mariadb", "valkey", "openldap", "base"))
    finally:
        if not S.project.exists():
            S.project.mkdir()
            (S.project / "compose.yaml").write_text(backup_stack.COMPOSE.replace("NAME", S.name))
        S.__exit__()
