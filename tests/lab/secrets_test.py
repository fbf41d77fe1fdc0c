#!/usr/bin/env python3
"""Secrets on a real engine: databases run with passwords that no file in the clear ever held; rotation on PostgreSQL, MariaDB, Valkey and OpenLDAP,
with its clients; a failed rotation leaves everything as it was, a killed one is told and finished by the next."""
import hashlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "secrets"))
import labtest
from labtest import ENV, docker, eventually, run, tag, that
from tracing import Trace, can_trace

BINARY = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.abspath("build/datamancy")
PROJECT = f"secretslab{os.getpid()}"
TAGS = {"postgres": f"postgres:17-{PROJECT}", "mariadb": f"mariadb:11-{PROJECT}", "valkey": f"valkey/valkey:8-{PROJECT}", "openldap": f"osixia/openldap:1-{PROJECT}", "base": f"example/base:1-{PROJECT}"}
FIRST = {"PG_PASSWORD": "pg first 'secret' $one", "MARIA_ROOT": "Maria-first-0ne", "VALKEY_PASSWORD": "Valkey.first.0ne", "LDAP_ADMIN": "Ldap-first-0ne"}
COMPOSE = """
services:
  db:
    image: {postgres}
    environment: {{POSTGRES_PASSWORD: "${{PG_PASSWORD:?}}", POSTGRES_USER: app}}
    labels: {{datamancy.test: secrets}}
  maria:
    image: {mariadb}
    environment: {{MARIADB_ROOT_PASSWORD: "${{MARIA_ROOT:?}}"}}
    labels: {{datamancy.test: secrets}}
  cache:
    image: {valkey}
    command: ["valkey-server", "--requirepass", "${{VALKEY_PASSWORD:?}}"]
    labels: {{datamancy.test: secrets}}
  ldap:
    image: {openldap}
    environment: {{LDAP_ADMIN_PASSWORD: "${{LDAP_ADMIN:?}}", LDAP_DOMAIN: club.example, LDAP_TLS: "false"}}
    labels: {{datamancy.test: secrets}}
  client:
    image: {base}
    command: ["sleep", "infinity"]
    init: true
    environment: {{DB: "${{PG_PASSWORD:?}}"}}  # in the request that makes it, and in no other
    labels: {{datamancy.test: secrets}}
  bystander:
    image: {base}
    command: ["sleep", "infinity"]
    init: true
    labels: {{datamancy.test: secrets}}
  picky:
    image: {base}
    profiles: [picky]
    command: ["sh", "-c", "printf %s \\"$$PW\\" | sha256sum | grep -q {sum} && exec sleep infinity"]
    environment: {{PW: "${{PG_PASSWORD:?}}"}}
    init: true
    labels: {{datamancy.test: secrets}}
"""
world = tempfile.TemporaryDirectory(prefix="dm-secrets-lab-")
folder, home = os.path.join(world.name, PROJECT), os.path.join(world.name, "home")
os.makedirs(folder)
os.makedirs(home)
env = {**{k: v for k, v in ENV.items() if not k.startswith("SOPS_")}, "HOME": home, "DATAMANCY_STATE": os.path.join(world.name, "state")}


def dm(*words, data=None, status=0, trace=None):
    argv = [BINARY, "secrets", *words]
    done = subprocess.run(argv if trace is None else trace.argv(argv), env=env, cwd=folder, input=data, capture_output=True, text=True)
    if status is not None and done.returncode != status:
        raise labtest.Failed(f"secrets {' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def container(service):
    return docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}", "--filter", f"label=com.docker.compose.service={service}")


def address(service):
    return docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", container(service)).split()[0]


def works(service, password):
    """A login over the network with this password."""
    at = container(service)
    argv, more, data = {
        "db": (["psql", "-h", address("db"), "-U", "app", "-d", "postgres", "-w", "-Atc", "select 1"], ["PGPASSWORD=" + password], None),
        "maria": (["mariadb", "--protocol=tcp", "-h", "127.0.0.1", "-u", "root", "-Ne", "select 1"], ["MYSQL_PWD=" + password], None),
        "cache": (["valkey-cli", "-e", "-h", "127.0.0.1", "ping"], ["REDISCLI_AUTH=" + password], None),
        "ldap": (["ldapwhoami", "-x", "-H", "ldap://127.0.0.1", "-D", "cn=admin,dc=club,dc=example", "-w", password], [], None)}[service]
    options = [o for e in more for o in ("-e", e)]
    done = subprocess.run(["docker", "exec", *options, at, *argv], env=ENV, capture_output=True, text=True)
    return done.returncode == 0 and "AUTH failed" not in done.stderr + done.stdout


def sealed(name):
    return subprocess.run([BINARY, "secrets", "get", name], env=env, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_databases_start_with_passwords_that_no_file_held():
    for name, other in TAGS.items():
        docker("tag", tag(name), other)
    with open(os.path.join(folder, "compose.yaml"), "w") as file:
        file.write(COMPOSE.format(**TAGS, sum=hashlib.sha256(FIRST["PG_PASSWORD"].encode()).hexdigest()))
    dm("init")
    dm("set", "--null", data="".join(f"{k}={v}\0" for k, v in FIRST.items()))
    dm("compose", "--", "up", "-d", "--quiet-pull")
    for service, name in (("db", "PG_PASSWORD"), ("maria", "MARIA_ROOT"), ("cache", "VALKEY_PASSWORD"), ("ldap", "LDAP_ADMIN")):
        eventually(f"{service} takes its password", lambda: works(service, FIRST[name]), 90)
        that(not works(service, "wrong"), f"{service} refuses another")
    for service, name in (("db", "PG_PASSWORD"), ("maria", "MARIA_ROOT"), ("ldap", "LDAP_ADMIN")):
        that(FIRST[name] not in docker("inspect", container(service)), f"inspect of {service} has no password")
    for at, _, names in os.walk(world.name):
        for name in names:
            content = open(os.path.join(at, name), "rb").read()
            that(not any(v.encode() in content for v in FIRST.values()), f"{name} holds a password in the clear")


def test_it_comes_back_after_a_restart():
    docker("restart", container("db"))
    eventually("the database takes its password", lambda: works("db", FIRST["PG_PASSWORD"]), 60)


def test_each_server_is_rotated_with_its_clients_and_nobody_else():
    for service, name in (("db", "PG_PASSWORD"), ("cache", "VALKEY_PASSWORD"), ("ldap", "LDAP_ADMIN"), ("maria", "MARIA_ROOT")):
        before = {s: container(s) for s in ("client", "bystander")}
        trace = Trace() if can_trace() else None
        said = dm("rotate", name, "--yes", trace=trace)
        new = sealed(name)
        if trace is not None:  # no argument, no file and no request to the engine has the old or the new one
            leaks = trace.leaks([FIRST[name], new], pipes=True, engine_stdin=True, made=[FIRST[name], new] if service in ("db", "cache") else ())  # their containers get it by environment
            that(not leaks and trace.seen > 0, f"rotation of {name}, traced: {leaks[:3]}, {trace.seen} writes to memory seen")
            trace.close()
        that(new != FIRST[name] and len(new) >= 40, f"{name} has a new value")
        that(new not in said and FIRST[name] not in said, "no password is said")
        eventually(f"{service} takes the new password", lambda: works(service, new), 60)
        that(not works(service, FIRST[name]), f"{service} refuses the old one")
        that((container("client") != before["client"]) == (service == "db"), "exactly the users are recreated")
        that(container("bystander") == before["bystander"], "nobody else is")
        that("PREVIOUS" not in dm("list") and "NEXT" not in dm("list"), "the old value is forgotten")
        FIRST[name] = new


def test_a_rotation_whose_client_fails_is_undone():
    text = open(os.path.join(folder, "compose.yaml")).read()
    old = hashlib.sha256(FIRST["PG_PASSWORD"].encode()).hexdigest()
    with open(os.path.join(folder, "compose.yaml"), "w") as file:
        import re
        file.write(re.sub(r"grep -q \S+ &&", f"grep -q {old} &&", text))
    dm("--profile", "picky", "compose", "--", "up", "-d", "picky")
    said = dm("--profile", "picky", "rotate", "PG_PASSWORD", "--yes", status=2)
    that("everything is as it was" in said, said)
    that(sealed("PG_PASSWORD") == FIRST["PG_PASSWORD"], "the sealed value is the old one")
    eventually("the server takes the old password", lambda: works("db", FIRST["PG_PASSWORD"]), 60)
    that("PREVIOUS" not in dm("list"), "nothing is left over")


def test_a_server_that_does_not_take_the_sealed_password_is_left_alone():
    dm("set", "MARIA_ROOT", data="not the real one")
    said = dm("rotate", "MARIA_ROOT", "--yes", status=2)
    that("nothing was changed" in said, said)
    dm("set", "MARIA_ROOT", data=FIRST["MARIA_ROOT"])


STEPS = ("sealed the new value", "changed on", "the new value is the present one", "recreated")


def killed_at(name, step):
    """kill -9 as soon as the rotation says that it has done this step."""
    process = subprocess.Popen([BINARY, "secrets", "rotate", name, "--yes"], env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(step):
            process.kill()
            process.wait()
            return
    raise labtest.Failed(f"the rotation of {name} ended before '{step}': {said}")


def test_killed_at_each_step_it_is_told_and_finished():
    for service, name in (("db", "PG_PASSWORD"), ("maria", "MARIA_ROOT"), ("cache", "VALKEY_PASSWORD"), ("ldap", "LDAP_ADMIN")):
        for step in STEPS:
            old = sealed(name)
            killed_at(name, step)
            listed = dm("list")
            that(f"{name}__NEXT" in listed or f"{name}__PREVIOUS" in listed, f"{name} at '{step}': both values are sealed: {listed}")
            said = subprocess.run([BINARY, "plan"], env=env, cwd=folder, capture_output=True, text=True).stderr
            that(f"a rotation of {name} was cut off" in said and f"secrets rotate {name}" in said, f"{name} at '{step}': plan says {said}")
            that(("the server may have" in said) == (f"{name}__NEXT" in listed), f"{name} at '{step}': plan says {said}")
            if (service, step) == ("db", STEPS[2]):
                up = subprocess.run([BINARY, "up", "--progress", "plain", "--min-free", "100m", "--settle", "1s"], env=env, cwd=folder, capture_output=True, text=True)
                that(up.returncode == 0 and "was cut off" in up.stderr, f"up goes on and says it: {up.returncode} {up.stderr}")
            said = dm("rotate", name, "--yes")
            that("an earlier rotation" in said and "done; the old value is forgotten" in said, f"{name} at '{step}': {said}")
            new = sealed(name)
            eventually(f"{service} takes the new password after '{step}'", lambda: works(service, new), 60)
            that(new != old and not works(service, old), f"{service} refuses the old one after '{step}'")
            listed = dm("list")
            that("__NEXT" not in listed and "__PREVIOUS" not in listed, listed)
            FIRST[name] = new


def clean():
    subprocess.run([BINARY, "secrets", "--profile", "picky", "compose", "--", "down", "-v", "--remove-orphans", "-t", "1"], env=env, cwd=folder, capture_output=True)
    subprocess.run([BINARY, "secrets", "deliver", "--withdraw"], env=env, cwd=folder, capture_output=True)
    for other in TAGS.values():
        subprocess.run(["docker", "rmi", other], env=ENV, capture_output=True)


if __name__ == "__main__":
    try:
        run(globals(), list(TAGS))
    finally:
        clean()
