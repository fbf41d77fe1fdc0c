"""A Docker Engine for the lab. One that answers is used and never touched; else one of our own is started, with its own data
folder, and stopped by its recorded pid only."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import zlib

from .common import BIN, CACHE, CannotDo, Clock, Missing, fetch_debs, need_root, output, packages, run, say

DEFAULT_SOCKET = pathlib.Path("/var/run/docker.sock")
HOME = CACHE / "engine"
SOCKET = HOME / "docker.sock"
PID = HOME / "pid"
# What an engine of Debian consists of; --version takes them of another Debian than the machine's.
SUITES = {"current": "trixie", "newest": "sid"}
PACKAGES = ["docker.io", "containerd", "runc", "tini"]


def ping(host):
    """The engine's version at DOCKER_HOST-like `host`, or None."""
    if host.startswith("unix://"):
        connection = http.client.HTTPConnection("localhost", timeout=5)
        try:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(5)
            connection.sock.connect(host[len("unix://"):])
            connection.request("GET", "/version")
            return json.loads(connection.getresponse().read()).get("Version")
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()
    done = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, env=dict(os.environ, DOCKER_HOST=host))
    return done.stdout.strip() if done.returncode == 0 else None


def find():
    """(host, version, ours) of the engine that the lab uses: DOCKER_HOST, else ours if it runs, else the machine's own."""
    given = os.environ.get("DOCKER_HOST")
    if given:
        return given, ping(given), given == f"unix://{SOCKET}"
    for path, ours in ((SOCKET, True), (DEFAULT_SOCKET, False)):
        version = ping(f"unix://{path}") if path.exists() else None
        if version:
            return f"unix://{path}", version, ours
    return f"unix://{SOCKET}", None, True


def our_pid():
    """The pid of our daemon if it still is our daemon (a pid may be another's after a reboot)."""
    try:
        pid = int(PID.read_text())
        line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if str(HOME / "data").encode() in line else None


def foreign_daemons():
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == "dockerd" and os.readlink(entry / "ns" / "net") == os.readlink("/proc/self/ns/net"):
                found.append(entry.name)
        except OSError:
            pass
    return found


def programs(version):
    """The folder with dockerd and its helpers, or None for those of the system."""
    if version == "system" and shutil.which("dockerd"):
        return None
    suite = SUITES.get(version) or suite_of_machine()
    folder = HOME / f"programs-{suite}"
    if not (folder / "complete").exists():
        with Clock(f"engine of Debian {suite} unpacked below {folder}"):
            shutil.rmtree(folder, ignore_errors=True)
            fetch_debs(suite, PACKAGES + (["docker-cli"] if suite != "bookworm" else []), folder)
            if not runs(folder / "usr/sbin/runc"):  # built for a newer C library than this machine's
                fetch_debs(suite_of_machine(), ["runc"], folder)
            (folder / "complete").touch()
    return folder


def runs(program):
    return subprocess.run([str(program), "--version"], capture_output=True).returncode == 0


def suite_of_machine():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=", 1)[1].strip('"')
    return "trixie"


def own_namespace():
    """A network namespace for the engine, connected by a user-mode network (slirp4netns): no rule of the host's firewall and
    no interface of the host is touched. Returns the prefix for a command inside."""
    name = "dmlab-" + format(zlib.crc32(str(CACHE).encode()), "08x")
    folder = HOME / "slirp"
    binary = shutil.which("slirp4netns") or folder / "usr/bin/slirp4netns"
    if not pathlib.Path(binary).exists():
        fetch_debs(suite_of_machine(), ["slirp4netns", "libslirp0"], folder)
    if not pathlib.Path(f"/run/netns/{name}").exists():
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    (HOME / "netns").write_text(name)
    libraries = str(next(folder.glob("usr/lib/*-linux-gnu"), folder))
    log = open(HOME / "slirp.log", "ab")
    helper = subprocess.Popen([str(binary), "--configure", "--mtu=65520", "--netns-type=path", f"/run/netns/{name}", "tap0"],
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                              env=dict(os.environ, LD_LIBRARY_PATH=libraries))
    (HOME / "slirp.pid").write_text(str(helper.pid))
    return ["nsenter", f"--net=/run/netns/{name}"]


def prefix():
    """What a command needs before it to see the network of our engine: nothing, or its namespace."""
    name = HOME / "netns"
    return ["nsenter", f"--net=/run/netns/{name.read_text()}"] if name.exists() else []


def start(version="system", namespace=False):
    """Starts our engine where none answers. Returns (host, version, started)."""
    host, running, ours = find()
    if running and not (namespace and not ours):
        say(f"an engine answers at {host} ({running}): left as it is")
        return host, running, False
    if os.environ.get("DOCKER_HOST") and not namespace:
        raise CannotDo(f"DOCKER_HOST is {host}, and nothing answers there: start that engine, or unset the variable")
    need_root("starting an engine")
    others = foreign_daemons()
    if others and not namespace:
        raise CannotDo(f"dockerd runs already (pid {', '.join(others)}) but does not answer at {DEFAULT_SOCKET}: two of them in one network "
                       "fight over the firewall; give its address in DOCKER_HOST, or start ours apart with --namespace")
    packages("iptables", "libdevmapper1.02.1", "libseccomp2", "iproute2")
    folder = programs(version)
    for d in (HOME / "data", HOME / "exec"):
        d.mkdir(parents=True, exist_ok=True)
    prefix = own_namespace() if namespace else []
    if subprocess.run([*prefix, "iptables", "-t", "nat", "-L", "-n"], capture_output=True).returncode != 0:
        stop()
        raise Missing("iptables does not work here (a container without NET_ADMIN?): no engine can be started")
    if not any(pathlib.Path("/sys/fs/cgroup").iterdir()):
        raise Missing("/sys/fs/cgroup is empty: no engine can be started")
    env = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
    if folder:
        env["PATH"] = f"{folder}/usr/sbin:{folder}/usr/bin:{folder}/sbin:{env.get('PATH', '')}"
        libraries = [str(d) for d in folder.glob("usr/lib/*-linux-gnu")]
        if libraries:
            env["LD_LIBRARY_PATH"] = ":".join(libraries)
    daemon = str(folder / "usr/sbin/dockerd") if folder else shutil.which("dockerd")
    for stale in (HOME / "docker.pid", SOCKET):
        stale.unlink(missing_ok=True)
    log = open(HOME / "log", "wb")
    with Clock("engine started"):
        process = subprocess.Popen([*prefix, daemon, "--data-root", str(HOME / "data"), "--exec-root", str(HOME / "exec"), "--pidfile", str(HOME / "docker.pid"),
                                    "--host", f"unix://{SOCKET}", "--log-level", "warn"],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=env, cwd="/")
        PID.write_text(str(process.pid))
        (HOME / "address").write_text(f"unix://{SOCKET}")
        for _ in range(300):
            running = ping(f"unix://{SOCKET}") if SOCKET.exists() else None
            if running:
                break
            if process.poll() is not None:
                tail = "\n".join((HOME / "log").read_text(errors="replace").splitlines()[-12:])
                stop()
                raise CannotDo(f"dockerd ended with status {process.returncode}:\n{tail}")
            time.sleep(0.1)
        else:
            stop()
            raise CannotDo(f"dockerd did not answer within 30 s: see {HOME / 'log'}")
    say(f"engine {running} at unix://{SOCKET}, pid {process.pid}")
    return f"unix://{SOCKET}", running, True


def end(pid, seconds):
    """SIGTERM, and SIGKILL after `seconds`."""
    for sig, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5)):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return
        until = time.monotonic() + patience
        while time.monotonic() < until:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
            if not pathlib.Path(f"/proc/{pid}").exists() or " Z " in pathlib.Path(f"/proc/{pid}/stat").read_text():
                return
            time.sleep(0.1)


def stop():
    """Stops our engine by its recorded pid, and only it; its data stay. False when it did not run."""
    pid = our_pid()
    if pid:
        end(pid, 40)
    PID.unlink(missing_ok=True)
    SOCKET.unlink(missing_ok=True)
    helper = HOME / "slirp.pid"
    if helper.exists():
        try:
            number = int(helper.read_text())
            if b"slirp4netns" in pathlib.Path(f"/proc/{number}/cmdline").read_bytes():
                end(number, 5)
        except (OSError, ValueError):
            pass
        helper.unlink()
    name = HOME / "netns"
    if name.exists():
        subprocess.run(["ip", "netns", "delete", name.read_text()], capture_output=True)
        name.unlink()
    return pid is not None


def compose():
    """Path of a Compose v2 that runs as a program of its own (`PATH up -d`), 2.24 or newer; fetched once where there is none."""
    own = BIN / "docker-compose"
    if own.exists():
        return own
    found = installed_compose()
    if found:
        return found
    with Clock("Compose fetched"):
        for suite in ("sid", "trixie"):
            unpacked = CACHE / "apt" / f"compose-{suite}"
            try:
                fetch_debs(suite, ["docker-compose"], unpacked)
            except CannotDo as error:
                say(str(error).splitlines()[0])
                continue
            program = next(unpacked.glob("usr/libexec/docker/cli-plugins/docker-compose"), None)
            if program and new_enough(program):
                BIN.mkdir(parents=True, exist_ok=True)
                shutil.copy2(program, own)
                shutil.rmtree(unpacked)
                return own
    raise Missing("no Compose 2.24 or newer is installed, and Debian's could not be fetched")


def installed_compose():
    """Where the machine's own docker CLI finds a Compose that is new enough; None where it does not."""
    for folder in (user_config() / "cli-plugins", "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
                   "/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins"):
        path = pathlib.Path(folder) / "docker-compose"
        if path.exists() and new_enough(path):
            return path
    return None


def user_config():
    """The docker CLI's folder of settings."""
    return pathlib.Path(os.environ.get("DOCKER_CONFIG") or pathlib.Path.home() / ".docker")


def config_with_compose():
    """A folder of settings for the docker CLI with the Compose that the lab fetched, and everything else as the user has it; None
    where the machine's own CLI has Compose, or the lab has fetched none."""
    own, folder = BIN / "docker-compose", CACHE / "docker-config"
    if user_config() == folder:
        return folder
    if not own.exists() or installed_compose():
        return None
    (folder / "cli-plugins").mkdir(parents=True, exist_ok=True)
    present = {p.name: p for p in user_config().iterdir() if p.name != "cli-plugins"} if user_config().is_dir() else {}
    plugins = user_config() / "cli-plugins"
    wanted = {folder / name: path for name, path in present.items()} | {folder / "cli-plugins" / p.name: p for p in (plugins.iterdir() if plugins.is_dir() else [])}
    wanted[folder / "cli-plugins" / "docker-compose"] = own
    for link, target in wanted.items():
        if link.is_symlink() and os.readlink(link) == str(target):
            continue
        fresh = link.with_name(f".{link.name}.{os.getpid()}")
        fresh.symlink_to(target)
        fresh.replace(link)
    return folder


def new_enough(path):
    done = subprocess.run([str(path), "version", "--short"], capture_output=True, text=True)
    try:
        return tuple(int(n) for n in done.stdout.strip().lstrip("v").split(".")[:2]) >= (2, 24)
    except ValueError:
        return False


def docker():
    """Path of a docker CLI: the system's, else the one unpacked with our engine."""
    found = shutil.which("docker")
    if found:
        return found
    for path in sorted(HOME.glob("programs-*/usr/bin/docker")):
        return str(path)
    unpacked = HOME / "cli"
    if not (unpacked / "usr/bin/docker").exists():
        suite = suite_of_machine()
        fetch_debs(suite, ["docker.io" if suite == "bookworm" else "docker-cli"], unpacked)
    return str(unpacked / "usr/bin/docker")


def environment(host):
    """The environment in which docker, Compose and datamancy find the lab's engine."""
    own = config_with_compose()
    return dict(os.environ, DOCKER_HOST=host, DOCKER_BUILDKIT="0", DATAMANCY_LAB=str(CACHE), **({"DOCKER_CONFIG": str(own)} if own else {}))


def usage():
    if not CACHE.exists():
        return "0"
    # The engine goes on meanwhile: what is deleted while du reads makes it end with 1, with the sum all the same.
    said = subprocess.run(["du", "-sh", str(CACHE)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.split()
    return said[0] if said else "an unknown size"


def remove_tree(path):
    """Removes a file or folder below the cache folder, and nothing else."""
    if CACHE not in path.parents or not path.exists():
        return
    if path.is_dir():
        for line in reversed(pathlib.Path("/proc/mounts").read_text().splitlines()):
            mounted = line.split()[1]
            if mounted.startswith(f"{path}/"):
                subprocess.run(["umount", "-l", mounted], capture_output=True)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
