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
    for which in (f"label=com.docker.compose.project={NAME}", f"name={NAME}_"):
        docker("rm", "-f", "-v", *docker("ps", "-aq", "--filter", which).split(), check=False)
    docker("rmi", "-f", NOTEBOOK, check=False)
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


NOTEBOOK = f"datamancy-test/notebook:{os.getpid()}"
# As jovyan of the official notebooks: user 1000 of the group 100, and no other right.
NOTEBOOK_IMAGE = """FROM datamancy-lab/jupyterhub:5
RUN python3 -m pip install -q --no-cache-dir jupyter-server==2.17.0 && useradd -m -u 1000 -g 100 jovyan
USER 1000
WORKDIR /home/jovyan
CMD ["jupyterhub-singleuser"]
"""
AT_THE_HUB = """
import http.cookiejar, json, os, sys, time, urllib.error, urllib.parse, urllib.request
user, verb, *words = sys.argv[1:]
hub, jar = "http://127.0.0.1:8000", http.cookiejar.CookieJar()
open_ = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar)).open
open_(hub + "/hub/login").read()
open_(hub + "/hub/login?next=/hub/home", urllib.parse.urlencode({"username": user, "password": os.environ["PW"], "_xsrf": [c.value for c in jar if c.name == "_xsrf"][0]}).encode()).read()
mark = [c.value for c in jar if c.name == "_xsrf" and c.path == "/hub/"][-1]


def ask(method, path, data=None, **headers):
    request = urllib.request.Request(hub + path, method=method, data=None if data is None else json.dumps(data).encode(), headers={"X-XSRFToken": mark, "Content-Type": "application/json", **headers})
    try:
        with open_(request) as answer:
            return json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()[:2000]}")


def ready():
    return ask("GET", f"/hub/api/users/{user}")["servers"].get("", {}).get("ready")


if verb == "stop":
    ask("DELETE", f"/hub/api/users/{user}/server")
    while ask("GET", f"/hub/api/users/{user}")["servers"]:
        time.sleep(0.5)
    sys.exit()
if not ready():
    ask("POST", f"/hub/api/users/{user}/server", {})
end = time.time() + 120
while not ready():
    if time.time() > end:
        sys.exit("the notebook is not ready")
    time.sleep(0.5)
token = ask("POST", f"/hub/api/users/{user}/tokens", {"expires_in": 300})["token"]
where = f"/user/{user}/api/contents/"
if verb == "write":
    ask("PUT", where + words[0], {"type": "file", "format": "text", "content": words[1]}, Authorization="token " + token)
print(*sorted(f"{one['name']}" for one in ask("GET", where, Authorization="token " + token)["content"]))
if verb == "read":
    print(ask("GET", where + words[0], Authorization="token " + token)["content"])
"""


def at_the_hub(user, *words):
    word = "jupyterhub_admin_password" if user == "admin" else "jupyterhub_user_password"
    return inside("jupyterhub", "python3", "-c", AT_THE_HUB, user, *words, env=["PW=" + secret(word)])


def test_notebooks_keep_what_people_write_in_them():
    subprocess.run(["docker", "build", "-q", "--network", "host", "-t", NOTEBOOK, "-"], env=ENV, input=NOTEBOOK_IMAGE, text=True, check=True, capture_output=True)
    OURS["NOTEBOOK_IMAGE"] = NOTEBOOK
    call(PROGRAM, "--project-directory", PROJECT, "up", "--progress", "plain", "--min-free", "100m", "--timeout", "10m", "jupyterhub")
    that(at_the_hub("admin", "write", "notes.txt", "written by people") == "notes.txt", "a notebook starts, and its user can write")
    that(at_the_hub("ada", "list") == "", "others do not see it")
    for user in ("admin", "ada"):
        at_the_hub(user, "stop")
    that(not docker("ps", "-aq", "--filter", f"name={NAME}_jupyterhub-notebooks-"), "a notebook that is stopped leaves no container")
    that(inside("jupyterhub", "stat", "-c", "%u:%g %a", "/srv/work/admin") == "990:100 770", "their folders are theirs and the hub's")
    that(at_the_hub("admin", "read", "notes.txt").split("\n")[-1] == "written by people", "it is there in the next container")
    said = inside("jupyterhub-backup", "sh", "/usr/local/bin/database-backup", "once")
    that("backup: complete" in said and "/srv/work/admin/notes.txt" in inside("jupyterhub-backup", "restic", "ls", "latest").replace("/data/jupyterhub_work", "/srv/work"), f"its backup has it: {said}")


def test_synapse_makes_its_first_account():
    # The lab's image keeps the program in a folder of its own.
    said = inside("synapse", "sh", "-c", 'PATH=$PATH:/usr/local/synapse/bin; register_new_matrix_user -c /config/homeserver.yaml -a -u ada -p "$PW" http://127.0.0.1:8008', env=["PW=a long one"])
    that("Success" in said, f"as the recipe says: {said}")


run(globals(), needs=("postgres", "mariadb", "valkey", "prometheus"))
