#!/usr/bin/env python3
"""service_recipes.py ROOT DATAMANCY: `init --service NAME` for every product, in an empty folder, in a clean project with an edge and a PostgreSQL, and in one
without an edge: it audits clean (nothing above low), keeps the services that were there, renders, and the real `docker compose config` takes it (where there is
one); a second time nothing changes. Then all of them in one project, and what can go wrong: nothing is lost."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT, PROGRAM = pathlib.Path(sys.argv[1]), sys.argv[2]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="recipes-"))
ENV = {**os.environ, "HOME": str(FOLDER)}
TMPFS = pathlib.Path(tempfile.mkdtemp(prefix="recipes-", dir="/dev/shm"))
COMMON = """restart: unless-stopped
    init: true
    cap_drop: [ALL]
    security_opt: [no-new-privileges:true]
    logging: {driver: json-file, options: {max-size: "10m", max-file: "3"}}"""
DATABASE = f"""  db:
    image: postgres:17.11
    {COMMON}
    user: postgres
    shm_size: 128m
    environment: {{POSTGRES_PASSWORD_FILE: /run/secrets/mine, POSTGRES_INITDB_ARGS: "--data-checksums --auth-host=scram-sha-256"}}
    secrets: [mine]
    networks: [data]
    volumes: ["db:/var/lib/postgresql/data"]
    stop_grace_period: 120s
    healthcheck: {{test: [CMD-SHELL, "psql -qtAX -U postgres -c 'SELECT 1' | grep -qx 1"], interval: 10s, timeout: 5s, retries: 5, start_period: 60s}}
    deploy: {{resources: {{limits: {{memory: 512M, cpus: "1.0", pids: 128}}, reservations: {{memory: 128M}}}}}}
"""
EDGE = f"""  edge:
    image: caddy:2.11.4
    {COMMON}
    cap_add: [NET_BIND_SERVICE]
    ports: ["80:80", "443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro", "caddy_data:/data"]
    networks: [web]
    healthcheck: {{test: [CMD, wget, -qO-, "http://127.0.0.1:2019/config/"], interval: 30s, timeout: 5s, retries: 3, start_period: 20s}}
    deploy: {{resources: {{limits: {{memory: 256M, cpus: "1.0", pids: 128}}, reservations: {{memory: 64M}}}}}}
"""
TABLES = """networks: {web: , data: {internal: true}}
volumes: {caddy_data: , db: }
secrets: {mine: {file: /run/mine/password}}
"""
CADDYFILE = "{\n\temail admin@club.example\n}\n\nclub.example {\n\trespond ok\n}\n"
SITES = {
    "empty": {},
    "both": {"compose.yaml": "# mine\nname: mine\nservices:\n" + EDGE + DATABASE + TABLES, "Caddyfile": CADDYFILE},
    "no-edge": {"docker-compose.yml": "name: mine\nservices:\n" + DATABASE + TABLES},
}
NO_ROUTE = {"homepage", "kopia", "prometheus"}  # no sign-in of their own
failures = []


def check(truth, what):
    if not truth:
        failures.append(what)
        print("FAIL", what, flush=True)


def call(*argv, cwd=None):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, env=ENV, cwd=cwd)


def project(name, files):
    folder = FOLDER / name
    folder.mkdir(parents=True)
    for path, text in files.items():
        (folder / path).write_text(text)
    return folder


def add(name, folder, *more):
    return call(PROGRAM, "init", "--service", name, folder, "--domain", "club.example", *more)


def bytes_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else os.readlink(p) if p.is_symlink() else None for p in sorted(folder.rglob("*"))}


def severe(folder):
    report = json.loads(call(PROGRAM, "audit", folder, "--format", "json", "--show", "low").stdout)
    return {(f["rule"], f["severity"], f["message"]) for f in report["findings"] if f["severity"] not in ("low", "info")}


def model_of(folder):
    done = call(PROGRAM, "--project-directory", folder, "--profile", "*", "config", "--format", "json")
    check(done.returncode == 0, f"{folder.name}: config: {done.stderr}")
    return json.loads(done.stdout or "{}")


def sound(folder, label, known, foreign=True):
    """The project as it is now: nothing worse than before, loads for real, renders."""
    new = severe(folder) - known
    check(not new, f"{label}: findings: {sorted(new)}")
    if have:
        done = call("docker", "compose", "--profile", "*", "config", "-q", cwd=folder)
        check(done.returncode == 0, f"{label}: docker compose: {done.stderr}")
    run = TMPFS / label.replace("/", "-")
    if (folder / "secrets.enc.env").exists():
        done = call(PROGRAM, "render", folder, "--run", run)
        check(done.returncode == 0, f"{label}: render: {done.stdout}{done.stderr}")
    model = model_of(folder)
    for kind in ("secrets", "configs"):
        for key, one in model.get(kind, {}).items():
            made = run / re.sub(r"^/run/datamancy/[^/]+/", "", one["file"])
            check(made.is_file() or key == "mine", f"{label}: {kind} {key}: {one['file']} is not rendered")
    for service, one in model.get("services", {}).items():
        check(one["image"] in images, f"{label}: {service} has {one['image']}, which the stack has not")
        for mount in one.get("volumes", []):
            there = pathlib.Path(mount["source"]).exists() or mount["source"] in ("/opt/stacks", "/var/run/docker.sock", "/var/lib/prometheus/node-exporter")
            check(mount["type"] != "bind" or there, f"{label}: {service} mounts {mount['source']}, which is not there")
        sources = [m.get("source") for m in one.get("volumes", [])]
        check(len(sources) == len(set(sources)), f"{label}: {service} mounts something twice: {sources}")
        if "build" in one:
            context = pathlib.Path(one["build"]["context"])
            dockerfile = (context / "Dockerfile").read_text() if (context / "Dockerfile").exists() else ""
            copied = [f for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.M) for f in line.split()[:-1]]
            check(dockerfile and all((context / f).exists() for f in copied), f"{label}: {service} cannot be built in {context}: {copied}")
    mute = {k for k, n in model["networks"].items() if n.get("driver_opts", {}).get("com.docker.network.bridge.enable_icc") == "false"}
    for edge in json.loads(call(PROGRAM, "--project-directory", folder, "--profile", "*", "graph", "--format", "json").stdout)["edges"]:
        if edge["to"] and edge["to"] != edge["from"]:
            shared = mute & set(model["services"][edge["from"]].get("networks", {})) & set(model["services"][edge["to"]].get("networks", {}))
            check(not shared, f"{label}: {edge['from']} calls {edge['to']} by {sorted(shared)}, where no container reaches another")
    text = "".join(json.dumps([s.get("environment", {}), s.get("depends_on", {}), s.get("command", "")]) for s in model.get("services", {}).values())
    for word in ("pgbouncer", "postgres-init", "auth.club", "oidc", "stack.local"):
        check(not foreign or word not in text, f"{label}: it speaks of {word}, which the project does not have")
    return model


have = shutil.which("docker") is not None and call("docker", "compose", "version").returncode == 0
images = set(re.findall(r"^ +image: (\S+)", "".join(p.read_text() for p in ROOT.glob("stack/*/compose.yaml")), re.M)) | {"datamancy/service-backup:1", "caddy:2.11.4", "ghcr.io/kozea/radicale:3.8.1"}
try:
    known = {"empty": set()}
    for site, files in SITES.items():
        if files:
            bare = project(f"bare-{site}", files)
            known[site] = severe(bare)
            check({k[0] for k in known[site]} <= {"DM0403"}, f"{site}: clean before: {sorted(known[site])}")
    listed = call(PROGRAM, "init", "--service", "nonsense", bare, "--domain", "club.example").stderr
    names = listed.split("there are ")[-1].strip().split(", ")
    check(len(names) >= 36, f"at least thirty-six products: {names}")
    only = os.environ.get("ONLY", "")
    def one_product(name):
        for site, files in SITES.items():
            folder, label = project(f"{site}-{name}", files), f"{site}/{name}"
            done = add(name, folder)
            if name == "caddy" and site == "both":
                check(done.returncode == 2 and "published by 'edge' already" in done.stderr, f"{label}: there is an edge already: {done.stderr}")
                continue
            check(done.returncode == 0, f"{label}: {done.stdout}{done.stderr}")
            if done.returncode != 0:
                continue
            services = sound(folder, label, known[site])["services"]
            mine = [s for s in services if s.startswith(name)]
            check(mine and ("edge" in services) == (site == "both") and ("db" in services) == (site != "empty"), f"{label}: the services are {sorted(services)}")
            routed = ".club.example {" in (folder / "Caddyfile").read_text().split("club.example {", 1)[1] if site == "both" else False
            check(routed or name == "caddy" or "has no site of its own" in done.stdout or ".club.example {" in done.stdout, f"{label}: its site is written or shown")
            check(site != "both" or name not in NO_ROUTE or not routed, f"{label}: nothing unguarded is put on the edge")
            saved = [v["source"] for v in services.get(f"{name}-backup", {}).get("volumes", [])]
            check(f"{name}-db" not in services or saved, f"{label}: its database is saved")
            for path, text in files.items():
                check(all(line in (folder / path).read_text().split("\n") for line in text.split("\n")), f"{label}: {path} kept its lines")
            before = bytes_of(folder)
            again = add(name, folder)
            check(again.returncode == 2 and "already" in again.stderr, f"{label}: a second time is said to be one: {again.stderr}")
            check(bytes_of(folder) == before, f"{label}: a second time changes nothing")

    # The key for all is made before they run side by side.
    check(add("memcached", project("first", {})).returncode == 0 and add("valkey", FOLDER / "first").returncode == 0, "a second product goes into the project of the first")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(one_product, [n for n in names if not only or re.fullmatch(only, n)]))

    if not only:
        everything = project("all", SITES["both"])
        for name in [n for n in names if n != "caddy"]:
            done = add(name, everything)
            check(done.returncode == 0, f"all: {name}: {done.stdout}{done.stderr}")
        sound(everything, "all", known["both"], foreign=False)

    if not only:  # a project without an edge gets one, and what comes after has its site there
        folder = project("edge-first", SITES["no-edge"])
        check(add("caddy", folder).returncode == 0 and add("planka", folder).returncode == 0, "an edge, then a product")
        check("planka.club.example {" in (folder / "caddy" / "Caddyfile").read_text(), "the product's site is in the new edge's Caddyfile")
        sound(folder, "edge-first", known["no-edge"])

    if not only:  # what has no sign-in of its own asks the Authelia that came before it, and no other
        folder = project("sign-in", SITES["both"])
        check(add("homepage", folder).returncode == 0 and "homepage.club.example" not in (folder / "Caddyfile").read_text(), "before Authelia: no site")
        done = [add(name, folder) for name in ("authelia", "kopia", "prometheus")]
        check(all(d.returncode == 0 for d in done), f"Authelia, then what it guards: {[d.stderr for d in done]}")
        sites = (folder / "Caddyfile").read_text()
        for host in ("kopia", "prometheus", "alertmanager"):
            site = sites.split(f"{host}.club.example {{", 1)[-1].split("\n}", 1)[0]
            check("forward_auth authelia:9091" in site and "header_up -Authorization" in site and site.index("forward_auth") < site.index("reverse_proxy"), f"{host} is behind Authelia: {site}")
        check("forward_auth" not in sites.split("auth.club.example {", 1)[1].split("\n}", 1)[0], "the sign-in itself asks nobody")
        if shutil.which("caddy"):
            done = call("caddy", "validate", "--adapter", "caddyfile", "--config", folder / "Caddyfile")
            check(done.returncode == 0, f"Caddy takes the sites: {done.stderr}")
        sound(folder, "sign-in", known["both"], foreign=False)
        folder = project("sign-in-of-theirs", {**SITES["both"], "compose.yaml": SITES["both"]["compose.yaml"].replace("services:\n", "services:\n  authelia: {image: mine}\n")})
        check(add("kopia", folder).returncode == 0 and "kopia.club.example" not in (folder / "Caddyfile").read_text(), "an Authelia that we did not set up guards nothing")

    # What can go wrong. (what, product, files, what is done before, words of the message)
    def read_only(folder):
        folder.chmod(0o555)

    def link(folder):
        (folder / "planka").symlink_to("/nowhere")

    both = SITES["both"]
    hostile = [
        ("a path for a name", "../planka", both, None, "no recipe"),
        ("an empty name", "", both, None, "no recipe"),
        ("capitals", "Planka", both, None, "no recipe"),
        ("a compose file that does not parse", "planka", {**both, "compose.yaml": "services:\n  a: [\n"}, None, "does not load"),
        ("a flow include", "planka", {"compose.yaml": "include: [a.yaml]\nservices: {}\n", "a.yaml": "services: {b: {image: b}}\n"}, None, "not a list with a line"),
        ("a service of that name", "planka", {"compose.yaml": "services: {planka: {image: b}}\n"}, None, "has a service 'planka' already"),
        ("its database's name", "planka", {"compose.yaml": "services: {planka-db: {image: b}}\n"}, None, "has a service 'planka-db' already"),
        ("the name of a service that comes along", "seafile", {"compose.yaml": "services: {seafile-cache: {image: b}}\n"}, None, "'seafile-cache' already"),
        ("a network of that name", "planka", {"compose.yaml": "services: {a: {image: b}}\nnetworks: {planka: {driver: macvlan}}\n"}, None, "nothing was written"),
        ("a folder of that name", "planka", {"compose.yaml": "services: {a: {image: b}}\n"}, lambda f: (f / "planka").mkdir(), "is there already"),
        ("a dangling link of that name", "planka", both, link, "is there already"),
        ("a port that is taken", "mailu", {"compose.yaml": 'services: {a: {image: b, ports: ["25:25"]}}\n'}, None, "published by 'a' already"),
        ("another file that counts", "planka", {**both, "other.yaml": "services: {a: {image: b}}\n", ".env": "COMPOSE_FILE=other.yaml\n"}, None, "nothing was written"),
        ("YAML that is no project", "planka", {"values.yaml": "a: b\n"}, None, "no compose.yaml"),
        ("sealed secrets that are none", "planka", {**both, "secrets.enc.env": "garbage\n"}, None, "secrets.enc.env"),
        ("variables.yaml of another kind", "planka", {**both, "variables.yaml": "- a\n"}, None, "variables.yaml"),
    ]
    if os.geteuid() != 0:
        hostile.append(("a folder that is read only", "planka", both, read_only, "denied"))
    for number, (what, name, files, prepare, words) in enumerate(hostile if not only else []):
        folder = project(f"hostile-{number}", files)
        if prepare:
            prepare(folder)
        before = bytes_of(folder)
        done = add(name, folder)
        check(done.returncode in (2, 12, 13, 64) and words in done.stderr + done.stdout, f"{what}: exit {done.returncode}: {done.stdout}{done.stderr}")
        check(bytes_of(folder) == before, f"{what}: nothing changed: {sorted(set(bytes_of(folder)) ^ set(before))}")
        folder.chmod(0o755)

    # What is there of the user's own stays: a folder `backup`, a changed script of ours, a Caddyfile behind a link.
    if not only:
        folder = project("own", {**both})
        (folder / "backup").mkdir()
        (folder / "backup" / "Dockerfile").write_text("FROM mine\n")
        (folder / "service-backup").mkdir()
        (folder / "service-backup" / "database-backup").write_text("#!/bin/sh\n# mine\n")
        (FOLDER / "elsewhere").write_text(CADDYFILE)
        (folder / "Caddyfile").unlink()
        (folder / "Caddyfile").symlink_to(FOLDER / "elsewhere")
        done = add("grafana", folder)
        check(done.returncode == 0, f"own files: {done.stderr}")
        check((folder / "backup" / "Dockerfile").read_text() == "FROM mine\n" and list((folder / "backup").iterdir()) == [folder / "backup" / "Dockerfile"], "the user's folder backup stays")
        check("# mine" in (folder / "service-backup" / "database-backup").read_text(), "a script that is there stays")
        check((folder / "Caddyfile").is_symlink() and "grafana.club.example" in (FOLDER / "elsewhere").read_text(), "a link stays a link, its target has the site")
        check(sorted(p.name for p in (folder / "service-backup").iterdir()) == ["Dockerfile", "database-backup", "database-backup-health"], "only what the backup needs is copied")
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.rmtree(TMPFS, ignore_errors=True)
print(f"{len(names)} products in {len(SITES)} kinds of project, {len(failures)} failures, docker compose {'asked' if have else 'absent'}")
sys.exit(1 if failures else 0)
