#!/usr/bin/env python3
"""`packaging/systemd/datamancy@.service` booted in a machine of its own (systemd-nspawn, Debian with the engine): the first start, a clean shutdown and
the boot after it, a loss of power and the boot after it. Needs root, systemd-nspawn and debootstrap; the machine is made once, in the lab's cache folder."""
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from labtest import ROOT, docker, engine, eventually, run, skip, that
from labkit.common import CACHE, mirror

DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build" / "datamancy").resolve())
if os.geteuid() != 0 or not shutil.which("systemd-nspawn") or not shutil.which("debootstrap"):
    skip("needs root, systemd-nspawn and debootstrap")
IMAGE = "datamancy-lab/base:13"
PACKAGES = "systemd,systemd-sysv,dbus,docker.io,iptables,ca-certificates,procps"
# b is well only where a was ready before it started, and a takes two seconds for that; /run is empty after each boot.
COMPOSE = """name: shop
x-common: &common
  image: IMAGE
  init: true
  restart: unless-stopped
  stop_grace_period: 2s
  tmpfs: [/tmp]
  volumes: ["/run/shared:/shared"]
  healthcheck: {test: [CMD, test, -e, /tmp/ok], interval: 2s, timeout: 30s, retries: 3}
services:
  c: {<<: *common, command: [sh, -c, "touch /tmp/ok; exec sleep infinity"], depends_on: {b: {condition: service_healthy}}}
  b: {<<: *common, command: [sh, -c, "test -e /shared/a && touch /tmp/ok; exec sleep infinity"], depends_on: {a: {condition: service_healthy}}}
  a: {<<: *common, command: [sh, -c, "sleep 2; touch /tmp/ok /shared/a; exec sleep infinity"]}
"""
# In a nspawn machine the old control groups are read-only, and the engine makes its own below them.
CGROUPS = '#!/bin/sh\nfor d in /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,rw "$d" || mount -o remount,bind,rw "$d"; done 2>/dev/null\ntrue\n'


def base():
    """Debian of this machine's release with systemd and the engine, made once."""
    suite = engine.suite_of_machine()
    folder = CACHE / f"machine-{suite}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, folder, mirror()], check=True, stdout=subprocess.DEVNULL)
        (folder / "complete").touch()
    return folder


class Machine:
    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="dmtest-reboot-", dir="/var/tmp")) / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", base(), self.root], check=True)
        self.nspawn = None
        self.install(DATAMANCY, "usr/bin/datamancy", 0o755)
        for line in subprocess.run(["ldd", DATAMANCY], capture_output=True, text=True, check=True).stdout.splitlines():
            path = line.split("=>")[-1].split()[0]
            if path.startswith("/") and not any(name in path for name in ("/libc.so", "/ld-linux", "/libm.so")):
                self.install(path, f"usr/local/lib/{os.path.basename(path)}", 0o755)
        self.install(engine.compose(), "usr/libexec/docker/cli-plugins/docker-compose", 0o755)
        # As packaging/systemd/README.md says for a project without sealed secrets.
        unit = (ROOT / "packaging/systemd/datamancy@.service").read_text()
        self.write("etc/systemd/system/datamancy@.service", "".join(line for line in unit.splitlines(True) if not line.startswith("LoadCredentialEncrypted=")))
        self.write("usr/local/bin/cgroups", CGROUPS)
        (self.root / "usr/local/bin/cgroups").chmod(0o755)
        self.write("etc/systemd/system/docker.service.d/lab.conf", "[Service]\nExecStartPre=/usr/local/bin/cgroups\n")
        self.write("etc/tmpfiles.d/shared.conf", "d /run/shared 0777 root root\n")
        self.write("srv/shop/compose.yaml", COMPOSE.replace("IMAGE", IMAGE))
        docker("save", "-o", self.root / "srv/images.tar", IMAGE)

    def install(self, source, target, mode):
        (self.root / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, self.root / target)
        (self.root / target).chmod(mode)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def boot(self):
        old = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0"} if os.path.isdir("/sys/fs/cgroup/memory") else {}
        argv = ["systemd-nspawn", "-q", "-D", self.root, "-M", f"dmtest-{os.getpid()}", "--boot", "--private-network", "--capability=all", "--register=no",
                "--keep-unit", "--system-call-filter=@keyring bpf mount @privileged", "--console=pipe", "--resolv-conf=off"]
        nothing = subprocess.DEVNULL
        self.nspawn = subprocess.Popen(argv, stdin=nothing, stdout=nothing, stderr=nothing, env={**os.environ, **old}, start_new_session=True)
        self.leader = eventually("the machine's first process", self.first_process, 30)
        eventually("the machine has booted", lambda: self.run("systemctl", "is-system-running") in ("running", "degraded"), 120)

    def first_process(self):
        children = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
        return next((c for c in children if pathlib.Path(f"/proc/{c}/comm").read_text().strip() == "systemd"), None)

    def run(self, *argv):
        inside = ["nsenter", "-t", self.leader, "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        return subprocess.run([*inside, *argv], capture_output=True, text=True).stdout.strip()

    def power_off(self):
        self.run("systemctl", "poweroff")
        self.nspawn.wait(timeout=200)

    def power_loss(self):
        os.kill(int(self.leader), signal.SIGKILL)
        self.nspawn.wait(timeout=60)

    def stack(self):
        """What the unit said in this boot, once it has ended, and {service: (id, start in seconds, health)}."""
        def state():
            now = self.run("systemctl", "show", "-P", "ActiveState", "datamancy@shop")
            return now if now in ("active", "failed") else None

        state = eventually("the unit has ended", state, 200)
        text = self.run("journalctl", "-b", "-u", "datamancy@shop", "-o", "cat", "--no-pager")
        that(state == "active", f"the unit is {state}:\n{text}")
        seen = {}
        for c in json.loads(self.run("docker", "inspect", "shop-a-1", "shop-b-1", "shop-c-1")):
            at = datetime.datetime.fromisoformat(c["State"]["StartedAt"][:26].rstrip("Z"))
            seen[c["Name"][6]] = (c["Id"], at.timestamp(), c["State"]["Health"]["Status"])
        that(all(s[2] == "healthy" for s in seen.values()), f"not all are healthy: {seen}\n{text}")
        return text, seen

    def gone(self):
        if self.nspawn and self.nspawn.poll() is None:
            self.power_loss()
        shutil.rmtree(self.root.parent, ignore_errors=True)


def in_order(seen):
    return seen["b"][1] - seen["a"][1] > 1.9 and seen["c"][1] > seen["b"][1]


def test_a_stack_comes_back_in_order_after_a_clean_shutdown_and_is_repaired_after_a_power_loss():
    machine = Machine()
    try:
        machine.boot()
        machine.run("ldconfig")
        machine.run("docker", "load", "-i", "/srv/images.tar")
        machine.run("systemctl", "enable", "--now", "datamancy@shop")
        text, first = machine.stack()
        that(in_order(first), f"the first start is in order: {first}\n{text}")

        machine.power_off()
        machine.boot()
        text, clean = machine.stack()
        that(in_order(clean), f"after a clean shutdown the engine starts nothing by itself, and the unit all in order: {clean}\n{text}")
        that({s: c[0] for s, c in clean.items()} == {s: c[0] for s, c in first.items()}, "the containers are the same")

        machine.power_loss()
        machine.boot()
        text, lost = machine.stack()
        that("b: starting" in text and "a: starting" not in text, f"after a loss of power only what did not get well is restarted:\n{text}")
        that(lost["b"][1] - lost["a"][1] > 1.9, f"b was restarted once a was ready: {lost}\n{text}")
        that(lost["c"][1] - lost["a"][1] < 1.9, f"the engine had started all at once, and c was left as it was: {lost}")
        that({s: c[0] for s, c in lost.items()} == {s: c[0] for s, c in first.items()}, "the containers are the same")
    finally:
        machine.gone()


if __name__ == "__main__":
    run(globals(), needs=("base",))
