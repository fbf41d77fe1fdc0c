"""What the parts of the lab share: where it keeps its things, how it runs programs, how it fails."""
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent.parent  # lab/
CACHE = pathlib.Path(os.environ.get("DATAMANCY_LAB") or "/var/cache/datamancy-lab")
BIN = CACHE / "bin"  # programs that were built or fetched once
BASE = "datamancy-lab/debian:trixie"


class CannotDo(Exception):
    """What the outside world refuses; the message says how to mend it. Status 2."""


class Missing(CannotDo):
    """A program or right that is needed is missing. Status 10; tests skip on it."""


def say(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(*argv, **more):
    """Runs a program by argv; its failure is CannotDo with what it said last."""
    quiet = more.pop("quiet", False)
    if quiet:
        more.update(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        done = subprocess.run([str(a) for a in argv], **more)
    except FileNotFoundError:
        raise Missing(f"{argv[0]} is not installed") from None
    if done.returncode != 0:
        tail = "\n".join((done.stdout or "").splitlines()[-25:]) if quiet else ""
        raise CannotDo(f"{' '.join(map(str, argv[:3]))} ... failed with status {done.returncode}\n{tail}".rstrip())
    return done


def output(*argv, **more):
    return run(*argv, stdout=subprocess.PIPE, text=True, **more).stdout.strip()


def root():
    return os.geteuid() == 0


def need_root(what):
    if not root():
        raise Missing(f"{what} needs root: run it with sudo, or point DOCKER_HOST at an engine that you may use")


def packages(*names):
    """Installs Debian packages that are missing. Only tools (debootstrap, iptables), never a service."""
    def installed(name):
        return subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status}", name], capture_output=True, text=True).stdout == "installed"
    missing = [n for n in names if not installed(n)]
    if not missing:
        return
    need_root(f"installing {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    try:
        run("apt-get", "install", "-qy", "--no-install-recommends", *missing, env=env, quiet=True)
    except CannotDo:
        run("apt-get", "update", "-q", quiet=True)
        run("apt-get", "install", "-qy", "--no-install-recommends", *missing, env=env, quiet=True)


def mirror():
    """The Debian mirror that this machine's apt uses; the image's own sources name it too."""
    for line in output("apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages").splitlines():
        origin, label, uri = line.split("|", 2)
        if origin == "Debian" and label == "Debian":
            return uri.rstrip("/")
    raise CannotDo("apt knows no Debian archive: give one in /etc/apt/sources.list, and `apt-get update`")


def fetch_debs(suite, names, into):
    """Downloads packages of another suite and unpacks them into a folder; the system's own apt state stays as it is."""
    state = CACHE / "apt" / suite
    (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    sources.write_text(f"deb [signed-by={keys}] {mirror()} {suite} main\n")
    options = ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={state / 'lists'}",
               "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "-o", "APT::Sandbox::User=root"]
    run("apt-get", *options, "update", "-q", quiet=True)
    debs = state / "debs"
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir()
    run("apt-get", *options, "download", "-q", *names, cwd=debs, quiet=True)
    into.mkdir(parents=True, exist_ok=True)
    for deb in sorted(debs.glob("*.deb")):
        run("dpkg-deb", "-x", deb, into)
    shutil.rmtree(debs)


class Clock:
    """Says how long a step took."""

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.start = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            say(f"{self.what}: {time.monotonic() - self.start:.1f} s")
