#!/usr/bin/env python3
"""Products of `init --service` whose programs the lab has, in one project as a person makes it: added, rendered, prepared by the lab, started by `datamancy up`;
all become healthy, Prometheus reaches what it asks, Kopia has saved the project, databases are dumped, people are let in by the passwords that were made."""
import atexit
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from labtest import ENV, ROOT, docker, eventually, run, skip, that
from labkit.common import CACHE

PROGRAM = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build" / "datamancy").resolve())
PRODUCTS = ["kopia", "prometheus", "postgres", "mariadb", "valkey", "memcached", "synapse", "ldap", "jupyterhub"]
NAME = f"recipes-{os.getpid()}"
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix=f"{NAME}-", dir="/var/tmp"))
PROJECT, RUN = FOLDER / NAME, pathlib.Path("/dev/shm") / NAME
OURS = {**ENV, "HOME": str(FOLDER / "home"), "DATAMANCY_STATE": str(FOLDER / "state"), "DATAMANCY_RUN": str(RUN), "DATAMANCY_METRICS": str(FOLDER / "metrics"),
        "COMPOSE_PROJECT_NAME": NAME, "DOCKER_SOCKET": ENV["DOCKER_HOST"].removeprefix("unix://")}
OURS.pop("COMPOSE_FILE", None)


@atexit.register
def clean():
    docker("rm", "-f", "-v", *docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={NAME}").split(), check=False)
    for kind in ("volume", "network"):
        docker(kind, "rm", *docker(kind, "ls", "-q", "--filter", f"label=com.docker.compose.project={NAME}").split(), check=False)
    (CACHE / "overrides" / f"{NAME}.yaml").unlink(missing_ok=True)
    shutil.rmtree(RUN, ignore_errors=True)
    shutil.rmtree(FOLDER, ignore_errors=True)


def call(*argv, status=0):
    done = subprocess.run([str(a) for a in argv], env=OURS, cwd=PROJECT, capture_output=True, text=True, input="")
    if done.returncode == 10 and "lab" in str(argv[0]):
        skip(done.stderr.strip())
    that(done.returncode == status, f"{' '.join(map(str, argv[:8]))}: status {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def container(service):
    return docker("ps", "-q", "--no-trunc", "--filter", f"label=com.docker.compose.project={NAME}", "--filter", f"label=com.docker.compose.service={service}")


def inside(service, *argv, env=()):
    return docker("exec", *[o for e in env for o in ("-e", e)], container(service), *argv)


def secret(name):
    return (RUN / "secrets" / name).read_text()


def test_products_are_added_to_an_empty_folder():
    for folder in (PROJECT, FOLDER / "home", FOLDER / "metrics"):
        folder.mkdir()
    for folder in (FOLDER, FOLDER / "metrics"):
        folder.chmod(0o755)
    for product in PRODUCTS:
        call(PROGRAM, "init", "--service", product, PROJECT, "--domain", "club.test")
    call(PROGRAM, "render", PROJECT, "--run", RUN)


def test_all_become_healthy():
    said = call(ROOT / "lab" / "lab", "prepare", "--stand-ins", "-f", PROJECT / "compose.yaml")
    OURS.update(word.split("=", 1) for word in said.split() if "=" in word)
    call(PROGRAM, "--project-directory", PROJECT, "up", "--progress", "plain", "--min-free", "100m", "--timeout", "10m")
    rows = [line.split("\t") for line in docker("ps", "-a", "--filter", f"label=com.docker.compose.project={NAME}", "--format", '{{.Label "com.docker.compose.service"}}\t{{.Status}}').splitlines()]
    that(len(rows) == 20 and all("(healthy)" in status for _, status in rows), f"all services are healthy: {rows}")
    restarts = docker("inspect", "-f", "{{.RestartCount}}", *[container(service) for service, _ in rows]).split()
    that(set(restarts) == {"0"}, f"none was restarted: {restarts}")


def test_prometheus_reaches_what_it_asks():
    def targets():
        found = json.loads(inside("prometheus", "wget", "-qO-", "http://127.0.0.1:9090/api/v1/targets"))["data"]["activeTargets"]
        return {t["labels"]["job"]: t["health"] for t in found}
    eventually("all three answer", lambda: targets() == {"prometheus": "up", "alertmanager": "up", "host": "up"}, 90)
    found = json.loads(inside("prometheus", "wget", "-qO-", "http://127.0.0.1:9090/api/v1/alertmanagers"))["data"]["activeAlertmanagers"]
    that(len(found) == 1, f"it knows who tells people: {found}")


def test_kopia_has_saved_the_project():
    script = 'umask 077; p=$(mktemp); printf \'user = "admin:%s"\\n\' "$PW" >"$p"; curl -fsS -K "$p" http://127.0.0.1:51515/api/v1/sources; s=$?; rm -f "$p"; exit $s'
    sources = json.loads(inside("kopia", "sh", "-c", script, env=["PW=" + secret("kopia_server_password")]))["sources"]
    that([s["source"]["path"] for s in sources] == ["/data/project"], f"the project's folder is what it saves: {sources}")
    summary = sources[0]["lastSnapshot"]["rootEntry"]["summ"]
    that(summary["files"] > 20 and summary.get("numFailed", 0) == 0, f"with its files: {summary}")


def test_databases_take_their_passwords_and_are_dumped():
    that(inside("postgres", "psql", "-h", "127.0.0.1", "-U", "postgres", "-qtAXc", "SELECT 1", env=["PGPASSWORD=" + secret("postgres_password")]) == "1", "PostgreSQL")
    that(inside("mariadb", "mariadb", "-uroot", "-h127.0.0.1", "-BNe", "SELECT 1", env=["MYSQL_PWD=" + secret("mariadb_root_password")]) == "1", "MariaDB")
    that(inside("valkey", "valkey-cli", "set", "a", "b", env=["REDISCLI_AUTH=" + secret("valkey_password")]) == "OK", "Valkey")
    for service in ("postgres", "mariadb", "valkey", "synapse"):
        said = inside(f"{service}-backup", "sh", "/usr/local/bin/database-backup", "once")
        that("backup: complete" in said, f"{service}: {said}")


def test_the_directory_lets_its_administrator_in():
    base = inside("ldap", "printenv", "LDAP_BASE_DN")
    said = inside("ldap", "sh", "-c", 'p=$(mktemp); chmod 600 "$p"; printf %s "$PW" >"$p"; ldapwhoami -x -H ldap://127.0.0.1 -D "cn=admin,$LDAP_BASE_DN" -y "$p"; s=$?; rm -f "$p"; exit $s',
                  env=["PW=" + secret("ldap_admin_password")])
    that(f"cn=admin,{base}" in said, f"by the password that was made: {said}")


def test_jupyterhub_lets_in_who_has_its_password():
    script = """
import http.cookiejar, os, urllib.error, urllib.parse, urllib.request
login = "http://127.0.0.1:8000/hub/login?next=/hub/home"
for word in (os.environ["PW"], "guess"):
    jar = http.cookiejar.CookieJar()
    ask = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    ask.open(login).read()
    mark = [c.value for c in jar if c.name == "_xsrf"][0]
    try:
        ask.open(login, urllib.parse.urlencode({"username": "admin", "password": word, "_xsrf": mark}).encode())
    except urllib.error.HTTPError as error:
        print(error.code)
    print("in" if [c for c in jar if c.name == "jupyterhub-hub-login"] else "out")
"""
    said = inside("jupyterhub", "python3", "-c", script, env=["PW=" + secret("jupyterhub_admin_password")]).split()
    that(said == ["in", "403", "out"], f"and nobody else: {said}")


def test_synapse_makes_its_first_account():
    # The lab's image keeps the program in a folder of its own.
    said = inside("synapse", "sh", "-c", 'PATH=$PATH:/usr/local/synapse/bin; register_new_matrix_user -c /config/homeserver.yaml -a -u ada -p "$PW" http://127.0.0.1:8008', env=["PW=a long one"])
    that("Success" in said, f"as the recipe says: {said}")


run(globals(), needs=("postgres", "mariadb", "valkey", "prometheus"))
