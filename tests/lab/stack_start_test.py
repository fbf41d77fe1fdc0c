#!/usr/bin/env python3
"""The part of the reference stack that has real programs in the lab, as a person starts it: `datamancy init`, `render` and `up` from nothing, twice, and
after a restart of the engine. Data survive, nothing restarts in a loop. On an engine of the test's own, since it is stopped in the middle."""
import atexit
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

import labtest
import own_engine
from labtest import ROOT, eventually, run, skip, that
from labkit.common import CACHE

PROGRAM = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build" / "datamancy").resolve())
DOMAIN = "stack.test"
# What has a program here: its image is one of the lab's, or is built by the stack itself on them.
SERVICES = ["caddy", "ldap", "postgres", "postgres-init", "pgbouncer", "mariadb", "mariadb-init", "mariadb-seafile", "mariadb-seafile-init", "redis",
            "redis-mastodon", "redis-synapse", "mailu-redis", "memcached", "prometheus", "alertmanager", "node-exporter", "restic", "kopia", "mailu-certs", "sogo",
            "synapse", "docker-proxy", "docker-proxy-jupyterhub", "jupyterhub"]
# What of the lab they are, or are built on.
IMAGES = ["alertmanager", "base", "caddy", "debian:trixie", "jupyterhub", "kopia", "mariadb", "memcached", "node-exporter", "pgbouncer", "postgres:17", "prometheus", "restic",
          "socket-proxy", "synapse", "valkey"]
PATIENCE = os.environ.get("STACK_LAB_PATIENCE", "30s")
WITHOUT = os.environ.get("STACK_LAB_WITHOUT", "").split()
SERVICES = [s for s in SERVICES if s not in WITHOUT]
JOBS = [s for s in SERVICES if s.endswith("-init")]
LASTING = [s for s in SERVICES if s not in JOBS]

if os.geteuid() != 0:
    skip("an engine of one's own needs root")
OWN = pathlib.Path(tempfile.mkdtemp(prefix="dm-lab-own-", dir="/var/tmp"))
FOLDER = OWN / "home"
STACK = FOLDER / "stack"
RUN = pathlib.Path("/dev/shm") / OWN.name
STATE = OWN / "state"
METRICS = OWN / "metrics"
SHARED = labtest.ENV
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "COMPOSE_"))}
ENV.update(DATAMANCY_LAB=str(OWN), HOME=str(FOLDER), DATAMANCY_STATE=str(STATE), XDG_CONFIG_HOME=str(FOLDER / "config"), DATAMANCY_RUN=str(RUN), DATAMANCY_METRICS=str(METRICS),
           DOCKER_SOCKET=str(OWN / "engine" / "docker.sock"))
prefix = []


def call(*argv, status=0, data=None, env=None):
    """Output of a command on our engine, in its network."""
    done = subprocess.run([*prefix, *map(str, argv)], env=env or ENV, cwd=FOLDER, capture_output=True, text=True, input=data if data is not None else "")
    that(status is None or done.returncode == status, f"{' '.join(map(str, argv[:9]))}: status {done.returncode}\n{done.stdout[-6000:]}{done.stderr[-6000:]}")
    return done.stdout if status is not None else done


def lab(*argv, status=0):
    done = subprocess.run([ROOT / "lab" / "lab", *argv], env={k: v for k, v in ENV.items() if not k.startswith("DOCKER_")}, capture_output=True, text=True)
    if done.returncode == 10:
        skip(done.stderr.strip())
    that(status is None or done.returncode == status, f"lab {' '.join(map(str, argv))}: status {done.returncode}\n{done.stdout}{done.stderr[-4000:]}")
    return done.stdout


def exports(text):
    """`export A=b C=d` of the lab into our environment."""
    ENV.update(word.split("=", 1) for word in text.split() if "=" in word)


def engine_up():
    lab("engine", "--namespace", "--version", own_engine.VERSION)
    exports(lab("env"))
    prefix[:] = ["nsenter", f"--net=/run/netns/{(OWN / 'engine' / 'netns').read_text()}"]


@atexit.register
def clean():
    if (OWN / "engine" / "docker.sock").exists():
        ids = docker("ps", "-aq").split()
        if ids:
            docker("rm", "-f", "-v", *ids, status=None)
    lab("clean", status=None)
    for link in ("bin", "debian-trixie.tar"):
        (OWN / link).unlink(missing_ok=True)
    for line in reversed(pathlib.Path("/proc/mounts").read_text().splitlines()):
        if line.split()[1].startswith(f"{OWN}/"):
            subprocess.run(["umount", "-l", line.split()[1]], capture_output=True)
    shutil.rmtree(RUN, ignore_errors=True)
    shutil.rmtree(OWN, ignore_errors=True)


def docker(*argv, **more):
    return call("docker", *argv, **more)


def dm(*argv, **more):
    return call(PROGRAM, "--project-directory", STACK, *argv, **more)


def up(*more):
    done = dm("up", "--progress", "plain", "--min-free", "100m", "--timeout", "20m", *more, *SERVICES, status=None)
    print("       " + done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "", flush=True)
    that(done.returncode == 0, f"up: status {done.returncode}\n{done.stdout[-5000:]}\n{done.stderr[-6000:]}")


def container(service):
    labels = ("com.docker.compose.project=datamancy", f"com.docker.compose.service={service}")
    return docker("ps", "-aq", "--no-trunc", *[word for label in labels for word in ("--filter", f"label={label}")]).strip()


def state(service):
    return json.loads(docker("inspect", container(service)))[0]


def well(service):
    seen = state(service)
    if service in JOBS:
        return seen["State"]["Status"] == "exited" and seen["State"]["ExitCode"] == 0
    return seen["State"].get("Health", {}).get("Status") == "healthy"


def everything_is_well(seconds=300):
    for service in SERVICES:
        eventually(f"{service} is well: {json.dumps(state(service)['State'].get('Health', {}).get('Log', [])[-1:])[:600]}", lambda s=service: well(s), seconds)


def no_loops(allowed=0):
    """How often the engine has restarted each by itself."""
    counts = {s: state(s)["RestartCount"] for s in LASTING}
    that(all(n <= allowed for n in counts.values()), f"restarts: {counts}")


def inside(service, *argv, data=None, env=(), status=0):
    options = [o for e in env for o in ("-e", e)]
    return docker("exec", "-i", *options, container(service), *argv, data=data, status=status)


def secret(name):
    return (RUN / "secrets" / name).read_text()


def pooled(role, statement):
    return inside("pgbouncer", "psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", "6432", "-U", role, "-d", role, "-c", statement,
                  env=["PGPASSWORD=" + secret(f"{role}_db_password")]).strip()


def maria(server, user, database, statement):
    return inside(server, "mariadb", f"-u{user}", "-h127.0.0.1", "-BN", database, "-e", statement, env=["MYSQL_PWD=" + secret(f"{user}_db_password")]).strip()


def valkey(service, *argv, password=None):
    return inside(service, "valkey-cli", *argv, env=[f"REDISCLI_AUTH={secret(password)}"] if password else []).strip()


BASE = "dc=stack,dc=local"
PERSON = f"uid=ada,ou=people,{BASE}"


def ldap(program, *argv, data=None, status=0, who=f"cn=admin,{BASE}", password=None):
    script = ('umask 077; p=$(mktemp); printf %s "$PW" >"$p"; unset PW; program=$1; shift; '
              '"$program" -x -H ldap://127.0.0.1 -D "$WHO" -y "$p" "$@"; s=$?; rm -f "$p"; exit $s')
    given = ["PW=" + (password or secret("ldap_admin_password")), "WHO=" + who]
    return inside("ldap", "sh", "-c", script, "sh", program, *argv, data=data, env=given, status=status)


def write(mark):
    """Something of everybody's own that lasts."""
    pooled("authelia", f"CREATE TABLE mark(x text); INSERT INTO mark VALUES ('{mark}')")
    pooled("synapse", f"CREATE TABLE mark(x text); INSERT INTO mark VALUES ('{mark}')")
    maria("mariadb", "bookstack", "bookstack", f"CREATE TABLE mark(x text); INSERT INTO mark VALUES ('{mark}')")
    maria("mariadb-seafile", "seafile", "seahub_db", f"CREATE TABLE mark(x text); INSERT INTO mark VALUES ('{mark}')")
    valkey("redis", "set", "mark", mark, password="redis_password")
    valkey("redis-mastodon", "set", "mark", mark, password="redis_mastodon_password")
    ldap("ldapadd", data=f"dn: {PERSON}\nobjectClass: inetOrgPerson\nuid: ada\ncn: Ada\nsn: {mark}\nmail: ada@{DOMAIN}\n")
    inside("alertmanager", "amtool", "--alertmanager.url=http://127.0.0.1:9093", "silence", "add", f"mark={mark}", "--comment", mark, "--duration", "2d")
    said = inside("restic", "sh", "/usr/local/bin/database-backup", "once")
    that("backup: complete" in said, f"the stack's own backup is complete: {said}")


def certificate():
    """Serial number of what the edge shows for auth.DOMAIN: its own CA is data too."""
    shown = call("openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", f"auth.{DOMAIN}", "-showcerts", status=None).stdout
    root = inside("caddy", "sh", "-c", "cat /data/caddy/pki/authorities/local/root.crt")
    that("BEGIN CERTIFICATE" in shown, "the edge shows a certificate")
    return call("openssl", "x509", "-noout", "-serial", data=root).strip()


def marks():
    """What is there of the data."""
    silences = json.loads(inside("alertmanager", "amtool", "--alertmanager.url=http://127.0.0.1:9093", "-o", "json", "silence", "query"))
    return {
        "postgres": pooled("authelia", "SELECT x FROM mark"),
        "postgres, session pool": pooled("synapse", "SELECT x FROM mark"),
        "mariadb": maria("mariadb", "bookstack", "bookstack", "SELECT x FROM mark"),
        "mariadb-seafile": maria("mariadb-seafile", "seafile", "seahub_db", "SELECT x FROM mark"),
        "redis": valkey("redis", "get", "mark", password="redis_password"),
        "redis-mastodon": valkey("redis-mastodon", "get", "mark", password="redis_mastodon_password"),
        "ldap": next((line[4:] for line in ldap("ldapsearch", "-LLL", "-b", PERSON, "sn").splitlines() if line.startswith("sn: ")), ""),
        "alertmanager": silences[0]["comment"] if silences else "",
    }


def all_there(mark):
    found = marks()
    that(set(found.values()) == {mark}, f"data as they were written ({mark}): {found}")


def test_engine_of_its_own_with_the_labs_images():
    FOLDER.mkdir()
    METRICS.mkdir(mode=0o755)
    OWN.chmod(0o755)  # the exporter, which is nobody, reads a folder in it
    (OWN / "bin").symlink_to(CACHE / "bin")
    (OWN / "debian-trixie.tar").symlink_to(CACHE / "debian-trixie.tar")
    (OWN / "engine").mkdir()
    for programs in CACHE.glob("engine/programs-*"):
        (OWN / "engine" / programs.name).symlink_to(programs)
    engine_up()
    # The images that exist already come over; the rest is built there as anybody's lab does.
    there = [t for t in docker_shared("images", "--format", "{{.Repository}}:{{.Tag}}").split()
             if any(t.startswith(f"datamancy-lab/{name}") for name in IMAGES) and ":lab" not in t]
    pack = subprocess.Popen(["docker", "save", *there], env=SHARED, stdout=subprocess.PIPE)
    unpacked = subprocess.run(["docker", "load", "-q"], env=ENV, stdin=pack.stdout, capture_output=True, text=True)
    that(pack.wait() == 0 and unpacked.returncode == 0, f"images come over: {unpacked.stderr}")


def docker_shared(*argv):
    return subprocess.run(["docker", *argv], env=SHARED, capture_output=True, text=True, check=True).stdout


def test_init_writes_the_stack_and_the_lab_prepares_it():
    call(PROGRAM, "init", STACK, "--domain", DOMAIN, "--mail", f"admin@{DOMAIN}", "--host-size", "16", "--tls", "internal", "--yes",
         "--profile", "databases", "--profile", "infrastructure")
    dm("render", STACK, "--run", RUN)
    exports(lab("prepare", "-f", STACK / "compose.yaml", "--profile", "*", *SERVICES))
    # The checks are the stack's; only their patience is for a machine that does other work at the same time.
    checks = "".join(f"  {s}: {{healthcheck: {{timeout: {PATIENCE}, retries: 20}}}}\n" for s in LASTING)
    (FOLDER / "patience.yaml").write_text("services:\n" + checks)
    ENV["COMPOSE_FILE"] += f":{FOLDER / 'patience.yaml'}"
    that(".yaml:" in ENV["COMPOSE_FILE"] and ENV["COMPOSE_PROJECT_NAME"] == "datamancy", f"the lab says where its override is: {ENV['COMPOSE_FILE']}")


def test_everything_starts_from_nothing():
    up()
    everything_is_well()
    no_loops()
    write("first")
    all_there("first")


def test_what_is_lost_comes_back_by_the_lines_of_the_readme():
    """The stack's own backups; the chapter's commands are run as they stand there, but for the names."""
    chapter = re.search(r"^## Bringing something back\n(.*?)^## ", (STACK / "README.md").read_text(), re.M | re.S)[1]
    lines = [line.strip() for line in chapter.splitlines() if line.startswith("    ")]
    lines = lines[:next(i for i, line in enumerate(lines) if " fetch" in line)]
    that(len(lines) >= 10 and sum("restic dump" in line for line in lines) == 3, f"the chapter has them: {lines}")
    inside("jupyterhub", "sh", "-c", "mkdir /srv/work/ada && chgrp 100 /srv/work/ada && chmod 770 /srv/work/ada && echo first >/srv/work/ada/notes")
    inside("kopia", "kopia-start", "run", "snapshot", "create", "/data/jupyterhub-work")

    inside("postgres", "psql", "-q", "-U", "postgres", "-d", "synapse", "-c", "DROP TABLE mark")
    maria("mariadb", "bookstack", "bookstack", "DROP TABLE mark")
    ldap("ldapdelete", PERSON)
    inside("jupyterhub", "rm", "-r", "/srv/work/ada")
    for line in lines:
        if "restic dump" in line:
            line = line.replace("/postgres/NAME", "/postgres/synapse").replace("/mariadb/NAME", "/mariadb/bookstack")
        call("bash", "-o", "pipefail", "-c", f"cd {STACK} && {line}")
    everything_is_well()
    all_there("first")
    that(inside("jupyterhub", "sh", "-c", "cat /srv/work/ada/notes; stat -c %u:%g:%a /srv/work /srv/work/ada").split() == ["first", "990:0:755", "990:100:770"], "notebooks, with their owners")


def test_a_second_up_touches_nothing():
    before = {s: (container(s), state(s)["State"]["StartedAt"]) for s in LASTING}
    up()
    that({s: (container(s), state(s)["State"]["StartedAt"]) for s in LASTING} == before, "nothing was started again")


def test_the_directory_locks_who_guesses():
    admin = f"uid=admin,ou=people,{BASE}"

    def login(password):
        return ldap("ldapwhoami", who=admin, password=password, status=None)

    right = secret("stack_admin_password")
    that(login(right).returncode == 0, "the right password is taken")
    for _ in range(5):
        that("Invalid credentials" in login("a wrong password").stderr, "a wrong one is not")
    that("Invalid credentials" in login(right).stderr, "after five wrong ones the right one is refused as well")
    that("pwdAccountLockedTime: " in ldap("ldapsearch", "-LLL", "-b", admin, "pwdAccountLockedTime"), "the account says since when")
    ldap("ldapmodify", data=f"dn: {admin}\nchangetype: modify\ndelete: pwdAccountLockedTime\n")
    that(login(right).returncode == 0, "an administrator opens it again")


def asked(query):
    """Values that Prometheus has for it."""
    said = json.loads(inside("prometheus", "wget", "-qO-", "http://127.0.0.1:9090/api/v1/query?query=" + urllib.parse.quote(query)))
    return [float(one["value"][1]) for one in said["data"]["result"]]


def test_who_cannot_open_the_secrets_raises_an_alert():
    def without_a_key():
        done = call(PROGRAM, "--project-directory", STACK, "render", STACK, "--run", f"{RUN}-none", "--check", status=None, env={**ENV, "HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"})
        that(done.returncode == 11, f"without a key: status {done.returncode} {done.stderr}")

    that(eventually("the exporter is asked", lambda: asked('up{job="host"}'), 90) == [1], "it answers")
    that(asked("node_filesystem_size_bytes") and asked("node_memory_MemAvailable_bytes"), "disk and memory are there")
    without_a_key()
    eventually("the failed run is counted", lambda: asked('datamancy_secrets_failures_total{exit="11"}') == [1], 90)
    for _ in range(9):
        without_a_key()
    eventually("the alert fires", lambda: asked('ALERTS{alertname="SecretsFail",alertstate="firing"}'), 150)
    eventually("the people's part has it", lambda: "SecretsFail" in inside("alertmanager", "amtool", "--alertmanager.url=http://127.0.0.1:9093", "alert", "query"), 60)


def test_down_and_up_again_keeps_the_data():
    ca = certificate()
    dm("down")
    that(not docker("ps", "-aq").split(), "no container is left")
    up()
    everything_is_well()
    no_loops()
    all_there("first")
    that(certificate() == ca, "the edge kept its certificate authority")


def test_from_nothing_a_second_time():
    ca = certificate()
    dm("down", "--volumes", "--yes")
    that(not docker("volume", "ls", "-q", "--filter", "label=com.docker.compose.project=datamancy").split(), "no volume is left")
    up()
    everything_is_well()
    no_loops()
    that(pooled("authelia", "SELECT to_regclass('mark') IS NULL") == "t", "the old data are gone")
    that(certificate() != ca, "the edge has a certificate authority of its own")
    write("second")
    all_there("second")


def test_all_comes_back_after_the_engine_was_restarted():
    before = {s: container(s) for s in SERVICES}
    lab("engine", "stop")
    that(call("docker", "version", status=None).returncode != 0, "the engine is gone")
    engine_up()
    everything_is_well()
    that({s: container(s) for s in SERVICES} == before, "the same containers")
    all_there("second")
    # The engine starts all at once: who needs a database may have to try again, but not for ever.
    no_loops(allowed=5)
    counts = {s: (state(s)["RestartCount"], state(s)["State"]["StartedAt"]) for s in LASTING}
    call("sleep", "20")
    that({s: (state(s)["RestartCount"], state(s)["State"]["StartedAt"]) for s in LASTING} == counts, f"nothing restarts any more: {counts}")
    up()
    that({s: container(s) for s in LASTING} == {s: before[s] for s in LASTING}, "up finds all as wanted")
    # The chosen profiles have more services, which status calls missing.
    said = {line.split()[0]: line.split()[1] for line in dm("status", status=None).stdout.splitlines() if line.startswith("  ")}
    that({said.get(s) for s in LASTING} == {"healthy"} and {said.get(s) for s in JOBS} == {"done"}, f"status says well: {said}")


run(globals(), needs=("postgres", "mariadb", "valkey", "pgbouncer", "caddy"))  # what else is missing is built on our own engine
