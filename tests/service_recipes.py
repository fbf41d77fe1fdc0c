#!/usr/bin/env python3
"""service_recipes.py ROOT DATAMANCY: `init --service NAME` for every product: a clean project with it audits clean (nothing above low), keeps its own
services, renders, and the real `docker compose config` takes it (where there is one). At the end all of them in one project."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT, PROGRAM = pathlib.Path(sys.argv[1]), sys.argv[2]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="recipes-"))
ENV = {**os.environ, "HOME": str(FOLDER)}
TMPFS = pathlib.Path(tempfile.mkdtemp(prefix="recipes-", dir="/dev/shm"))
COMPOSE = """name: mine
services:
  edge:
    image: caddy:2.11.4
    restart: unless-stopped
    init: true
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]
    security_opt: [no-new-privileges:true]
    ports: ["80:80", "443:443"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro", "caddy_data:/data"]
    networks: [web]
    logging: {driver: json-file, options: {max-size: "10m", max-file: "3"}}
    healthcheck: {test: [CMD, wget, -qO-, "http://127.0.0.1:2019/config/"], interval: 30s, timeout: 5s, retries: 3, start_period: 20s}
    deploy: {resources: {limits: {memory: 256M, cpus: "1.0", pids: 128}, reservations: {memory: 64M}}}
networks: {web: }
volumes: {caddy_data: }
"""
CADDYFILE = "{\n\temail admin@club.example\n}\n\nclub.example {\n\trespond ok\n}\n"
failures = []


def check(truth, what):
    if not truth:
        failures.append(what)
        print("FAIL", what, flush=True)


def call(*argv, cwd=None):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, env=ENV, cwd=cwd)


def project(name):
    folder = FOLDER / name
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / "Caddyfile").write_text(CADDYFILE)
    return folder


def add(name, folder):
    done = call(PROGRAM, "init", "--service", name, folder, "--domain", "club.example")
    check(done.returncode == 0, f"{name}: {done.stdout}{done.stderr}")
    return done.stdout


def severe(folder):
    report = json.loads(call(PROGRAM, "audit", folder, "--format", "json", "--show", "low").stdout)
    return {(f["rule"], f["severity"], f["message"]) for f in report["findings"] if f["severity"] not in ("low", "info")}


def sound(folder, names):
    """The project as it is now: nothing worse than before, loads for real, renders."""
    new = severe(folder)
    check(not new, f"{names}: findings: {sorted(new)}")
    if have:
        done = call("docker", "compose", "--profile", "*", "config", "-q", cwd=folder)
        check(done.returncode == 0, f"{names}: docker compose: {done.stderr}")
    run = TMPFS / folder.name
    if (folder / "secrets.enc.env").exists():
        done = call(PROGRAM, "render", folder, "--run", run)
        check(done.returncode == 0, f"{names}: render: {done.stdout}{done.stderr}")
    model = json.loads(call(PROGRAM, "--project-directory", folder, "config", "--format", "json").stdout or "{}")
    for kind in ("secrets", "configs"):
        for key, one in model.get(kind, {}).items():
            made = run / one["file"].split("/run/datamancy/mine/")[-1]
            check(made.is_file(), f"{names}: {kind} {key}: {one['file']} is not rendered")
    for service, one in model.get("services", {}).items():
        for mount in one.get("volumes", []):
            check(mount["type"] != "bind" or pathlib.Path(mount["source"]).exists(), f"{names}: {service} mounts {mount['source']}, which is not there")
    text = "".join(json.dumps(s.get("environment", {})) + json.dumps(s.get("depends_on", {})) for n, s in model.get("services", {}).items())
    for foreign in ("pgbouncer", "postgres-init", "auth.club", "litellm_master" if names != "litellm" and "all" not in names else "\0"):
        check(foreign not in text, f"{names}: it speaks of {foreign}, which the project does not have")
    return model


have = shutil.which("docker") is not None and call("docker", "compose", "version").returncode == 0
try:
    bare = project("bare")
    check(not severe(bare), f"the project without products is clean: {sorted(severe(bare))}")
    listed = call(PROGRAM, "init", "--service", "nonsense", bare, "--domain", "club.example").stderr
    names = listed.split("there are ")[-1].strip().split(", ")
    check(len(names) >= 12, f"at least twelve products: {names}")
    for name in names:
        folder = project(name)
        said = add(name, folder)
        if failures:
            continue
        model = sound(folder, name)
        check("edge" in model.get("services", {}) and name in model.get("services", {}), f"{name}: the services are {sorted(model.get('services', {}))}")
        routed = f"{name}.club.example" in (folder / "Caddyfile").read_text()
        check(routed or "has no site of its own" in said, f"{name}: it has a site, or it is said that it has none")
        saved = [v["source"] for s, one in model.get("services", {}).items() if s == f"{name}-backup" for v in one.get("volumes", [])]
        check(f"{name}-db" not in model["services"] or saved, f"{name}: its database is saved")
    everything = project("all")
    for name in names:
        add(name, everything)
    sound(everything, "all")
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.rmtree(TMPFS, ignore_errors=True)
print(f"{len(names)} products, {len(failures)} failures, docker compose {'asked' if have else 'absent'}")
sys.exit(1 if failures else 0)
