#!/usr/bin/env python3
"""The life of a project whose passwords stand only in sealed env files of its services (one sealed by its values, a client's with the same password, one sealed as a
whole): start, checklist, rotation, killed rotation, backup and restore, drill of the whole stack, restart, rollback, upgrade, loss and recovery."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from labtest import ENV, LABEL, docker, engine, eventually, run, skip, that
from labkit.common import BIN

os.environ["PATH"] = ENV["PATH"] = f"{BIN}:{os.environ['PATH']}"
DATAMANCY = os.path.abspath(sys.argv[2] if len(sys.argv) > 2 else "build/datamancy")
if not shutil.which("restic"):
    skip("restic is not installed: lab/lab programs restic")
REGISTRY = shutil.which("docker-registry")
if not REGISTRY:
    skip("no image registry: apt-get install docker-registry")
if os.geteuid() != 0:
    skip("needs root, for volumes")
KEY, VALUE = LABEL.split("=")
NAME = f"dmtest-envfile-{os.getpid()}"
WORK = pathlib.Path(tempfile.mkdtemp(prefix="dmtest-envfile-"))
PROJECT, STORE = WORK / "project", WORK / "repository"
PORT = 22000 + os.getpid() % 8000
HUB = f"127.0.0.1:{PORT}"
FIRST = "Zj4-first-Pw-09"
TOKEN = "token-sealed-as-a-whole-7"
said_so_far = []
COMPOSE = f"""name: {NAME}
x-mark: &mark {{labels: {{{KEY}: {VALUE}}}}}
services:
  db:
    <<: *mark
    image: {HUB}/postgres:17
    env_file: env/db.enc.env
    healthcheck: {{test: [CMD-SHELL, "pg_isready -h 127.0.0.1 -U shop"], interval: 1s, retries: 60}}
    volumes: [data:/var/lib/postgresql/data]
  app:
    <<: *mark
    tmpfs: [/var/lib/postgresql/data]  # a client, of the server's image: without its volume
    image: {HUB}/club/app:1.0
    command: [sleep, infinity]
    init: true
    env_file: [env/plain.env, env/app.enc.env]
    depends_on: {{db: {{condition: service_healthy}}}}
  whole:
    <<: *mark
    tmpfs: [/var/lib/postgresql/data]
    image: {HUB}/club/app:1.0
    command: [sleep, infinity]
    init: true
    env_file: env/whole.enc
volumes: {{data: *mark}}
networks: {{default: *mark}}
"""


def env():
    docker_config = WORK / "docker"
    kept = {k: v for k, v in ENV.items() if not k.startswith("SOPS_") and k != "XDG_CONFIG_HOME"}
    return {**kept, "HOME": str(WORK / "home"), "DATAMANCY_STATE": str(WORK / "state"), "DOCKER_CONFIG": str(docker_config)}


def dm(*argv, status=(0,), data=None, cwd=None):
    done = subprocess.run([DATAMANCY, *map(str, argv)], cwd=cwd or PROJECT, env=env(), capture_output=True, text=True, **({"input": data} if data is not None else {"stdin": subprocess.DEVNULL}))
    that(done.returncode in status, f"datamancy {' '.join(map(str, argv))}: status {done.returncode}, not {status}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    said_so_far.append(done.stdout + done.stderr if argv[:2] != ("secrets", "get") else "")
    return done


def up(*argv, **more):
    return dm("up", "--progress", "plain", "--min-free", "100m", "--settle", "1s", *argv, **more)


def secrets(*argv, **more):
    return dm("secrets", *argv, **more).stdout


def stored(*argv):
    return (*argv, "--repository", STORE, "--password-file", WORK / "key")


def password():
    return secrets("get", "POSTGRES_PASSWORD")


def container(service):
    return docker("ps", "-aq", "--no-trunc", "--filter", f"label=com.docker.compose.project={NAME}", "--filter", f"label=com.docker.compose.service={service}")


def environment(service):
    return dict(line.split("=", 1) for line in json.loads(docker("inspect", container(service)))[0]["Config"]["Env"])


def enters(password):
    return subprocess.run(["docker", "exec", "-e", f"PGPASSWORD={password}", container("app"), "psql", "-h", "db", "-U", "shop", "-w", "-XAtc", "select 1", "shop"], env=ENV, capture_output=True).returncode == 0


def rows():
    return docker("exec", container("app"), "sh", "-c", 'psql "$DATABASE_URL" -XAtc "select count(*) from t"')


def no_plaintext(*values):
    for at, _, names in os.walk(WORK):
        for name in names:
            path = pathlib.Path(at) / name
            content = path.read_bytes() if path.is_file() and "registry" not in at else b""
            that(not any(v.encode() in content for v in values), f"{path} holds a secret in the clear")
    that(not any(v in text for v in values for text in said_so_far), "a command has said a secret")


def test_it_starts_and_each_service_has_its_values():
    up()
    eventually("the password of the sealed file is the server's", lambda: enters(FIRST), 60)
    that(environment("app")["DB_PASSWORD"] == FIRST and environment("app")["PLAIN"] == "1" and environment("whole")["TOKEN"] == TOKEN, "each has its own")
    that("TOKEN" not in environment("app") and FIRST not in json.dumps(environment("db")), "and nobody another's; the server has a file")
    docker("exec", "-i", container("db"), "psql", "-U", "shop", "-q", "shop", data="create table t as select generate_series(1, 500)")
    listed = secrets("list")
    that("env_file of db" in listed and "env_file of app" in listed and "sealed as a whole" in listed and "POSTGRES_PASSWORD" in listed, listed)
    that(secrets("get", "TOKEN", "--in", "env/whole.enc") == TOKEN and secrets("get", "DB_PASSWORD") == FIRST, "names are found in the files of services")


def test_the_checklist_and_the_audit_know_them():
    done = dm("check", status=(0, 1))
    that("ENC[" not in done.stdout and "cannot" not in done.stderr, done.stdout + done.stderr)
    dm("audit", "--live", status=(0, 1))
    dm("plan")


def test_the_password_changes_with_the_client_that_has_a_copy():
    before = {s: container(s) for s in ("db", "app", "whole")}
    said = secrets("rotate", "POSTGRES_PASSWORD", "--yes")
    now = password()
    that(now != FIRST and "DB_PASSWORD of env/app.enc.env has the same value" in said and "DATABASE_URL of env/app.enc.env contains it" in said, said)
    that(enters(now) and not enters(FIRST) and rows() == "500", "the server has it, and the client")
    that({s for s in before if before[s] != container(s)} == {"db", "app"}, "exactly the users are recreated")
    that(not any("__" in name for name in environment("app")) and "__" not in secrets("list"), "nothing is left over")
    made = {s: container(s) for s in before}
    up()
    that({s: container(s) for s in before} == made, "an up finds all as it is")


def test_killed_at_each_step_it_is_told_and_finished():
    for step in ("sealed the new value", "changed on", "the new value is the present one", "recreated"):
        old = password()
        process = subprocess.Popen([DATAMANCY, "secrets", "rotate", "POSTGRES_PASSWORD", "--yes"], env=env(), cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in process.stdout:
            if line.startswith(step):
                process.kill()
                break
        process.wait()
        that("__" in secrets("list"), f"both are sealed at '{step}'")
        told = dm("plan").stderr
        that("a rotation of env/db.enc.env:POSTGRES_PASSWORD was cut off" in told and "rotate POSTGRES_PASSWORD --in env/db.enc.env" in told, told)
        if step.startswith("the new value"):
            up()
            that(not any("__" in name for name in [*environment("db"), *environment("app")]), "no container gets the other value")
        said = secrets("rotate", "POSTGRES_PASSWORD", "--yes")
        that("an earlier rotation" in said and "done; the old value is forgotten" in said, f"'{step}': {said}")
        now = password()
        eventually(f"all have the new one after '{step}'", lambda: enters(now), 30)
        that(now != old and not enters(old) and rows() == "500", f"after '{step}'")


def test_a_failed_rotation_puts_back_the_copies_too():
    old, text = password(), (PROJECT / "compose.yaml").read_text()
    (PROJECT / "compose.yaml").write_text(text.replace("command: [sleep, infinity]", f"command: [sh, -c, 'test \"$$DB_PASSWORD\" = {'$$OLD'} && exec sleep infinity']\n    environment: {{OLD: {old}}}", 1))
    said = secrets("rotate", "POSTGRES_PASSWORD", "--yes", status=(2,))
    (PROJECT / "compose.yaml").write_text(text)
    that(password() == old and secrets("get", "DB_PASSWORD") == old, f"the sealed values are the old ones: {said}")
    up()
    that(enters(old) and rows() == "500" and "__" not in secrets("list"), "all is as it was")


def test_a_backup_comes_back_and_the_whole_stack_too():
    made = json.loads(dm(*stored("backup", "run", "--json")).stdout)
    that(made["outcome"] == "verified" and not made["uncovered"], made)
    docker("exec", "-i", container("db"), "psql", "-U", "shop", "-q", "shop", data="delete from t")
    dm(*stored("backup", "restore", "db", "shop", "--in-place", "--yes"))
    that(rows() == "500", "restored")
    drill = json.loads(dm(*stored("drill", "stack", "--json")).stdout)
    that(drill["outcome"] == "verified" and drill["services"] == 3, drill)


def test_restart_rollback_and_upgrade():
    dm("restart", "--progress", "plain", "--settle", "1s", "db")
    eventually("it answers again", lambda: enters(password()), 60)
    text = (PROJECT / "compose.yaml").read_text()
    (PROJECT / "compose.yaml").write_text(text.replace("env_file: env/whole.enc", 'env_file: env/whole.enc\n    user: "1234"'))
    up()
    dm("rollback", "--progress", "plain", "--min-free", "100m", "--settle", "1s")
    that(json.loads(docker("inspect", container("whole")))[0]["Config"]["User"] == "" and environment("whole")["TOKEN"] == TOKEN, "rolled back, with its values")
    (PROJECT / "compose.yaml").write_text(text)
    up()
    dm(*stored("upgrade", "app", "--to", "1.1", "--yes", "--quiet"))
    dm(*stored("upgrade", "db", "--to", "17.1", "--yes", "--quiet"))
    that(json.loads(docker("inspect", container("app")))[0]["Config"]["Image"].endswith("app:1.1") and rows() == "500", "upgraded, with its values")
    no_plaintext(FIRST, TOKEN, password())


def test_a_lost_project_comes_back_and_after_a_compromise_with_new_passwords():
    dm(*stored("backup", "run"))
    old = password()
    dm("down", "--volumes", "--yes", "--timeout", "1")
    shutil.rmtree(PROJECT)
    keys = WORK / "home/.config/sops/age/keys.txt"
    dm("recover", STORE, "--password-file", WORK / "key", "--key", keys, "--after-compromise", "--yes", cwd="/")
    now = password()
    that(now != old and enters(now) and not enters(old) and rows() == "500" and environment("whole")["TOKEN"] == TOKEN, "it is back, with a new password at both")
    said = said_so_far[-2]
    that("1 secrets changed, 0 could not be" in said and "env/app.enc.env:DB_PASSWORD" not in said and "env/whole.enc:TOKEN" in said, said)
    up()
    no_plaintext(FIRST, TOKEN, now, old)


if __name__ == "__main__":
    if not engine.find()[1]:
        skip("no engine answers")
    server = None
    try:
        (WORK / "docker/cli-plugins").mkdir(parents=True)
        (WORK / "docker/cli-plugins/docker-compose").symlink_to(engine.compose())
        (PROJECT / "env").mkdir(parents=True)
        (WORK / "home").mkdir()
        (WORK / "key").write_text("repository password\n")
        (WORK / "registry.yml").write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {WORK}/registry}}}}\nhttp: {{addr: '{HUB}'}}\nlog: {{level: error}}\n")
        server = subprocess.Popen([REGISTRY, "serve", str(WORK / "registry.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually("the registry answers", lambda: subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{PORT}"], stderr=subprocess.DEVNULL).returncode == 0, 20)
        for name in ("postgres:17", "postgres:17.1", "club/app:1.0", "club/app:1.1"):
            docker("tag", "datamancy-lab/postgres:17", f"{HUB}/{name}")
            docker("push", f"{HUB}/{name}")
        (PROJECT / "compose.yaml").write_text(COMPOSE)
        (PROJECT / "env/plain.env").write_text("PLAIN=1\n")
        secrets("init")
        for file, kind, text in (("db.enc.env", "dotenv", f"POSTGRES_USER=shop\nPOSTGRES_DB=shop\nPOSTGRES_PASSWORD={FIRST}\n"), ("whole.enc", "binary", f"TOKEN={TOKEN}\n"),
                                 ("app.enc.env", "dotenv", f"DB_PASSWORD={FIRST}\nDATABASE_URL=postgres://shop:{FIRST}@db/shop\n")):
            secrets("seal", "-", "-o", f"env/{file}", "--type", kind, data=text)
        run(globals(), needs=("postgres",))
    finally:
        if server:
            server.kill()
            server.wait()
        for kind in ("container", "volume", "network"):
            for one in docker(kind, "ls", *(["-a"] if kind == "container" else []), "-q", "--filter", f"label=com.docker.compose.project={NAME}", check=False).split():
                docker(kind, "rm", *(["-f"] if kind != "network" else []), one, check=False)
        for volume in docker("volume", "ls", "-q", check=False).split():
            if volume.startswith(NAME):
                docker("volume", "rm", "-f", volume, check=False)
        for image in docker("images", "--format", "{{.Repository}}:{{.Tag}}", check=False).split():
            if image.startswith(HUB):
                docker("rmi", "-f", image, check=False)
        shutil.rmtree(f"/run/datamancy/{NAME}", ignore_errors=True)
        shutil.rmtree(f"/dev/shm/datamancy/{NAME}", ignore_errors=True)
        shutil.rmtree(WORK, ignore_errors=True)
