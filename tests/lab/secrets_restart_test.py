#!/usr/bin/env python3
"""A machine's restart, on an engine of its own: `up` with sealed values, the engine ends, the folder in memory is empty as after a reboot, the unit's command
(`secrets deliver --quiet`, with the key as a systemd credential and nothing else) fills it, the engine starts its containers by itself, and the databases take
their passwords. Without that command they do not start. No file of the machine's ever held a password in the clear."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import labtest
from labtest import ENV, ROOT, docker, eventually, run, tag, that

BINARY = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.abspath("build/datamancy")
PROJECT = f"secretsboot{os.getpid()}"
IMAGES = {"postgres": "postgres:17", "mariadb": "mariadb:11", "valkey": "valkey/valkey:8"}
VALUES = {"PG_PASSWORD": "Boot-pg-7qPlain", "MARIA_ROOT": "Boot-maria-8wPlain", "CACHE": "Boot-cache-9ePlain"}
COMPOSE = """
x-service: &service
  restart: unless-stopped
  labels: {datamancy.test: secrets}
services:
  db:
    <<: *service
    image: postgres:17
    environment: {POSTGRES_PASSWORD: "${PG_PASSWORD:?}", POSTGRES_USER: app}
    volumes: [db:/var/lib/postgresql/data]
  maria:
    <<: *service
    image: mariadb:11
    environment: {MARIADB_ROOT_PASSWORD: "${MARIA_ROOT:?}"}
    volumes: [maria:/var/lib/mysql]
  cache:
    <<: *service
    image: valkey/valkey:8
    command: ["sh", "-c", "printf 'requirepass %s\\\\n' \\"$$(cat /run/secrets/cache)\\" | exec valkey-server -"]
    secrets: [cache]
secrets: {cache: {environment: CACHE}}
volumes: {db: , maria: }
"""
world = tempfile.TemporaryDirectory(prefix="dm-secrets-boot-", dir="/var/tmp")
lab_folder, folder, home, state = (pathlib.Path(world.name) / n for n in ("lab", PROJECT, "home", "state"))
for each in (lab_folder, folder, home, state):
    each.mkdir()
HOST = f"unix://{lab_folder}/engine/docker.sock"
env = {**{k: v for k, v in ENV.items() if not k.startswith(("SOPS_", "DOCKER_HOST"))}, "HOME": str(home), "DATAMANCY_STATE": str(state), "DOCKER_HOST": HOST}
# Where /run is on a disk (a container as host), the memory is elsewhere.
ON_TMPFS = subprocess.run(["stat", "-f", "-c", "%T", "/run"], capture_output=True, text=True).stdout.strip() == "tmpfs"
runtime = pathlib.Path("/run/datamancy" if ON_TMPFS else "/dev/shm/datamancy") / PROJECT


def lab(*words, status=0):
    given = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
    done = subprocess.run([ROOT / "lab/lab", *words], env={**given, "DATAMANCY_LAB": str(lab_folder)}, capture_output=True, text=True)
    if done.returncode == 10:
        labtest.skip(done.stderr.strip())
    that(done.returncode == status, f"lab {' '.join(words)}: {done.stdout}{done.stderr}")


def own(*argv, check=True):
    done = subprocess.run(["docker", *argv], env=env, capture_output=True, text=True)
    that(not check or done.returncode == 0, f"docker {' '.join(argv)}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def dm(*words, data=None):
    done = subprocess.run([BINARY, *words], env=env, cwd=folder, input=data, capture_output=True, text=True)
    that(done.returncode == 0, f"{' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")


def container(service):
    return own("ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}", "--filter", f"label=com.docker.compose.service={service}")


def works(service, password):
    at = container(service)
    address = own("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", at).split()
    if not address:
        return False
    argv, more = {
        "db": (["psql", "-h", address[0], "-U", "app", "-d", "postgres", "-w", "-Atc", "select 1"], "PGPASSWORD=" + password),
        "maria": (["mariadb", "--protocol=tcp", "-h", address[0], "-u", "root", "-Ne", "select 1"], "MYSQL_PWD=" + password),
        "cache": (["valkey-cli", "-e", "-h", address[0], "ping"], "REDISCLI_AUTH=" + password)}[service]
    done = subprocess.run(["docker", "exec", "-e", more, at, *argv], env=env, capture_output=True, text=True)
    return done.returncode == 0 and "AUTH failed" not in done.stderr + done.stdout


USERS = (("db", "PG_PASSWORD"), ("maria", "MARIA_ROOT"), ("cache", "CACHE"))


def all_take_their_passwords():
    for service, name in USERS:
        eventually(f"{service} takes its password", lambda: works(service, VALUES[name]), 120)
        that(not works(service, "wrong"), f"{service} refuses another")


def the_units_command():
    """What datamancy-secrets@.service runs, with nothing in its environment but what systemd gives."""
    credentials = pathlib.Path("/dev/shm") / f"{PROJECT}-credentials"
    credentials.mkdir(mode=0o700)
    try:
        shutil.copy(home / ".config/sops/age/keys.txt", credentials / "datamancy-age-key")
        done = subprocess.run([BINARY, "secrets", "deliver", "--quiet"], cwd=folder, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CREDENTIALS_DIRECTORY": str(credentials)},
                              capture_output=True, text=True)
    finally:
        shutil.rmtree(credentials)
    that(done.returncode == 0 and done.stdout + done.stderr == "", f"status {done.returncode}: {done.stdout}{done.stderr}")


def no_plaintext():
    patterns = "\n".join(VALUES.values())
    done = subprocess.run(["grep", "-rlaF", "--devices=skip", "-f", "/dev/stdin", world.name], input=patterns, capture_output=True, text=True)
    that(done.stdout == "", f"these files hold a password in the clear: {done.stdout}")


def test_an_up_with_sealed_values():
    lab("engine", "--namespace")
    saved = subprocess.Popen([labtest.engine.docker(), "save", *map(tag, IMAGES)], env=ENV, stdout=subprocess.PIPE)
    that(subprocess.run(["docker", "load", "-q"], env=env, stdin=saved.stdout, capture_output=True).returncode == 0 and saved.wait() == 0, "the images are there")
    for name, other in IMAGES.items():
        own("tag", tag(name), other)
    (folder / "compose.yaml").write_text(COMPOSE)
    dm("secrets", "init")
    dm("secrets", "set", "--null", data="".join(f"{k}={v}\0" for k, v in VALUES.items()))
    dm("up", "--progress", "plain", "--min-free", "100m", "--settle", "1s")
    all_take_their_passwords()
    no_plaintext()


def test_without_its_files_nothing_starts():
    lab("engine", "stop")
    shutil.rmtree(runtime)  # a reboot
    lab("engine", "--namespace")
    for service, _ in USERS:
        seen = json.loads(own("inspect", container(service)))[0]["State"]
        that(not seen["Running"] and str(runtime) in seen["Error"], f"{service} does not run, and the engine names the file: {seen}")
    that(not runtime.exists() or not any(p.is_file() for p in runtime.iterdir()), "nobody made the files")


def test_the_units_command_brings_them_back():
    lab("engine", "stop")
    shutil.rmtree(runtime, ignore_errors=True)
    the_units_command()
    that({p.name for p in runtime.iterdir()} == {"db.POSTGRES_PASSWORD", "maria.MARIADB_ROOT_PASSWORD", "secret.cache"}, f"{list(runtime.iterdir())}")
    lab("engine", "--namespace")
    before = {s: container(s) for s, _ in USERS}
    all_take_their_passwords()
    that(before == {s: container(s) for s, _ in USERS}, "the engine started the containers that were there")
    no_plaintext()


def test_a_database_written_before_the_restart_takes_its_password_after_another_one():
    own("kill", *[container(s) for s, _ in USERS])
    lab("engine", "stop")
    shutil.rmtree(runtime)
    the_units_command()
    lab("engine", "--namespace")
    own("start", *[container(s) for s, _ in USERS])  # killed ones stay down
    all_take_their_passwords()
    dm("up", "--progress", "plain", "--min-free", "100m", "--settle", "1s")
    no_plaintext()


def clean():
    if (lab_folder / "engine" / "docker.sock").exists():
        for service, _ in USERS:
            subprocess.run(["docker", "rm", "-fv", *container(service).split()], env=env, capture_output=True)
    subprocess.run([ROOT / "lab/lab", "clean", "--all"], env={**{k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}, "DATAMANCY_LAB": str(lab_folder)}, capture_output=True)
    shutil.rmtree(runtime, ignore_errors=True)


if __name__ == "__main__":
    if os.geteuid() != 0:
        labtest.skip("an engine of its own needs root")
    try:
        run(globals(), list(IMAGES))
    finally:
        clean()
