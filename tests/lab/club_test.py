#!/usr/bin/env python3
"""The club (lab/stack) on the lab's images: it audits clean, the real Compose loads it as we do, it comes up healthy, and works."""
import json
import pathlib
import subprocess
import sys

from labtest import ENV, HOST, ROOT, Container, Failed, docker, engine, eventually, run, that
from labkit import images, stack

DATAMANCY = sys.argv[2] if len(sys.argv) > 2 else str(ROOT / "build" / "datamancy")
STACK = stack.CLUB
NAME = "dmtest-club"
stack.make_secrets(STACK / "secrets")


def secret(name):
    return (STACK / "secrets" / name).read_text().strip()


def test_it_audits_without_a_finding_above_low_and_without_suppressions():
    done = subprocess.run([DATAMANCY, "audit", "--json", str(STACK)], capture_output=True, text=True)
    report = json.loads(done.stdout)
    above = [f for f in report["findings"] if f["severity"] not in ("low", "info")]
    that(not above, f"findings: {[(f['severity'], f['rule']) for f in above]}")
    that(not report.get("suppressed"), "nothing is suppressed")


def test_the_real_Compose_loads_it_as_we_do():
    ours = json.loads(subprocess.run([DATAMANCY, "config", "--format", "json", "-f", str(STACK / "compose.yaml")], capture_output=True, text=True, check=True).stdout)
    theirs = json.loads(subprocess.run([str(engine.compose()), "-f", str(STACK / "compose.yaml"), "config", "--format", "json"], capture_output=True, text=True, check=True, env=ENV).stdout)
    for part in sorted(set(ours) | set(theirs)):
        if ours.get(part) == theirs.get(part):
            continue
        for name in sorted(set(ours.get(part) or {}) | set(theirs.get(part) or {})):
            that((ours.get(part) or {}).get(name) == (theirs.get(part) or {}).get(name), f"{part}.{name} differs:\n{(ours.get(part) or {}).get(name)}\n{(theirs.get(part) or {}).get(name)}")


def get(host, path="/", *more):
    done = subprocess.run(["curl", "-sSk", "--max-time", "20", "--resolve", f"{host}.club.localhost:18443:127.0.0.1", "-w", "\n%{http_code}", *more,
                           f"https://{host}.club.localhost:18443{path}"], capture_output=True, text=True)
    body, _, code = done.stdout.rpartition("\n")
    return code, body


def test_it_comes_up_healthy_and_works():
    project = stack.Project(HOST, name=NAME)
    missing = [i for i in project.needed_images() if not images.inspect(HOST, next(c.tag for c in images.catalogue() if c.name == i))]
    that(not missing, f"images are missing: lab/lab images {' '.join(missing)}")
    that(not project.write_override(), "every image has one of the lab")
    try:
        stack.up(project)
        that(not stack.unhealthy(project), f"not healthy: {stack.unhealthy(project)}")
        that(get("feeds")[0] == "200" and "Miniflux" in get("feeds")[1], "the feed reader's login shows through the edge")
        that("rcmloginuser" in get("mail")[1], "the web mail's login shows through the edge")
        that(get("portal") == ("200", "ok portal\n"), "the portal answers through the edge")
        codes = [get("feeds", "/login")[0] for _ in range(22)]
        that(codes[0] in ("200", "302", "404", "405") and codes[-1] == "429", f"the login is rate limited: {codes}")

        service = lambda name: Container(f"{NAME}-{name}-1")  # noqa: E731
        that("ada" in service("postgres").out("psql", "-U", "club", "-d", "feeds", "-tAc", "select username from users"), "the administrator is in PostgreSQL, through the pooler")
        that("session" in service("mariadb").out("mariadb", "-uroot", "webmail", "-BNe", "show tables", env=[f"MYSQL_PWD={secret('mariadb_root_password')}"]), "the web mail's tables are in MariaDB")
        # borgmatic ends its JSON without a newline, and the engine's log holds back what is no whole line yet.
        archive = "borgmatic repo-create --encryption repokey-blake2 && borgmatic create --stats && borgmatic list --json && echo"
        service("backup").out("/usr/local/bin/job", archive)
        eventually("the archive is listed", lambda: '"archives": [{' in service("backup").logs(), 60)

        service("portal").out("misbehave", "health", "/set/unhealthy/1")
        eventually("an unhealthy portal is seen", lambda: "portal" in stack.unhealthy(project), 90)
    finally:
        stack.down(project, True)
        project.override.unlink(missing_ok=True)
    left = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={NAME}") + docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={NAME}")
    that(not left, "nothing is left behind")


if __name__ == "__main__":
    if not pathlib.Path(DATAMANCY).exists():
        raise Failed(f"{DATAMANCY} is not built")
    run(globals())
