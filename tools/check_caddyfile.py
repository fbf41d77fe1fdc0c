#!/usr/bin/env python3
"""check_caddyfile.py DUMP FILE_OR_FOLDER...: our reading of each Caddyfile against `caddy adapt`.

Compared: whether the syntax is refused, the host names and ports that are served, and the upstreams that are dialled. Files whose
name begins with `bad-` must be refused by both. Exit status 77 where there is no caddy.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "DOMAIN": "example.org", "UPSTREAM": "app:3000", "EMPTY": ""}


def walk(value):
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def theirs(path):
    done = subprocess.run(["caddy", "adapt", "--adapter", "caddyfile", "--config", str(path)], capture_output=True, text=True,
                          env=ENVIRONMENT, cwd=path.parent, check=False)
    if done.returncode != 0:
        return None, done.stderr.strip().splitlines()[-1:]
    config = json.loads(done.stdout)
    hosts, dials, ports = set(), set(), set()
    for server in config.get("apps", {}).get("http", {}).get("servers", {}).values():
        ports.update(listen.rsplit(":", 1)[1] for listen in server["listen"])
        for route in server.get("routes", []):  # the outer routes are the sites
            for match in route.get("match", []):
                hosts.update(match.get("host", []))
    for item in walk(config):
        for upstream in item.get("upstreams", []) if isinstance(item.get("upstreams"), list) else []:
            if "dial" in upstream:
                dials.add(upstream["dial"])
    return {"hosts": hosts, "ports": ports, "dials": dials}, []


def dial(text):
    """The address that Caddy makes of an upstream as written."""
    scheme, rest = text.split("://", 1) if "://" in text else ("", text)
    if rest.startswith("unix/") or text.startswith("unix/"):
        return rest
    if re.search(r":\d+(-\d+)?$", rest) or rest.endswith("}"):
        return rest
    return f"{rest}:{443 if scheme == 'https' else 80}"


def ours(dump, path):
    done = subprocess.run([dump, str(path)], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if done.returncode != 0:
        return None, done.stdout.strip().splitlines()
    hosts, dials, ports = set(), set(), set()
    for line in done.stdout.splitlines():
        kind, text = line.split(" ", 1)
        if kind == "dial":
            dials.add(dial(text))
            continue
        scheme, rest = text.split("://", 1) if "://" in text else ("", text)
        rest = rest.split("/", 1)[0]
        port = re.search(r":(\d+)$", rest)
        host = rest[:port.start()] if port else rest
        ports.add(port.group(1) if port else "80" if scheme == "http" else "443")
        if host:
            hosts.add(host.lower())
    return {"hosts": hosts, "ports": ports, "dials": dials}, []


def main():
    if shutil.which("caddy") is None:
        print("skipped: no caddy here")
        return 77
    dump, wrong, count = sys.argv[1], 0, 0
    files = []
    for name in sys.argv[2:]:
        path = pathlib.Path(name).resolve()
        files += sorted(path.glob("*.caddyfile")) if path.is_dir() else [path]
    for path in files:
        count += 1
        real, why = theirs(path)
        mine, errors = ours(dump, path)
        if path.name.startswith("bad-") and (real is not None or mine is not None):
            wrong += 1
            print(f"{path.name}: must be refused; caddy: {why or 'accepts'}; ours: {errors or 'accepts'}")
        elif (real is None) != (mine is None):
            wrong += 1
            print(f"{path.name}: caddy: {why or 'accepts'}; ours: {errors or 'accepts'}")
        elif real is not None and real != mine:
            wrong += 1
            for key in real:
                if real[key] != mine[key]:
                    print(f"{path.name}: {key}: caddy {sorted(real[key])}, ours {sorted(mine[key])}")
    print(f"{count} Caddyfiles, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
