#!/usr/bin/env python3
"""The lab's engine: one that answers is never touched, ours is stopped by its recorded pid only, and nothing of it stays."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAB = str(ROOT / "lab" / "lab")
if os.geteuid() != 0 or not shutil.which("ip"):
    print("skipped: needs root and iproute2")
    sys.exit(77)


def lab(home, *argv, **env):
    base = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
    return subprocess.run([LAB, *argv], env=dict(base, DATAMANCY_LAB=str(home), **env), capture_output=True, text=True)


def that(condition, what):
    if not condition:
        print(f"FAILED {what}")
        sys.exit(1)
    print(f"ok     {what}", flush=True)


def runs(pid):
    """Not gone, and not a zombie that an idle first process has not reaped."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def bridge():
    return subprocess.run(["ip", "-o", "link", "show", "docker0"], capture_output=True, text=True).stdout.split("<")[0]


with tempfile.TemporaryDirectory(prefix="dmtest-engine-", dir="/var/tmp") as folder:
    home = pathlib.Path(folder)
    before = bridge()

    # A recorded pid that is another program's now: nobody is stopped.
    (home / "engine").mkdir()
    with subprocess.Popen(["sleep", "600"]) as bystander:
        (home / "engine" / "pid").write_text(str(bystander.pid))
        lab(home, "engine", "stop")
        that(bystander.poll() is None, "a pid that is another program's now is left alone")
        bystander.kill()

    if pathlib.Path("/var/run/docker.sock").exists() and lab(home, "engine", "--show").returncode == 0:
        done = lab(home, "engine")
        that(done.returncode == 0 and "left as it is" in done.stderr and not (home / "engine" / "pid").exists(), "an engine that answers is used, and none is started")
        done = lab(home, "engine", DOCKER_HOST="unix:///nowhere.sock")
        that(done.returncode == 2 and "DOCKER_HOST" in done.stderr, "a DOCKER_HOST where nothing answers is an error, not a reason to start one")

    done = lab(home, "engine", "--namespace")
    if done.returncode == 10:
        print("skipped:", done.stderr.strip())
        sys.exit(77)
    try:
        that(done.returncode == 0, f"one of our own starts in a namespace: {done.stderr.strip().splitlines()[-1:]}")
        that(bridge() == before, "the bridge of the engine beside it is as it was")
        that(lab(home, "engine", "--ours").stdout.strip() == "yes", "it is known as ours")
        done = lab(home, "exec", "docker", "info", "--format", "{{.DockerRootDir}}")
        that(done.stdout.strip() == str(home / "engine" / "data"), "its data are below the lab's folder")
        that("tap0" in lab(home, "exec", "ip", "-o", "link").stdout, "a command runs in its network")
        pid = int((home / "engine" / "pid").read_text())
    finally:
        done = lab(home, "engine", "stop")
    that("engine stopped" in done.stderr and not runs(pid), "it is stopped by its pid")
    that(bridge() == before, "the bridge of the engine beside it is as it was, still")
    that((home / "engine" / "data").exists(), "its data stay")
    that(not list(pathlib.Path("/run/netns").glob("dmlab-" + format(zlib.crc32(str(home).encode()), "08x"))), "its namespace is gone")
    images = lambda: subprocess.run(["docker", "images", "-q", "--no-trunc"], capture_output=True, text=True).stdout  # noqa: E731
    there = images()
    done = lab(home, "clean", "--all")
    that(set(there.split()) <= set(images().split()), "the images of the engine beside it stay")
    that(done.returncode == 0 and not (home / "engine").exists(), "clean --all leaves nothing")
    that(str(home) not in pathlib.Path("/proc/mounts").read_text(), "nothing stays mounted")
