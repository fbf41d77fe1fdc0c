"""Programs that the lab compiles or fetches once per machine, kept in the cache folder's bin/: those that images are made of,
and tools for people and tests (restic, kopia, sops, age)."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

from .common import BIN, CACHE, HERE, CannotDo, Clock, Missing, fetch_debs, run, say

CADDY = HERE / "images" / "caddy"
# Versions are pinned: a lab that changes by itself proves nothing. Restic 0.19 or newer: 0.18.0 of Debian 13 mishandles
# --stdin-filename with folders.
GO_TOOLS = {
    "restic": ("github.com/restic/restic", "v0.19.1", ["cmd/restic"]),
    "age": ("filippo.io/age", "v1.3.2", ["cmd/age", "cmd/age-keygen"]),
    "sops": ("github.com/getsops/sops/v3", "v3.13.3", ["cmd/sops"]),
    "kopia": ("github.com/kopia/kopia", "v0.23.1", ["."]),
}
# Servers of which no Debian package exists: what an image unpacks, fetched once by the registry's own client.
NPM_TREES = {"pouchdb-server": "pouchdb-server@4.2.0", "oidc-provider": "oidc-provider@9.13.3"}
WHEELS = {"chdb-core": "chdb-core==26.9.0", "qdrant-edge": "qdrant-edge-py==0.9.0"}
# Programs in Python, each in a folder of its own; the commands that tests start.
PYTHON_TOOLS = {
    "synapse_homeserver": ["matrix-synapse[oidc,postgres,redis]==1.159.0", "txredisapi==1.4.11"],
    "jupyterhub": ["jupyterhub==5.4.6", "oauthenticator==17.3.0", "dockerspawner==14.0.0"],
}
ROOT = HERE.parent
CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
_lock = threading.Lock()


def files(name):
    """What an image that needs `name` copies into its build context."""
    if name == "datamancy":
        return [ROOT / "build" / "datamancy", *libraries(ROOT / "build" / "datamancy")]
    if name == "ca-certificates":  # of this machine: what it fetches may come through an authority of its own
        return [CERTIFICATES]
    if name in NPM_TREES or name in WHEELS:
        return [CACHE / "packages" / name]
    return [BIN / name]


# Debian keeps these compatible from 12 to 13, and the image has its own.
STABLE = ("ld-linux", "libc.", "libm.", "libgcc_s", "libstdc++", "libssl", "libcrypto", "libyaml-0", "libsqlite3", "libz.", "libzstd", "linux-vdso")


def libraries(program):
    """Shared libraries of a program of this machine that another Debian may have in another version only."""
    found = []
    for line in subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout.splitlines():
        name, _, rest = line.strip().partition(" => ")
        if rest and not name.startswith(STABLE):
            found.append(pathlib.Path(rest.split(" (")[0]))
    return found


def make(name):
    with _lock:
        MAKERS.get(name, go_tool)(name)


def misbehave(_):
    source = HERE / "images" / "misbehave" / "misbehave.c"
    target = BIN / "misbehave"
    if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
        return
    BIN.mkdir(parents=True, exist_ok=True)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise Missing("no C compiler: apt-get install gcc libc6-dev")
    run(compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-o", target, source, "-lpthread")


def caddy(_):
    """Caddy with rate limiting: main.go beside its Dockerfile, with pinned modules."""
    target = BIN / "caddy"
    sources = [CADDY / f for f in ("main.go", "go.mod", "go.sum")]
    if target.exists() and target.stat().st_mtime > max(s.stat().st_mtime for s in sources):
        return
    BIN.mkdir(parents=True, exist_ok=True)
    with Clock("caddy compiled"):
        run(go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", target, ".", cwd=CADDY, env=go_environment(), quiet=True)


def ca_certificates(_):
    if not CERTIFICATES.exists():
        raise Missing(f"no {CERTIFICATES}: apt-get install ca-certificates")


def datamancy(_):
    if not (ROOT / "build" / "datamancy").exists():
        raise Missing(f"{ROOT}/build/datamancy is not built: ./run builds it")


def go_tool(name):
    """A program of a Go module: compiled in a module of ours that requires exactly that version."""
    if (BIN / name).exists():
        return
    if name not in GO_TOOLS:
        raise CannotDo(f"the lab knows no program '{name}'")
    module, version, packages = GO_TOOLS[name]
    work = CACHE / "go-modules" / name
    work.mkdir(parents=True, exist_ok=True)
    BIN.mkdir(parents=True, exist_ok=True)
    paths = [module if p == "." else f"{module}/{p}" for p in packages]
    (work / "go.mod").write_text(f"module lab\n\ngo 1.24\n\nrequire {module} {version}\n")
    (work / "tools.go").write_text("//go:build tools\n\npackage lab\n\nimport (\n" + "".join(f'\t_ "{p}"\n' for p in paths) + ")\n")
    with Clock(f"{name} compiled"):
        env = dict(go_environment(), GOFLAGS="-mod=mod -buildvcs=false -trimpath")
        run(go(), "get", f"{module}@{version}", cwd=work, env=env, quiet=True)
        for path in paths:
            run(go(), "build", "-ldflags", "-s -w", "-o", str(BIN) + "/", path, cwd=work, env=env, quiet=True)


def python_tool(name):
    """A command of a Python package, in a virtual environment of its own; bin/NAME is a link to it."""
    if (BIN / name).exists():
        return
    BIN.mkdir(parents=True, exist_ok=True)
    folder = CACHE / "python" / name
    with Clock(f"{name} installed"):
        run(sys.executable, "-m", "venv", folder, quiet=True)
        run(folder / "bin" / "pip", "install", "-q", *PYTHON_TOOLS[name], quiet=True)
        (BIN / name).unlink(missing_ok=True)
        (BIN / name).symlink_to(folder / "bin" / name)


def npm_tree(name):
    """A package of npm with all that it needs, as one archive: node_modules/..."""
    target = CACHE / "packages" / name
    if target.exists():
        return
    npm = shutil.which("npm")
    if not npm:
        raise Missing("no npm: apt-get install npm")
    target.parent.mkdir(parents=True, exist_ok=True)
    with Clock(f"{name} fetched"), tempfile.TemporaryDirectory(dir=target.parent) as work:
        run(npm, "install", "--prefix", work, "--ignore-scripts", "--no-audit", "--no-fund", NPM_TREES[name], quiet=True)
        run("tar", "-C", work, "--owner=0", "--group=0", "-cf", f"{target}.part", "node_modules")
        os.replace(f"{target}.part", target)


def wheel(name):
    """A package of PyPI as its wheel, which is a zip archive; what it needs is not taken."""
    target = CACHE / "packages" / name
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with Clock(f"{name} fetched"), tempfile.TemporaryDirectory(dir=target.parent) as work:
        run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", work, WHEELS[name], quiet=True)
        os.replace(next(pathlib.Path(work).glob("*.whl")), target)


MAKERS = {**{name: npm_tree for name in NPM_TREES}, **{name: wheel for name in WHEELS}, **{name: python_tool for name in PYTHON_TOOLS},
          "misbehave": misbehave, "caddy": caddy, "datamancy": datamancy, "ca-certificates": ca_certificates}


def go():
    """A Go that can build today's modules (it fetches a newer toolchain itself): 1.21 or later; else Debian 13's, unpacked."""
    found = shutil.which("go") or "/usr/local/go/bin/go"
    if pathlib.Path(found).exists():
        version = re.search(r"go1\.(\d+)", subprocess.run([found, "version"], capture_output=True, text=True).stdout)
        if version and int(version.group(1)) >= 21:
            return found
    folder = CACHE / "go"
    program = folder / "usr/lib/go-1.24/bin/go"
    if not program.exists():
        with Clock("Go of Debian 13 unpacked"):
            fetch_debs("trixie", ["golang-1.24-go", "golang-1.24-src"], folder)
            # Debian's package links ../../share/go-1.24 from usr/lib/go-1.24: relative links, they hold anywhere.
    return str(program)


def go_environment():
    env = dict(os.environ, CGO_ENABLED="0", GOTOOLCHAIN="auto", GOFLAGS="-buildvcs=false -trimpath")
    env.setdefault("HOME", str(CACHE))
    return env


def tools(names=()):
    """What a person or a test may want from bin/: all, or those named."""
    for name in names or [*GO_TOOLS, "caddy"]:
        make(name)
    say(f"tools are in {BIN}: {', '.join(sorted(p.name for p in BIN.iterdir()))}")
