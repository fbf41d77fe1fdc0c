"""What tests on a real engine share. A test file is a module with functions test_*; `run(globals())` runs them in order, says
which held, and skips with 77 where there is no engine or no image of the lab. Everything they make carries a label and is removed."""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
LABEL = "datamancy.test=" + os.environ.get("DATAMANCY_TEST_LABEL", "lab")
sys.path.insert(0, str(ROOT / "lab"))
from labkit import engine, images  # noqa: E402
from labkit.common import CannotDo  # noqa: E402

HOST, VERSION, _ = engine.find()
ENV = engine.environment(HOST)


class Failed(AssertionError):
    pass


def docker(*argv, check=True, data=None):
    """Standard output of docker; its failure is the test's."""
    done = subprocess.run([engine.docker(), *map(str, argv)], env=ENV, capture_output=True, text=True, input=data)
    if check and done.returncode != 0:
        raise Failed(f"docker {' '.join(map(str, argv))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def that(condition, what):
    if not condition:
        raise Failed(what)


PATIENCE = float(os.environ.get("DATAMANCY_TEST_PATIENCE", "2"))  # how many times longer than on an idle machine things may take


def eventually(what, condition, seconds=60):
    """The first true value of `condition()` within the time."""
    until = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise Failed(f"within {seconds} s: {what}")
        time.sleep(0.2)


def tag(name):
    return next(i.tag for i in images.catalogue() if i.name == name)


class Container:
    def __init__(self, name):
        self.name = name

    def run(self, *argv, env=(), user=None):
        """(status, output) of a command inside."""
        options = [o for e in env for o in ("-e", e)] + (["-u", user] if user else [])
        done = subprocess.run([engine.docker(), "exec", *options, self.name, *argv], env=ENV, capture_output=True, text=True)
        return done.returncode, (done.stdout + done.stderr).strip()

    def ok(self, *argv, **more):
        return self.run(*argv, **more)[0] == 0

    def out(self, *argv, **more):
        status, text = self.run(*argv, **more)
        that(status == 0, f"{' '.join(argv)} in {self.name}: status {status}: {text}\n{self.logs()[-1500:]}")
        return text

    def logs(self):
        done = subprocess.run([engine.docker(), "logs", self.name], env=ENV, capture_output=True, text=True)
        return done.stdout + done.stderr

    def state(self, path):
        return docker("inspect", "-f", "{{" + path + "}}", self.name)

    def address(self):
        return docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.name)

    def ends(self, seconds=60):
        """Its exit status."""
        eventually(f"{self.name} ends", lambda: self.state(".State.Running") == "false", seconds)
        return int(self.state(".State.ExitCode"))


@contextlib.contextmanager
def container(image, *command, env=None, options=()):
    name = f"dmtest-{image.split('/')[-1].split(':')[0]}-{uuid.uuid4().hex[:8]}"
    more = [o for k, v in (env or {}).items() for o in ("-e", f"{k}={v}")]
    docker("run", "-d", "--name", name, "--label", LABEL, *more, *options, image, *command)
    try:
        yield Container(name)
    finally:
        docker("rm", "-fv", name, check=False)


@contextlib.contextmanager
def network():
    name = f"dmtest-{uuid.uuid4().hex[:8]}"
    docker("network", "create", "--label", LABEL, name)
    try:
        yield name
    finally:
        docker("network", "rm", name, check=False)


@contextlib.contextmanager
def volume():
    name = f"dmtest-{uuid.uuid4().hex[:8]}"
    docker("volume", "create", "--label", LABEL, name)
    try:
        yield name
    finally:
        docker("volume", "rm", "-f", name, check=False)


@contextlib.contextmanager
def files(**content):
    """A folder with files that any user of a container may read; `name__sh` is name.sh, executable."""
    with tempfile.TemporaryDirectory(prefix="dmtest-") as folder:
        os.chmod(folder, 0o755)
        for name, text in content.items():
            name = name.replace("__", ".")
            path = pathlib.Path(folder) / re.sub("^n", "", name)
            path.write_text(text)
            path.chmod(0o755 if name.endswith(".sh") else 0o644)
        yield folder


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def run(module, needs=()):
    if not VERSION:
        skip("no engine answers: lab/lab engine")
    try:
        missing = [n for n in needs if not images.inspect(HOST, tag(n))]
    except CannotDo as error:
        skip(str(error))
    if missing:
        skip(f"images of the lab are missing: lab/lab images {' '.join(missing)}")
    wanted = os.environ.get("ONLY", "")
    failures = 0
    for name, test in list(module.items()):
        if not name.startswith("test_") or not re.search(wanted, name):
            continue
        start = time.monotonic()
        try:
            test()
            print(f"ok     {name[5:].replace('_', ' ')} ({time.monotonic() - start:.1f} s)", flush=True)
        except (AssertionError, CannotDo) as error:
            failures += 1
            print(f"FAILED {name[5:].replace('_', ' ')}: {error}", flush=True)
    print(f"engine {VERSION}: {failures} failed")
    sys.exit(1 if failures else 0)
