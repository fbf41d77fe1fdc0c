#!/usr/bin/env python3
"""Configuration of the reference stack read by the programs that it is for: Synapse starts on the stack's PostgreSQL, pooler and Valkey, JupyterHub's hub
answers, and people sign in to both by OpenID Connect, with the clients that Authelia's configuration registers, at a provider that stands in for it. Only
addresses and folders are changed. Each part is left out where its program is not in the lab: lab/lab tools NAME."""
import atexit
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import provider
from labtest import ENV, LABEL, ROOT, docker, engine, eventually, run, skip, that

BIN = pathlib.Path(ENV.get("DATAMANCY_LAB", "/var/cache/datamancy-lab")) / "bin"
PROGRAM = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "build" / "datamancy")
NAME = f"stack-configs-{os.getpid()}"
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix=NAME))
STACK, RUN = FOLDER / "stack", pathlib.Path("/dev/shm") / NAME
SERVICES = {"postgres": "postgres:17", "postgres-init": "postgres:17", "pgbouncer": "pgbouncer:1.24", "redis-synapse": "valkey:8.1"}
running = []
DOMAIN = "stack.test"
signing_in = {}  # port of the provider, once it runs


@atexit.register
def clean():
    for process in running:
        process.kill()
        process.wait()
    docker("rm", "-f", "-v", *docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={NAME}").split(), check=False)
    for kind in ("volume", "network"):
        docker(kind, "rm", *docker(kind, "ls", "-q", "--filter", f"label=com.docker.compose.project={NAME}").split(), check=False)
    shutil.rmtree(RUN, ignore_errors=True)
    shutil.rmtree(FOLDER, ignore_errors=True)


def call(*argv, **more):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, env={**ENV, "HOME": str(FOLDER / "home"), "DATAMANCY_RUN": str(RUN)}, **more)
    that(done.returncode == 0, f"{' '.join(map(str, argv[:4]))}: status {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(log, *argv, **env):
    running.append(subprocess.Popen([str(a) for a in argv], env={**ENV, **env}, stdout=open(FOLDER / log, "w"), stderr=subprocess.STDOUT, cwd=FOLDER, preexec_fn=lambda: os.nice(5)))
    return running[-1]


def get(address):
    try:
        return json.load(urllib.request.urlopen(address, timeout=5))
    except (OSError, ValueError):
        return None


def answers(process, log, address):
    """What the program says at the address; its end is the test's failure."""
    def once():
        that(process.poll() is None, f"it ended: {(FOLDER / log).read_text()[-2500:]}")
        return get(address)
    return eventually(f"{address} answers: {(FOLDER / log).read_text()[-600:]}", once, 120)


def changed(text, *pairs):
    for old, new in pairs:
        that(old in text, f"the configuration has {old}")
        text = text.replace(old, str(new))
    return text


def need(program):
    if not (BIN / program).exists():
        print(f"note: no {program}: lab/lab tools {program}", flush=True)
        return False
    return True


def test_init_writes_the_stack():
    if not any((BIN / p).exists() for p in ("synapse_homeserver", "jupyterhub")):
        skip("the lab has none of the programs: lab/lab tools synapse_homeserver jupyterhub")
    (FOLDER / "home").mkdir()
    call(PROGRAM, "init", STACK, "--domain", "stack.test", "--mail", "admin@stack.test", "--host-size", "32", "--tls", "internal")
    call(PROGRAM, "--project-directory", STACK, "secrets", "set", "synapse_db_password", input="se'ss\"ion $1 \\ {x}: #")
    call(PROGRAM, "render", STACK, "--run", RUN)


def test_authelias_clients_are_registered_at_a_provider():
    modules = provider.node_modules(BIN.parent, FOLDER)
    if not modules:
        print("note: no oidc-provider: lab/lab tools oidc-provider", flush=True)
        return
    clients, pkce = provider.registrations((STACK / "authelia" / "configuration.yml").read_text(), RUN / "secrets", DOMAIN)
    that(len(clients) == 9, f"nine clients, each hash that of its secret: {[c['client_id'] for c in clients]}")
    port = free()
    provider.settings(FOLDER / "provider.json", port, clients, pkce)
    process = start("provider.log", "node", pathlib.Path(__file__).with_name("provider.mjs"), modules, FOLDER / "provider.json")
    found = answers(process, "provider.log", f"http://127.0.0.1:{port}/.well-known/openid-configuration")
    that(found["token_endpoint"].endswith("/api/oidc/token"), f"at Authelia's paths: {found}")
    signing_in["port"] = port


def test_synapse_starts_on_the_stacks_database_and_signs_people_in():
    if not need("synapse_homeserver"):
        return
    key, value = LABEL.split("=")
    lines = ["services:"]
    for service, image in SERVICES.items():
        lines += [f"  {service}:", f"    image: datamancy-lab/{image}", f"    labels: {{{key}: {value}}}"]
    (FOLDER / "override.yaml").write_text("\n".join(lines) + "\n")
    call(engine.docker(), "compose", "-p", NAME, "-f", STACK / "compose.yaml", "-f", FOLDER / "override.yaml", "--profile", "*", "up", "-d", *SERVICES, cwd=STACK)

    def container(service):
        return docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={NAME}", "--filter", f"label=com.docker.compose.service={service}")

    def address(service, network):
        return docker("inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{NAME}_{network}").IPAddress}}}}', container(service))

    for service in ("pgbouncer", "redis-synapse"):
        eventually(f"{service} is healthy", lambda s=service: docker("inspect", "-f", "{{.State.Health.Status}}", container(s)) == "healthy", 120)
    port = free()
    data = FOLDER / "synapse"
    data.mkdir()
    text = changed((RUN / "config" / "synapse" / "homeserver.yaml").read_text(), ("/data/", f"{data}/"), ("/config/log.yaml", STACK / "synapse" / "log.yaml"),
                   ("/run/secrets/", f"{RUN}/secrets/"), ("host: pgbouncer", f"host: {address('pgbouncer', 'database')}"),
                   ("host: redis-synapse", f"host: {address('redis-synapse', 'matrix')}"), ("port: 8008", f"port: {port}"), ("['0.0.0.0']", "['127.0.0.1']"))
    if signing_in:
        # Synapse wants https of an issuer; the stand-in has none.
        text = changed(text, (f"issuer: https://auth.{DOMAIN}", f"issuer: http://127.0.0.1:{signing_in['port']}\n    skip_verification: true"))
    (FOLDER / "homeserver.yaml").write_text(text)
    call(BIN / "synapse_homeserver", "-c", FOLDER / "homeserver.yaml", "--generate-keys", cwd=FOLDER)
    process = start("synapse.log", BIN / "synapse_homeserver", "-c", FOLDER / "homeserver.yaml")
    that(answers(process, "synapse.log", f"http://127.0.0.1:{port}/_matrix/client/versions")["versions"], "the client API answers")
    flows = get(f"http://127.0.0.1:{port}/_matrix/client/v3/login")["flows"]
    that(any(p["name"] == "Authelia" for f in flows for p in f.get("identity_providers", [])), f"sign-in by Authelia is offered: {flows}")
    tables = docker("exec", "-u", "postgres", container("postgres"), "psql", "-qtAX", "-d", "synapse", "-c", "SELECT count(*) > 100 FROM pg_tables WHERE tableowner = 'synapse'")
    that(tables == "t", "its tables are in the stack's database, and its role owns them")
    if signing_in:
        person = provider.Person({f"matrix.{DOMAIN}": f"127.0.0.1:{port}"})
        where, status, page = person.go(f"https://matrix.{DOMAIN}/_matrix/client/v3/login/sso/redirect/oidc-authelia?redirectUrl=https%3A%2F%2Fchat.{DOMAIN}%2F", "ada", lambda a: a.startswith(f"https://chat.{DOMAIN}/"))
        token = re.search(r"loginToken=([\w.~-]+)", where + page)
        that(token, f"Synapse lets her in: {status} {where} {page[-600:]} {(FOLDER / 'provider.log').read_text()[-600:]}")
        request = urllib.request.Request(f"http://127.0.0.1:{port}/_matrix/client/v3/login", json.dumps({"type": "m.login.token", "token": token.group(1)}).encode(), {"Content-Type": "application/json"})
        said = json.load(urllib.request.urlopen(request))
        name = said["user_id"]
        that(name.startswith("@ada:"), f"she is who she was there: {name}")
        profile = get(f"http://127.0.0.1:{port}/_matrix/client/v3/profile/{urllib.parse.quote(name)}") or {}
        that(profile.get("displayname") == "Ada Example", f"by the name that userinfo gave: {profile}")


def test_jupyterhub_loads_its_configuration_and_signs_people_in():
    if not need("jupyterhub"):
        return
    port, front, proxy_api = free(), free(), free()
    data = FOLDER / "hub"
    data.mkdir()
    notebooks = FOLDER / "notebooks.py"
    text = changed((STACK / "jupyterhub" / "notebooks.py").read_text(), ('"/run/secrets"', repr(f"{RUN}/secrets")), ("sqlite:////srv/jupyterhub", f"sqlite:///{data}"),
                   ("http://0.0.0.0:8081", f"http://127.0.0.1:{port}"), ("http://jupyterhub:8081", f"http://127.0.0.1:{port}"), ("http://0.0.0.0:8000", f"http://127.0.0.1:{front}"))
    # The proxy in front of the hub is a Node program of the image; here one stands in for it that knows no routes, and that is late.
    text += f"c.ConfigurableHTTPProxy.command = [{sys.executable!r}, {str(ROOT / 'tests' / 'lab' / 'slow_proxy.py')!r}]\n"
    text += f"c.ConfigurableHTTPProxy.api_url = 'http://127.0.0.1:{proxy_api}'\nc.ConfigurableHTTPProxy.pid_file = {str(FOLDER / 'proxy.pid')!r}\n"
    notebooks.write_text(text)
    text = changed((STACK / "jupyterhub" / "jupyterhub_config.py").read_text(), ("/run/secrets", f"{RUN}/secrets"), ("/etc/jupyterhub/notebooks.py", notebooks))
    if signing_in:
        text = text.replace("https://auth.{domain}", f"http://127.0.0.1:{signing_in['port']}")
    (FOLDER / "hub.py").write_text(text)
    process = start("hub.log", BIN / "jupyterhub", "-f", FOLDER / "hub.py", DOMAIN="stack.test", NOTEBOOK_IMAGE="x", NOTEBOOK_NETWORK="n", NOTEBOOK_MEMORY="2G")
    that(answers(process, "hub.log", f"http://127.0.0.1:{port}/hub/api/")["version"].startswith("5."), "the hub answers")
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/hub/login").read().decode()
    that("Authelia" in page, "it offers sign-in by Authelia")
    log = (FOLDER / "hub.log").read_text()
    that("waiting for it" in log, f"a proxy that takes too long is waited for: {log[-2000:]}")
    that("Unrecognized" not in log and "not recognized" not in log and "deprecated" not in log, f"it knows each setting: {log[-2000:]}")
    if not signing_in:
        return
    for who, outcome in (("ada", 200), ("root", 200), ("eve", 403)):
        person = provider.Person({f"jupyterhub.{DOMAIN}": f"127.0.0.1:{port}"})
        where, status, page = person.go(f"https://jupyterhub.{DOMAIN}/hub/oauth_login?next=%2Fhub%2Ftoken", who)
        that(status == outcome, f"{who}: {status} at {where}: {page[-500:]} {(FOLDER / 'hub.log').read_text()[-1500:]} {(FOLDER / 'provider.log').read_text()[-600:]}")
        if outcome == 200:
            admin = person.once("GET", f"https://jupyterhub.{DOMAIN}/hub/admin")[0]
            that(where.endswith("/hub/token") and (admin == 200) == (who == "root"), f"{who} is in, and the administrator alone administers: {admin} {where}")


run(globals(), needs=("postgres", "pgbouncer", "valkey"))
