#!/usr/bin/env python3
"""What of the lab can be judged without an engine: its data files fit together, names are mapped as docs/lab.md says, and
every imitated entrypoint cites what it imitates."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lab"))
from labkit import images, programs, stack  # noqa: E402

problems = []


def that(condition, what):
    if not condition:
        problems.append(what)


pairs = stack.mapping()
tags = {i.tag for i in images.catalogue()}
for official, lab in pairs.items():
    that(lab in tags, f"lab/images.yaml: {official} names {lab}, which no folder below lab/images makes")
that(images.catalogue()[0].name == "base", "the base is built first")

CASES = {
    "postgres": "postgres:17", "postgres:16.11": "postgres:17", "docker.io/library/postgres@sha256:abc": "postgres:17", "library/postgres:17": "postgres:17",
    "valkey/valkey:latest": "valkey:8.1", "docker.io/valkey/valkey": "valkey:8.1", "registry.club.example/caddy-ratelimit:2.11.9": "caddy:2",
    "localhost:5000/portal": "misbehave:1", "ghcr.io/miniflux/miniflux:2": "miniflux:2",
    "bitnami/postgresql": None, "ghcr.io/someone/postgres": None, "postgres-exporter": None, "someone/postgres": None, "": None,
}
for name, wanted in CASES.items():
    found = stack.lab_image(name, pairs)
    that(found == (f"datamancy-lab/{wanted}" if wanted else None), f"'{name}' is mapped to {found}, not {wanted}")

own = {"base", "misbehave", "datamancy"}
for image in images.catalogue():
    text = "".join(p.read_text() for p in image.folder.iterdir() if p.is_file() and p.suffix not in (".sum", ".mod"))
    that(image.name in own or re.search(r"contract of (docker\.io|ghcr\.io|quay\.io)/", text), f"lab/images/{image.name}: says of which image it keeps the contract")
    scripts = [p for p in image.folder.iterdir() if p.suffix == ".sh" or p.name == "run"]
    for script in scripts:
        that(re.search(r"at\s+#?\s*[0-9a-f]{8,40}|[0-9a-f]{8}:", script.read_text()), f"{script.relative_to(ROOT)}: cites repository, file and commit")
    for need in image.needs:
        that(need in programs.MAKERS or need in programs.GO_TOOLS, f"lab/images/{image.name}: needs {need}, which nothing makes")

def built(text):
    return stack.dockerfile_on_lab({"build": {"context": "/", "dockerfile_inline": text}})


that(built("FROM debian:trixie-slim AS a\nFROM a\n") == "FROM datamancy-lab/debian:trixie AS a\nFROM a\n", "a Dockerfile on Debian 13 is built on the lab's")
that(built("FROM debian:bookworm\n") is None and built("FROM debian:13\nFROM golang:1.25\n") is None, "another base is left alone")

for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
