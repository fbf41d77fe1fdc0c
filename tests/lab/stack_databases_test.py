#!/usr/bin/env python3
"""The reference stack's own files with real programs: databases, jobs, pooler, caches, directory, edge, monitoring; written out by
`datamancy init`, secrets replaced by passwords full of quotes, dollars, backslashes and spaces, delivered by `datamancy render`."""
import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from labtest import ENV, LABEL, ROOT, docker, engine, eventually, run, that

PROGRAM = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "build" / "datamancy")
NAME = f"stack-lab-{os.getpid()}"
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix=NAME))
STACK, HOME = FOLDER / "stack", FOLDER / "home"
RUN = pathlib.Path("/dev/shm") / NAME
NASTY = {
    "postgres_password": "po'st\"gres $HOME \\ `x` %s :'v' ;--",
    "pgbouncer_auth_password": "au\"th 'q' $1 \\\\ {x}",
    "pgbouncer_health_password": "he'alth \" \\n $$ %",
    "authelia_db_password": "it's \"quoted\" $PATH \\ back\\\\slash  two spaces",
    "grafana_db_password": "$$body$$ 'x' \"y\" \\' @/:?#[]",
    "synapse_db_password": "se'ss\"ion $1 \\ ;DROP ROLE synapse; --",
    "mastodon_db_password": "m' OR '1'='1 \"\" \\\\ $x",
    "mariadb_root_password": "ro'ot \"pw\" $HOME \\ `id` \\\\",
    "mariadb_seafile_root_password": "se'a \"root\" $ \\ x",
    "bookstack_db_password": "bo'ok \"st\" $ack \\' ; -- \\",
    "seafile_db_password": "s'e\"a $f \\ ile",
    "redis_password": "va'l \"key\" $ \\ #>~*",
    "redis_mastodon_password": "q'u \"e\" $ \\ue",
    "ldap_admin_password": "ad'min \"x\" $ \\ {SSHA}",
    "ldap_readonly_password": "re'ad \"x\" $ \\ only",
    "stack_admin_password": "f'irst \"pass\" $ \\ word",
}
SERVICES = ["postgres", "pgbouncer", "mariadb", "mariadb-init", "mariadb-seafile", "mariadb-seafile-init", "redis", "redis-mastodon", "memcached",
            "ldap", "prometheus", "alertmanager", "caddy"]
PATIENCE = os.environ.get("STACK_LAB_PATIENCE", "30s")
WITHOUT = os.environ.get("STACK_LAB_WITHOUT", "").split()  # services to leave out, on a machine that lacks their images
SERVICES = [s for s in SERVICES if s not in WITHOUT]
LASTING = [s for s in SERVICES if not s.endswith("-init")]
IMAGES = {"postgres": "postgres:17", "postgres-init": "postgres:17", "pgbouncer": "pgbouncer:1.24", "mariadb": "mariadb:11.8", "mariadb-init": "mariadb:11.8",
          "mariadb-seafile": "mariadb:11.8", "mariadb-seafile-init": "mariadb:11.8", "redis": "valkey:8.1", "redis-mastodon": "valkey:8.1",
          "memcached": "memcached:1.6", "prometheus": "prometheus:2", "alertmanager": "alertmanager:0.28", "caddy": "caddy:2"}
LDAP_IMAGE = f"{NAME}-openldap:2.6"


def datamancy(*argv, data=None, status=0):
    done = subprocess.run([PROGRAM, *argv], env={**ENV, "HOME": str(HOME)}, capture_output=True, text=True, input=data if data is not None else "", cwd=FOLDER)
    that(done.returncode == status, f"datamancy {' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def compose(*argv):
    done = subprocess.run([engine.docker(), "compose", "-p", NAME, "-f", str(STACK / "compose.yaml"), "-f", str(FOLDER / "override.yaml"), "--profile", "*", *argv],
                          env={**ENV, "DATAMANCY_RUN": str(RUN)}, capture_output=True, text=True, cwd=STACK)
    that(done.returncode == 0, f"docker compose {' '.join(argv)}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def container(service):
    return docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={NAME}", "--filter", f"label=com.docker.compose.service={service}")


def inside(service, *argv, env=(), data=None):
    """(status, output) of a command in the service's container."""
    options = [o for e in env for o in ("-e", e)]
    done = subprocess.run([engine.docker(), "exec", "-i", *options, container(service), *argv], env=ENV, capture_output=True, text=True, input=data)
    return done.returncode, (done.stdout + done.stderr).strip()


def healthy(service):
    return docker("inspect", "-f", "{{.State.Health.Status}}", container(service)) == "healthy"


def finished(job):
    state = docker("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", container(job))
    that(not state.startswith("exited") or state == "exited 0", f"{job}: {state}\n{docker('logs', container(job))}")
    return state == "exited 0"


@atexit.register
def clean():
    docker("rm", "-f", "-v", *docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={NAME}").split(), check=False)
    for kind in ("volume", "network"):
        docker(kind, "rm", *docker(kind, "ls", "-q", "--filter", f"label=com.docker.compose.project={NAME}").split(), check=False)
    docker("rmi", "-f", LDAP_IMAGE, check=False)
    shutil.rmtree(RUN, ignore_errors=True)
    shutil.rmtree(FOLDER, ignore_errors=True)


def override():
    key, value = LABEL.split("=")
    lines = ["services:"]
    for service, image in {**{s: f"datamancy-lab/{i}" for s, i in IMAGES.items()}, "ldap": LDAP_IMAGE}.items():
        lines += [f"  {service}:", f"    image: {image}", f"    labels: {{{key}: {value}}}"]
        if not service.endswith("-init"):  # the checks are the stack's; only their patience is for a machine that compiles at the same time
            lines.append(f"    healthcheck: {{timeout: {PATIENCE}, retries: 20}}")
        if service in ("caddy", "ldap"):
            lines.append("    build: !reset null")
        if service == "caddy":
            lines.append("    ports: !reset []")
    (FOLDER / "override.yaml").write_text("\n".join(lines) + "\n")


def psql(role, database, statement, password=None):
    return inside("pgbouncer", "psql", "-qtAX", "-h", "127.0.0.1", "-p", "6432", "-U", role, "-d", database, "-c", statement,
                  env=["PGPASSWORD=" + (password or NASTY[f"{role}_db_password"]), "PGCONNECT_TIMEOUT=10"])


def test_init_writes_the_stack_and_render_delivers_it():
    HOME.mkdir()
    datamancy("init", str(STACK), "--domain", "stack.test", "--mail", "admin@stack.test", "--host-size", "32", "--tls", "internal")
    that("postgres_password=ENC[AES256_GCM" in (STACK / "secrets.enc.env").read_text(), "secrets are sealed")
    for name, value in NASTY.items():
        datamancy("--project-directory", str(STACK), "secrets", "set", name, data=value)
    datamancy("render", str(STACK), "--run", str(RUN))
    for name, value in NASTY.items():
        that((RUN / "secrets" / name).read_text() == value, f"{name} arrives as it was set")
    that(RUN.stat().st_mode & 0o777 == 0o700, "only the owner enters the run folder")
    datamancy("render", str(STACK), "--run", str(RUN), "--check")
    bare = [p for p in STACK.rglob("*") if p.is_file() and p.parent.name != "bin" and any(v in p.read_text(errors="replace") for v in NASTY.values())]
    that(not bare, f"no secret stands in the clear in {bare}")


def test_everything_starts_from_nothing():
    override()
    context = FOLDER / "ldap"
    shutil.copytree(STACK / "ldap", context)
    (context / "Dockerfile").write_text((context / "Dockerfile").read_text().replace("FROM debian:trixie-slim", "FROM datamancy-lab/base:13"))
    docker("build", "--network", "host", "--label", LABEL, "-t", LDAP_IMAGE, context)
    compose("up", "-d", *SERVICES)
    for job in ("postgres-init", "mariadb-init", "mariadb-seafile-init"):
        eventually(f"{job} ends well", lambda j=job: finished(j), 300)
    for service in LASTING:
        eventually(f"{service} is healthy", lambda s=service: healthy(s), 300)


def test_roles_log_in_through_the_pooler_in_both_modes():
    modes = {line.split("|")[0]: line for line in psql("pgbouncer_health", "pgbouncer", "SHOW DATABASES", NASTY["pgbouncer_health_password"])[1].splitlines()}
    that("|session|" in modes["synapse"] and "|session|" in modes["mastodon_session"] and "|session|" not in modes["authelia"], f"pools as declared: {modes}")
    for role in ("authelia", "grafana", "synapse", "mastodon"):
        answer = psql(role, role, "SELECT current_user")
        that(answer[1] == role, f"{role} logs in with SCRAM through PgBouncer: {answer}")
        that(psql(role, role, "CREATE TABLE IF NOT EXISTS own(x int); INSERT INTO own VALUES (1); SELECT count(*) > 0 FROM own")[1] == "t", f"{role} owns its database")
    that(psql("mastodon", "mastodon_session", "SELECT pg_advisory_unlock(1) FROM (SELECT pg_advisory_lock(1)) l")[1] == "t", "migrations get a session with its locks")
    that(psql("grafana", "grafana", "SELECT 1", password="wrong")[0] != 0, "a wrong password is refused")
    status, text = psql("grafana", "authelia", "SELECT 1")
    that(status != 0 and "permission denied for database" in text, f"no role enters another's database: {text}")
    that(psql("authelia", "authelia", "SHOW password_encryption")[1] == "scram-sha-256", "verifiers are SCRAM")


def test_the_pooler_is_sick_when_the_server_is():
    that(inside("pgbouncer", "sh", "/usr/local/bin/pgbouncer-health")[0] == 0, "well before")
    docker("pause", container("postgres"))
    try:
        that(inside("pgbouncer", "timeout", "8", "sh", "/usr/local/bin/pgbouncer-health")[0] != 0, "the check fails while the server is frozen")
    finally:
        docker("unpause", container("postgres"))
    eventually("well again", lambda: inside("pgbouncer", "sh", "/usr/local/bin/pgbouncer-health")[0] == 0, 60)


def test_a_frozen_server_is_unhealthy():
    for service in ("postgres", "mariadb", "redis", "memcached", "pgbouncer", "ldap", "prometheus", "caddy"):
        if service in WITHOUT:
            continue
        check = json.loads(docker("inspect", "-f", "{{json .Config.Healthcheck.Test}}", container(service)))
        argv = ["sh", "-c", check[1]] if check[0] == "CMD-SHELL" else check[1:]
        that(inside(service, *argv)[0] == 0, f"{service} is well before")
        # Every process of the service stops, the container runs on: what a deadlock looks like from outside.
        pids = [line.split()[0] for line in docker("top", container(service), "-eo", "pid").splitlines()[1:]]
        for pid in pids:
            os.kill(int(pid), signal.SIGSTOP)
        try:
            done = subprocess.run([engine.docker(), "exec", container(service), "timeout", "12", *argv], env=ENV, capture_output=True, text=True)
            that(done.returncode != 0, f"{service} is frozen and its check says well: {' '.join(argv)}")
        finally:
            for pid in pids:
                os.kill(int(pid), signal.SIGCONT)
        eventually(f"{service} is well after", lambda s=service, a=argv: inside(s, *a)[0] == 0, 60)


def test_mariadb_users_have_their_databases_and_no_more():
    for server, user, databases in (("mariadb", "bookstack", ["bookstack"]), ("mariadb-seafile", "seafile", ["ccnet_db", "seafile_db", "seahub_db"])):
        password = [f"MYSQL_PWD={NASTY[user + '_db_password']}"]
        for database in databases:
            status, text = inside(server, "mariadb", f"-u{user}", "-h127.0.0.1", "-BN", database, "-e", "SELECT CURRENT_USER()", env=password)
            that(text == f"{user}@%", f"{user} in {database}: {text}")
        that(inside(server, "mariadb", f"-u{user}", "-h127.0.0.1", "mysql", "-e", "SELECT 1", env=password)[0] != 0, f"{user} does not see mysql")


def test_valkey_wants_its_password_and_keeps_its_bounds():
    for service, secret, policy in (("redis", "redis_password", "volatile-ttl"), ("redis-mastodon", "redis_mastodon_password", "noeviction")):
        that("NOAUTH" in inside(service, "valkey-cli", "ping")[1], f"{service} refuses without a password")
        login = [f"REDISCLI_AUTH={NASTY[secret]}", f"VALKEYCLI_AUTH={NASTY[secret]}"]
        that(inside(service, "valkey-cli", "config", "get", "maxmemory-policy", env=login)[1].endswith(policy), f"{service} evicts by {policy}")
        that(int(inside(service, "valkey-cli", "config", "get", "maxmemory", env=login)[1].split()[-1]) > 0, f"{service} has a bound")


BASE = "dc=stack,dc=local"
LDAP = {"admin": (f"cn=admin,{BASE}", "ldap_admin_password"), "service": (f"cn=authelia,ou=services,{BASE}", "ldap_readonly_password"),
        "user": (f"uid=admin,ou=people,{BASE}", "stack_admin_password")}


def whoami(who, password=None):
    dn, secret = LDAP[who]
    script = 'cat >/tmp/pw; ldapwhoami -x -H ldap://127.0.0.1 -D "$1" -y /tmp/pw; s=$?; rm -f /tmp/pw; exit $s'
    return inside("ldap", "sh", "-c", script, "sh", dn, data=password or NASTY[secret])


def test_the_directory_has_strong_hashes_and_locks():
    for who in LDAP:
        that(whoami(who)[0] == 0, f"{who} logs in: {whoami(who)}")
    hashes = inside("ldap", "slapcat", "-n", "1")[1]
    that(hashes.count("userPassword:: e0FSR09OMn0") == 2, "both hashes are Argon2")  # base64 of {ARGON2}
    that(whoami("user", "wrong wrong wrong")[0] != 0, "a wrong password is refused")
    for _ in range(5):
        whoami("user", "wrong wrong wrong")
    that(whoami("user")[0] != 0, "five wrong ones lock the account, for the right one too")
    for _ in range(8):
        whoami("service", "wrong wrong wrong")
    that(whoami("service")[0] == 0, "a program's account cannot be locked from outside")
    docker("restart", "-t", "10", container("ldap"))
    eventually("the directory is there again", lambda: whoami("service")[0] == 0, 60)


def test_the_edge_counts_logins_and_not_pages():
    def ask(method, path):
        return inside("caddy", "curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, "--resolve", "auth.stack.test:443:127.0.0.1", f"https://auth.stack.test{path}")[1]

    that(inside("caddy", "curl", "--version")[0] == 0, "the lab's edge has curl")
    for _ in range(15):
        code = ask("GET", "/")
        that(code == "502", f"pages are not counted (502: Authelia is no part of this test): {code}")
    codes = [ask("POST", "/api/firstfactor") for _ in range(11)]
    that(codes == ["502"] * 10 + ["429"], f"the eleventh attempt in a minute gets 429: {codes}")
    that(ask("GET", "/") == "502", "the page still loads")


def test_configurations_pass_their_own_tools():
    for service, argv in (("prometheus", ["promtool", "check", "config", "/etc/prometheus/prometheus.yml"]),
                          ("alertmanager", ["amtool", "check-config", "/etc/alertmanager/alertmanager.yml"]),
                          ("caddy", ["caddy", "validate", "--adapter", "caddyfile", "--config", "/etc/caddy/Caddyfile"])):
        if service in WITHOUT:
            continue
        status, text = inside(service, *argv)
        that(status == 0, f"{' '.join(argv)}: {text[-800:]}")


def test_a_second_start_changes_nothing_and_a_new_password_is_taken_in():
    compose("up", "-d", *SERVICES)
    eventually("the job ran again", lambda: finished("postgres-init"), 120)
    last = docker("logs", container("postgres-init")).rsplit("init: done", 2)
    that("password set" not in last[-2], f"nothing was set anew: {last[-2]}")
    that(psql("authelia", "authelia", "SELECT count(*) > 0 FROM own")[1] == "t", "data are as they were")
    NASTY["grafana_db_password"] = "new 'one' \"now\" $ \\"
    datamancy("--project-directory", str(STACK), "secrets", "set", "grafana_db_password", data=NASTY["grafana_db_password"])
    drift = datamancy("render", str(STACK), "--run", str(RUN), "--check", status=1)
    that("secrets/grafana_db_password: its template or a variable has changed" in drift, f"drift is told: {drift}")
    that("grafana" in datamancy("render", str(STACK), "--run", str(RUN)), "render says who uses it")
    compose("up", "-d", "--force-recreate", "--no-deps", "postgres-init")
    eventually("the job took it in", lambda: finished("postgres-init"), 120)
    eventually("the new password works through the pooler", lambda: psql("grafana", "grafana", "SELECT 1")[1] == "1", 60)


def test_all_comes_back_after_everything_was_killed():
    docker("kill", *[container(s) for s in LASTING])
    compose("up", "-d", *SERVICES)
    for service in LASTING:
        eventually(f"{service} is healthy again", lambda s=service: healthy(s), 300)
    that(psql("synapse", "synapse", "SELECT count(*) > 0 FROM own")[1] == "t", "data are there")


run(globals(), needs=[n for n in ("postgres", "pgbouncer", "mariadb", "valkey", "memcached", "prometheus", "alertmanager", "caddy") if n not in WITHOUT])
