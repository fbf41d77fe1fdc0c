"""An engine of a test's own, in a network namespace and on a file system of its own: for tests that stop it or leave it no room."""
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = os.environ.get("DATAMANCY_TEST_ENGINE", "system")  # "current": as `lab/lab engine --version current`, whose programs are used where that lab has them
LAB = pathlib.Path(os.environ.get("DATAMANCY_LAB") or "/var/cache/datamancy-lab")


class SmallDisk:
    """A file system of so many bytes in memory."""
    def __init__(self, size):
        self.folder = tempfile.mkdtemp(prefix="deploy-small-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.folder], check=True)

    def fill(self):
        with open(self.folder + "/filler", "wb", buffering=0) as out:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        out.write(b"\0" * size)
                except OSError:
                    pass

    def empty(self):
        os.unlink(self.folder + "/filler")

    def gone(self):
        subprocess.run(["umount", "-l", self.folder])
        os.rmdir(self.folder)


class OwnEngine:
    """Runs until `gone`; `variables` (dicts such as os.environ) point at it meanwhile. `image` is copied over from the present one."""
    def __init__(self, image, *variables, size="1600m"):
        image_tar = tempfile.NamedTemporaryFile(prefix="deploy-image-")
        subprocess.run(["docker", "save", "-o", image_tar.name, image], check=True, capture_output=True)
        self.disk, self.variables = SmallDisk(size), variables
        self.host = f"unix://{self.disk.folder}/engine/docker.sock"
        self.before = [v.get("DOCKER_HOST") for v in variables]
        os.mkdir(self.disk.folder + "/engine")
        for programs in LAB.glob("engine/programs-*"):
            os.symlink(programs, f"{self.disk.folder}/engine/{programs.name}")
        try:
            self.start()
            subprocess.run(["docker", "-H", self.host, "load", "-i", image_tar.name], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            self.gone()
            raise AssertionError(f"no engine of our own: {error.stderr}") from None
        for v in variables:
            v["DOCKER_HOST"] = self.host

    def lab(self, *words):
        env = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        # Its output goes to a file: the daemon that it starts would hold a pipe open.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run([str(ROOT / "lab/lab"), *words], env={**env, "DATAMANCY_LAB": self.disk.folder}, stdout=said, stderr=said)
            said.seek(0)
            if done.returncode != 0:
                raise subprocess.CalledProcessError(done.returncode, words, stderr=said.read())

    def start(self):
        self.lab("engine", "--namespace", "--version", VERSION)

    def stop(self):
        self.lab("engine", "stop")

    def gone(self):
        self.stop()
        for v, host in zip(self.variables, self.before):
            v.pop("DOCKER_HOST", None)
            if host:
                v["DOCKER_HOST"] = host
        for line in reversed(pathlib.Path("/proc/mounts").read_text().splitlines()):
            if line.split()[1].startswith(self.disk.folder + "/"):
                subprocess.run(["umount", "-l", line.split()[1]], capture_output=True)
        self.disk.gone()
