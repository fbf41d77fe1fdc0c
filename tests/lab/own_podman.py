"""A Podman of a test's own behind its Docker-compatible socket: storage, settings and network namespace of its own, the machine's Podman is not touched."""
import http.client
import json
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import tempfile
import threading
import time


class OwnPodman:
    """Runs until `gone`; `variables` (dicts such as os.environ) point at it meanwhile."""
    def __init__(self, *variables):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="podman-test-", dir="/var/tmp"))
        self.socket, self.namespace = self.folder / "podman.sock", f"dmpodman-{os.getpid()}"
        self.host, self.variables, self.before = f"unix://{self.socket}", variables, [v.get("DOCKER_HOST") for v in variables]
        # Limits above our own are not ours to give, and Podman asks for more. crun refuses control groups of both versions beside each other.
        limits = [f"{name}={min(most, resource.getrlimit(which)[1])}:{min(most, resource.getrlimit(which)[1])}" for name, which, most in
                  (("nofile", resource.RLIMIT_NOFILE, 1048576), ("nproc", resource.RLIMIT_NPROC, 32768))]
        (self.folder / "containers.conf").write_text(
            f'[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "{"runc" if shutil.which("runc") else "crun"}"\n'
            f'[network]\nnetwork_config_dir = "{self.folder}/networks"\n[containers]\ndefault_ulimits = {json.dumps(limits)}\n')
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "lo", "up"], check=True)
        self.log = open(self.folder / "log", "wb")
        self.service = subprocess.Popen(self.command("system", "service", "--time", "0", self.host), env=self.environment(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        self.over, self.timers = threading.Event(), set()
        self.asked = threading.Event()  # healthchecks are, once `ask_healthchecks` was called
        until = time.monotonic() + 60
        while not self.answers():
            if self.service.poll() is not None or time.monotonic() > until:
                said = (self.folder / "log").read_text(errors="replace")[-500:]
                self.gone()
                raise AssertionError(f"Podman does not answer: {said}")
            time.sleep(0.1)
        for v in variables:
            v["DOCKER_HOST"] = self.host

    def command(self, *words):
        folder = self.folder
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--tmpdir", f"{folder}/tmp", *words]

    def environment(self):
        return {**os.environ, "CONTAINERS_CONF": f"{self.folder}/containers.conf"}

    def ask(self, method, path):
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        try:
            connection.sock.connect(str(self.socket))
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def answers(self):
        try:
            return self.ask("GET", "/_ping")[0] == 200
        except OSError:
            return False

    def ask_healthchecks(self):
        """What systemd's timers do, which Podman makes for its healthchecks: asks each one interval after the last time."""
        def one(container):
            interval = json.loads(self.ask("GET", f"/v1.41/containers/{container}/json")[1])["Config"].get("Healthcheck", {}).get("Interval", 30e9) / 1e9
            while not self.over.wait(interval):
                if self.asked.is_set() and self.ask("GET", f"/v1.41/libpod/containers/{container}/healthcheck")[0] != 200:
                    break
            self.timers.discard(container)

        def all_of_them():
            while not self.over.wait(0.2):
                try:
                    for entry in json.loads(self.ask("GET", "/v1.41/containers/json")[1]):
                        if entry["Id"] not in self.timers:
                            self.timers.add(entry["Id"])
                            threading.Thread(target=one, args=(entry["Id"],), daemon=True).start()
                except (OSError, ValueError):
                    pass
        self.asked.set()
        threading.Thread(target=all_of_them, daemon=True).start()

    def gone(self):
        self.over.set()
        subprocess.run(self.command("rm", "-fa", "-t", "0"), env=self.environment(), capture_output=True)
        self.service.terminate()
        self.service.wait()
        self.log.close()
        for v, host in zip(self.variables, self.before):
            v.pop("DOCKER_HOST", None)
            if host:
                v["DOCKER_HOST"] = host
        for line in reversed(pathlib.Path("/proc/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", line.split()[1]], capture_output=True)
        subprocess.run(["ip", "netns", "delete", self.namespace], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
