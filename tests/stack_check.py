#!/usr/bin/env python3
"""stack_check.py ROOT DATAMANCY: the reference stack is closed, complete and clean.

Without Docker: audits with no finding above low and no suppression, every mounted file exists, every secret and rendered file is declared
in variables.yaml, nothing secret stands in the tree. With `docker compose`: every documented profile combination loads, and the model is
the same as ours. Skips that part (77 when nothing else fails) where there is no docker compose.
"""
import asyncio
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import types
import unittest.mock

root, program = pathlib.Path(sys.argv[1]), sys.argv[2]
stack = root / "stack"
failures = []


def check(truth, what):
    if not truth:
        failures.append(what)


def run(*argv, **more):
    return subprocess.run(argv, capture_output=True, text=True, cwd=stack, **more)


PROFILES = ["infrastructure", "databases", "bootstrap", "bootstrap_vector_dbs", "applications", "gpu", "probe"]
# docs/stack.md names these; `--pairs` takes each pair besides.
combinations = [(p,) for p in PROFILES] + [
    ("infrastructure", "databases"),
    ("infrastructure", "databases", "applications"),
    ("infrastructure", "databases", "applications", "gpu"),
    ("bootstrap", "bootstrap_vector_dbs"),
    ("bootstrap", "gpu"),
    ("infrastructure", "databases", "bootstrap_vector_dbs", "applications"),
    tuple(PROFILES),
]
if "--pairs" in sys.argv:
    combinations += list(itertools.combinations(PROFILES, 2))


def flags(profiles):
    return [word for p in profiles for word in ("--profile", p)]


# --- our own audit ---
audit = run(program, "audit", ".", "--format", "json", "--show", "low")
report = json.loads(audit.stdout)
for finding in report["findings"]:
    check(finding["severity"] in ("low", "info"), f"finding {finding['rule']} {finding['severity']}: {finding['message']}")
check(not (stack / ".datamancy.yml").exists(), "the stack has a file of suppressions")
for file in stack.rglob("*"):
    if file.is_file() and file.stat().st_size < 1_000_000 and "/bin/" not in str(file):
        check("datamancy: ignore" not in file.read_text(errors="replace"), f"{file} suppresses a finding")

# --- files, secrets, rendered configuration ---
model = json.loads(run(program, *flags(["*"]), "config", "--format", "json").stdout)
# A name is looked up first on the network that is not internal; one without traffic between containers drops what is sent there.
mute = {k for k, n in model["networks"].items() if n.get("driver_opts", {}).get("com.docker.network.bridge.enable_icc") == "false"}
check(len(mute) == 3, f"the ways out are {sorted(mute)}")
for edge in json.loads(run(program, *flags(["*"]), "graph", "--format", "json").stdout)["edges"]:
    if edge["to"] and edge["to"] != edge["from"]:
        shared = mute & set(model["services"][edge["from"]].get("networks", {})) & set(model["services"][edge["to"]].get("networks", {}))
        check(not shared, f"{edge['from']} calls {edge['to']}, and both are on {sorted(shared)}, where no container reaches another")
run_dir = "/run/datamancy/datamancy"
schema = dict(re.findall(r"^  (\w+): (.*)$", (stack / "variables.yaml").read_text(), re.M))
users = {}
for name, secret in model.get("secrets", {}).items():
    check(secret.get("file") == f"{run_dir}/secrets/{name}", f"secret {name} lies at {secret.get('file')}")
    check(name in schema, f"secret {name} is not declared in variables.yaml")
templates = {str(t.relative_to(stack))[:-5] for t in stack.rglob("*.tmpl") if "services" not in t.parts}
for name, config in model.get("configs", {}).items():
    path = config.get("file", "")
    check(path.startswith(run_dir + "/config/") and path[len(run_dir) + 8:] in templates, f"config {name} ({path}) has no template")
for name, service in model["services"].items():
    for secret in service.get("secrets", []):
        users.setdefault(secret["source"], set()).add(name)
    for config in service.get("configs", []):
        template = stack / (model["configs"][config["source"]]["file"][len(run_dir) + 8:] + ".tmpl")
        for variable in re.findall(r"@\{ *(\w+)", template.read_text() if template.exists() else ""):
            users.setdefault(variable, set()).add(name)
            check(variable in schema, f"{template} uses {variable}, which variables.yaml does not declare")
for name, declared in schema.items():
    if (listed := re.search(r"used_by: \[([^\]]*)\]", declared)) and name not in ("render_key", "vaultwarden_admin_password"):
        check(set(listed[1].split(", ")) == users.get(name, set()), f"variables.yaml says that {name} is used by {listed[1]}; it is by {sorted(users.get(name, []))}")
check(subprocess.run([sys.executable, root / "tools" / "stack_budgets.py", root, program, "--check"]).returncode == 0, "budgets.yaml does not follow from the fragments")
for variable in re.findall(r"\$\{([A-Z0-9_]+)", "".join(f.read_text() for f in stack.glob("*/compose.yaml"))):
    check(variable in schema or variable in ("COMPOSE_PROJECT_NAME", "DATABASE_PASSWORD"), f"{variable} is not declared in variables.yaml")
used = {c["file"][len(run_dir) + 8:] for c in model.get("configs", {}).values()}
for orphan in templates - used:
    check(False, f"template {orphan}.tmpl is mounted nowhere")
for name, service in model["services"].items():
    for mount in service.get("volumes", []):
        if mount["type"] == "bind" and mount["source"].startswith(str(stack)):
            check(pathlib.Path(mount["source"]).exists(), f"{name} mounts {mount['source']}, which does not exist")
    check("container_name" not in service, f"{name} has a container name")
    one_shot = service.get("restart") == "no"
    limits = service.get("deploy", {}).get("resources", {})
    for kind, keys in (("limits", ("memory", "cpus", "pids")), ("reservations", ("memory",))):
        for key in keys:
            check(limits.get(kind, {}).get(key), f"{name} has no {key} in {kind}")
    check(one_shot or service.get("healthcheck"), f"{name} has no healthcheck")
    check(not one_shot or "healthcheck" not in service, f"one-shot {name} has a healthcheck")
    check(service.get("logging", {}).get("options") == {"max-size": "10m", "max-file": "3", "compress": "true"}, f"{name} has no log rotation")
    for port in service.get("ports", []):
        check(name in ("caddy", "mailu-front"), f"{name} publishes {port.get('published')}")
# Versions are said once, by the tags; VERSIONS.md has each with its evidence.
versions = (stack / "VERSIONS.md").read_text()
for name, service in model["services"].items():
    tag = service["image"].rsplit(":", 1)[1]
    check(tag in versions or service["image"].startswith("datamancy/"), f"VERSIONS.md does not name {service['image']}")
for fragment in stack.glob("*/compose.yaml"):
    for line in fragment.read_text().split("\nservices:")[0].splitlines():
        check(not re.search(r"[Vv]ersions?:? +v?\d", line), f"{fragment} says a version beside the tag: {line}")
# Whatever is started, what it keeps is saved: a profile with data has both backups.
saved = {m["source"] for s in ("kopia", "restic") for m in model["services"][s]["volumes"] if m["type"] == "volume"}
with_data = {p for s in model["services"].values() if any(m["type"] == "volume" and m["source"] in saved for m in s.get("volumes", [])) for p in s["profiles"]}
for backup in ("kopia", "restic"):
    check(with_data - {"probe"} <= set(model["services"][backup]["profiles"]), f"{backup} is not in the profiles {sorted(with_data - set(model['services'][backup]['profiles']))}, which keep data")
# What keeps nothing worth a backup, or is saved by dumps: all other volumes are among Kopia's.
elsewhere = {"postgres_data", "mariadb_data", "seafile_mysql_data", "ldap_data", "qdrant_data", "qdrant_snapshots", "clickhouse_data"}
fetched = {"embedding_models", "vllm_models", "speech_models", "whisper_models", "piper_data", "clamav_data"}
passing = {"caddy_config", "benthos_data", "prometheus_data", "alertmanager_data", "vector_data", "onlyoffice_lib", "onlyoffice_db"}
its_own = {"kopia_config", "kopia_cache", "kopia_repository", "restic_cache", "restic_state"}
kopias = {m["source"] for m in model["services"]["kopia"]["volumes"] if m["target"].startswith("/data/")}
unsaved = set(model["volumes"]) - kopias - elsewhere - fetched - passing - its_own
check(not unsaved, f"nobody saves {sorted(unsaved)}")
# What people write in notebooks is on that volume: a folder of the user's own, mounted by the volume's place on the host.
notebooks = stack / "jupyterhub" / "notebooks.py"
for config in (stack / "jupyterhub" / "jupyterhub_config.py", stack / "services" / "jupyterhub" / "jupyterhub_config.py"):
    check('load_subconfig("/etc/jupyterhub/notebooks.py")' in config.read_text(), f"{config} does not load notebooks.py")
with tempfile.TemporaryDirectory() as folder:
    class Any:
        def __getattr__(self, name):
            return self.__dict__.setdefault(name, Any())

    class Spawner:
        escaped_name = "ada-40example"

        async def docker(self, verb, name):
            return {"Mountpoint": f"/volumes/{name}/_data"} if verb == "inspect_volume" else None

    pathlib.Path(folder, "work").mkdir()
    text = notebooks.read_text()
    for secret in re.findall(r'secret\("(\w+)"\)', text):
        pathlib.Path(folder, secret).write_text("00" * 32)
    given, settings = [], Any()
    text = text.replace('"/run/secrets"', repr(folder)).replace('"/srv/work"', repr(folder + "/work")).replace("os.chown(folder, -1, 100)", "given.append((folder.name, 100))")
    environment = dict(os.environ, NOTEBOOK_IMAGE="x", NOTEBOOK_NETWORK="x", NOTEBOOK_MEMORY="2G", NOTEBOOK_WORK="p_jupyterhub_work")
    hub = types.ModuleType("jupyterhub")  # stands in for its modules
    hub.ConfigurableHTTPProxy = hub.Server = hub.PeriodicCallback = object
    with unittest.mock.patch.dict(os.environ, environment), unittest.mock.patch.dict(sys.modules, dict.fromkeys(("jupyterhub", "jupyterhub.objects", "jupyterhub.proxy", "tornado", "tornado.ioloop"), hub)):
        exec(compile(text, notebooks, "exec"), {"get_config": lambda: settings, "given": given})
        spawner, hook = Spawner(), settings.Spawner.__dict__.get("pre_spawn_hook")
        for _ in range(2 if hook else 0):
            asyncio.run(hook(spawner))
    check(hook and spawner.volumes == {"/volumes/p_jupyterhub_work/_data/ada-40example": "/home/jovyan/work"}, f"a notebook mounts {vars(spawner)}")
    check(hook and given == [("ada-40example", 100)] and pathlib.Path(folder, "work", "ada-40example").stat().st_mode & 0o777 == 0o770, f"the folder is given away once: {given}")
# A datastore is on the networks of its clients, its backup and its job; the edge is a client of those that have a page.
clients = {
    "couchdb": {"caddy"}, "clickhouse": {"caddy", "benthos", "restic"}, "qdrant": {"benthos", "restic", "vector-bootstrap", "embedding-service"},
    "postgres": {"postgres-init", "pgbouncer", "restic"}, "mariadb": {"mariadb-init", "bookstack", "restic"},
    "mariadb-seafile": {"mariadb-seafile-init", "seafile", "memcached", "restic"}, "redis": {"authelia"}, "redis-synapse": {"synapse"},
    "redis-mastodon": {"mastodon-init", "mastodon-web", "mastodon-streaming", "mastodon-sidekiq"}, "ldap": {"ldap-account-manager", "authelia", "sogo", "restic"},
}
for store, expected in clients.items():
    near = {n for n, s in model["services"].items() if n != store and set(s.get("networks", {})) & set(model["services"][store]["networks"])}
    check(near == expected, f"{store} is within reach of {sorted(near)}, not of {sorted(expected)}")
# Every host of the edge: the README names it for DNS; it asks the sign-in, whose rules name it, or it is an OIDC client or stands among the exceptions.
caddyfile, readme, sign_in = (stack / "caddy" / "Caddyfile").read_text(), (stack / "README.md").read_text(), (stack / "authelia" / "configuration.yml").read_text()
sites = {host: body for host, body in re.findall(r"^([\w.-]+)\.\{\$DOMAIN\} \{\n(.*?)^\}", caddyfile, re.M | re.S)}
names = re.search(r"^Names: `DOMAIN` itself and `([^`]*)`", readme, re.M)
check(names and set(names[1].split()) == set(sites), f"the README names {sorted(set(names[1].split()) ^ set(sites)) if names else 'no hosts'} otherwise than the Caddyfile")
rules = sign_in[sign_in.index("access_control:"):sign_in.index("identity_providers:")]
guarded = {host for host, body in sites.items() if "import sso" in body}
ruled = set(re.findall(r"'([\w-]+)\.\{\{ env \"DOMAIN\" \}\}'", rules))
check(guarded == ruled and "default_policy: deny" in rules, f"sign-in at the edge and in Authelia's rules: {sorted(guarded ^ ruled)}")
redirected = set(re.findall(r"redirect_uris: \['https://([\w-]+)\.", sign_in))
exceptions = re.search(r"\| exception \| why \|\n(.*?)\n\n", readme, re.S)[1]
for host in set(sites) - guarded - redirected:
    check(re.search(rf"^\|[^|]*\b{re.escape(host)}\b", exceptions, re.M), f"{host} asks for no sign-in, and the README does not say why")
# Who hands in mail finds Mailu, or a server elsewhere.
for name, service in model["services"].items():
    if "submission" in service.get("networks", {}) and name != "mailu-front":
        check("egress" in service["networks"], f"{name} sends mail and has no way to a server elsewhere")
for name, network in model["networks"].items():
    fixed = bool(network.get("ipam", {}).get("config"))
    check(not fixed or name == "mail", f"network {name} has a fixed subnet")

# Every combination of profiles is closed, for us at least.
for count in range(1, len(PROFILES) + 1):
    for profiles in itertools.combinations(PROFILES, count):
        done = run(program, *flags(profiles), "config", "-q")
        check(done.returncode == 0, f"we refuse {'+'.join(profiles)}: {done.stderr.strip()}")

# --- the real compose ---
try:
    docker = subprocess.run(["docker", "compose", "version", "--short"], capture_output=True, text=True)
    have = docker.returncode == 0
except FileNotFoundError:
    have = False
compared = 0
if have:
    for profiles in combinations:
        theirs = run("docker", "compose", "-f", "compose.yaml", *flags(profiles), "config", "--format", "json")
        if theirs.returncode != 0:
            failures.append(f"docker compose refuses {'+'.join(profiles)}: {theirs.stderr.strip()}")
            continue
        ours = run(program, *flags(profiles), "config", "--format", "json")
        check(ours.returncode == 0, f"we refuse {'+'.join(profiles)}: {ours.stderr.strip()}")
        a, b = json.loads(theirs.stdout), json.loads(ours.stdout or "{}")
        if a != b:
            for key in sorted(set(a) | set(b)):
                if a.get(key) != b.get(key):
                    left, right = a.get(key), b.get(key)
                    part = [k for k in sorted(set(left or {}) | set(right or {})) if (left or {}).get(k) != (right or {}).get(k)] if isinstance(left, dict) else ""
                    failures.append(f"{'+'.join(profiles)}: our model differs from docker compose's in {key} {part}")
        compared += 1

for failure in failures:
    print("FAIL", failure)
print(f"{len(model['services'])} services, {len(combinations)} profile combinations, {compared} compared with docker compose {docker.stdout.strip() if have else '(absent)'}")
sys.exit(1 if failures else 0 if have else 77)
