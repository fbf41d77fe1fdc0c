#!/usr/bin/env python3
"""Image digests against a real registry (Debian's docker-registry on loopback): `config --resolve-image-digests` and `--lock-image-digests` say what Docker
Compose says; what they pin starts, is no finding of the audit, and stays the same when the tag moves."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

from labtest import ENV, LABEL, ROOT, docker, engine, eventually, run, skip, that

PROGRAM = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build" / "datamancy").resolve())
REGISTRY = shutil.which("docker-registry")
if not REGISTRY:
    skip("no image registry: apt-get install docker-registry")
NAME = f"digests-{os.getpid()}"
WORK = pathlib.Path(tempfile.mkdtemp(prefix=NAME))
PROJECT = WORK / "project"
PORT = 21000 + os.getpid() % 8000
HUB = f"127.0.0.1:{PORT}"
KEY, VALUE = LABEL.split("=")
COMPOSE = f"""name: {NAME}
x-mark: &mark {{labels: {{{KEY}: {VALUE}}}}}
services:
  app:
    <<: *mark
    image: {HUB}/club/app:1
    environment: {{PRICE: "5$$"}}
    healthcheck: {{test: [CMD, misbehave, health], interval: 1s, retries: 30}}
    depends_on: {{other: {{condition: service_started}}}}
  other:
    <<: *mark
    image: {HUB}/club/app
  built:
    build: .
    profiles: [tools]
  both:
    image: {HUB}/club/base:13
    build: .
    profiles: [tools]
networks: {{default: *mark}}
"""


def env():
    return {**ENV, "DATAMANCY_STATE": str(WORK / "state")}


def ours(*argv, status=0):
    done = subprocess.run([PROGRAM, *argv], cwd=PROJECT, env=env(), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    that(done.returncode == status, f"datamancy {' '.join(argv)}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout if status < 2 else done.stdout + done.stderr


def theirs(*argv):
    done = subprocess.run([engine.docker(), "compose", *argv], cwd=PROJECT, env=ENV, capture_output=True, text=True)
    that(done.returncode == 0, f"docker compose {' '.join(argv)}: {done.stderr}")
    return done.stdout


def push(source, name):
    docker("tag", source, f"{HUB}/club/{name}")
    docker("push", f"{HUB}/club/{name}")


def digest(name, tag):
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    request = urllib.request.Request(f"http://{HUB}/v2/club/{name}/manifests/{tag}", method="HEAD", headers=accept)
    return urllib.request.urlopen(request).headers["Docker-Content-Digest"]


def test_what_compose_says_we_say():
    for flags in (["--resolve-image-digests"], ["--lock-image-digests"], ["--resolve-image-digests", "--lock-image-digests"]):
        for more in ([], ["--no-interpolate"]):
            for words in ([], ["app"], ["both", "built"]):
                if words and more:
                    continue
                for profile in ([], ["--profile", "*"]):
                    argv = [*profile, "config", *flags, *more, *words]
                    a, b = json.loads(theirs(*argv, "--format", "json")), json.loads(ours(*argv, "--format", "json"))
                    that(a == b, f"{argv}: Compose says\n{json.dumps(a, indent=1)}\nwe say\n{json.dumps(b, indent=1)}")
    that(theirs("config", "--lock-image-digests") == ours("config", "--lock-image-digests"), "the lock file is the same to the byte")
    that(theirs("config", "--resolve-image-digests") == ours("config", "--resolve-image-digests"), "the resolved project is the same to the byte")
    that(digest("app", "1") in ours("config", "--resolve-image-digests"), "and has the digest that the registry gives")
    for say in (theirs, ours):
        that("sha256" not in say("config", "--images", "--resolve-image-digests", "app"), "a mere list is not resolved, as in Compose")


def test_all_that_cannot_be_had_is_said_at_once():
    text = (PROJECT / "compose.yaml").read_text()
    (PROJECT / "wrong.yaml").write_text(text.replace("club/app:1", "club/nothing:1").replace("club/app\n", "club/app:9\n"))
    said = ours("-f", "wrong.yaml", "config", "--resolve-image-digests", status=2)
    that("app: no digest for" in said and "other: no digest for" in said and "services:" not in said, said)
    (PROJECT / "away.yaml").write_text("services: {a: {image: \"127.0.0.1:1/x:1\"}}")
    that("a: no digest for 127.0.0.1:1/x:1: " in ours("-f", "away.yaml", "config", "--lock-image-digests", status=2), "no registry there")
    ours("-f", "away.yaml", "config", "--images", "--lock-image-digests")


def container(service):
    return docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={NAME}", "--filter", f"label=com.docker.compose.service={service}")


def test_a_locked_project_starts_and_stays_when_the_tag_moves():
    (PROJECT / "lock.yaml").write_text(ours("config", "--lock-image-digests"))
    files = ["-f", "compose.yaml", "-f", "lock.yaml"]
    ours(*files, "up", "--progress", "plain", "--min-free", "100m", "--settle", "1s")
    before = docker("inspect", "-f", "{{.Image}}", container("app"))
    that(docker("inspect", "-f", "{{.Config.Image}}", container("app")) == f"{HUB}/club/app:1@{digest('app', '1')}", "the container is of the digest")
    that("as wanted" in ours(*files, "plan"), "and stays as wanted")
    push("datamancy-lab/base:13", "app:1")
    that("0 to recreate" in ours(*files, "plan"), "the tag moves, the project does not")
    ours(*files, "up", "--progress", "plain", "--min-free", "100m", "--settle", "1s", "--pull", "always")
    that(docker("inspect", "-f", "{{.Image}}", container("app")) == before, "not even with --pull always")
    that(digest("app", "1") in ours("config", "--lock-image-digests"), "a new lock has the new digest")
    lines = {s["service"]: s for s in json.loads(ours(*files, "outdated", "--json", status=1))["services"]}
    that(lines["app"]["tag_moved"] and not lines["other"]["tag_moved"], f"outdated notices: {lines}")


def test_the_audit_knows_what_is_pinned():
    def rules(*files):
        done = subprocess.run([PROGRAM, *files, "audit", "--format", "json", "--show", "info"], cwd=PROJECT, env=env(), capture_output=True, text=True)
        return {f["rule"] for f in json.loads(done.stdout)["findings"]}
    plain, locked = rules(), rules("-f", "compose.yaml", "-f", "lock.yaml")
    that(plain - locked == {"DM0710", "DM0701"}, f"movable tags are found, and pinned ones not: {sorted(plain)} {sorted(locked)}")


PROJECT.mkdir()
(PROJECT / "compose.yaml").write_text(COMPOSE)
(PROJECT / "Dockerfile").write_text("FROM scratch\n")
(WORK / "registry.yml").write_text(f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {WORK}/blobs}}}}\nhttp: {{addr: '{HUB}'}}\n")
registry = subprocess.Popen([REGISTRY, "serve", WORK / "registry.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
try:
    eventually("the registry answers", lambda: subprocess.run(["curl", "-fs", f"http://{HUB}/v2/"], capture_output=True).returncode == 0, 30)
    push("datamancy-lab/misbehave:1", "app:1")
    push("datamancy-lab/misbehave:1", "app:latest")
    push("datamancy-lab/base:13", "base:13")
    run(globals(), needs=("base", "misbehave"))
finally:
    registry.terminate()
    docker("rm", "-fv", *docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={NAME}").split(), check=False)
    docker("network", "rm", *docker("network", "ls", "-q", "--filter", f"label=com.docker.compose.project={NAME}").split(), check=False)
    for name in ("app:1", "app:latest", "base:13"):
        docker("rmi", f"{HUB}/club/{name}", check=False)
    shutil.rmtree(WORK, ignore_errors=True)
