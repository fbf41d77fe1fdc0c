"""Runs a Compose project on the lab's images: an override file swaps `image:` (lab/images.yaml says by what) and notes what it stands for, nothing else of
the project changes. Without a project of the user's it is the club, lab/stack/."""
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import tempfile

from . import images
from .common import BASE, CACHE, HERE, CannotDo, Clock, output, run, say
from .engine import compose, docker, environment

CLUB = HERE / "stack"
MISBEHAVE = "datamancy-lab/misbehave:1"
FROM = r"^FROM\s+(?:--\S+\s+)*(\S+)"
DEBIAN = re.compile(r"(docker\.io/)?(library/)?debian:(13|trixie|stable)[a-z0-9.-]*")


def mapping():
    pairs = {}
    for line in (HERE / "images.yaml").read_text().splitlines():
        match = re.fullmatch(r"(\S+): (\S+)", line.split("#", 1)[0].strip())
        if match:
            pairs[match.group(1)] = match.group(2)
    return pairs


def lab_image(name, pairs):
    """The lab's image for an official one, or None. Tags and digests do not matter; a registry of one's own neither."""
    bare = name.split("@", 1)[0]
    if ":" in bare.rsplit("/", 1)[-1]:
        bare = bare.rsplit(":", 1)[0]
    for prefix in ("docker.io/library/", "docker.io/", "index.docker.io/", "library/"):
        if bare.startswith(prefix):
            bare = bare[len(prefix):]
            break
    if bare in pairs:
        return pairs[bare]
    first, _, rest = bare.partition("/")
    return pairs.get(rest) if rest and re.search(r"[.:]", first) and first not in ("ghcr.io", "quay.io") else None


def base_on_lab(name, pairs):
    """The lab's image for what a Dockerfile starts from: Debian 13, or an official image that the lab has; None for another."""
    return BASE if DEBIAN.fullmatch(name.split("@")[0]) else lab_image(name, {official: lab for official, lab in pairs.items() if official != "debian"})


def dockerfile_on_lab(service):
    """The service's own Dockerfile on the lab's images instead of the official ones, or None when it starts from something that the lab has not."""
    build = service.get("build")
    if not build:
        return None
    try:
        text = build.get("dockerfile_inline") or (pathlib.Path(build["context"]) / build.get("dockerfile", "Dockerfile")).read_text()
    except OSError:
        return None
    pairs = mapping()
    stages = {m.group(1).lower() for m in re.finditer(r"^FROM\s+\S+\s+AS\s+(\S+)", text, re.M | re.I)} | {"scratch"}
    bases = {base: base if base.lower() in stages else base_on_lab(base, pairs) for base in re.findall(FROM, text, re.M | re.I)}
    if None in bases.values():
        return None
    return re.sub(FROM, lambda m: m.group(0)[:m.start(1) - m.start(0)] + bases[m.group(1)], text, flags=re.M | re.I)


class Project:
    """A Compose project as the lab runs it."""

    def __init__(self, host, files=(), profiles=(), stand_ins=False, name=None, services=()):
        self.host = host
        self.files = [pathlib.Path(f).resolve() for f in files] or [CLUB / "compose.yaml"]
        self.own = self.files[0].parent == CLUB
        if self.own:
            make_secrets(CLUB / "secrets")
        self.profiles = list(profiles)
        self.stand_ins = stand_ins
        self.sealed = False
        self.model = self.read_model()
        unknown = set(services) - set(self.model["services"])
        if unknown:
            raise CannotDo(f"the project has no service {', '.join(sorted(unknown))} in these profiles")
        self.services = sorted(services or self.model["services"])  # the others keep their official images
        self.name = name or os.environ.get("COMPOSE_PROJECT_NAME") or self.model["name"]
        self.override = CACHE / "overrides" / f"{self.name}.yaml"

    def read_model(self):
        """What Compose makes of the files. Variables that lie sealed only the program can open: where Compose misses some, it is asked to."""
        plain = subprocess.run([*self.argv_plain(), "config", "--format", "json"], capture_output=True, text=True, env=environment(self.host))
        missed = plain.returncode != 0 or "variable is not set" in plain.stderr
        folder = self.files[0].parent
        self.sealed = missed and any(re.search(r"\.enc\.env$|^\.env(\..+)?\.enc$", p.name) for p in folder.iterdir())
        if not self.sealed:
            if plain.returncode != 0:
                raise CannotDo(f"docker compose cannot read the project:\n{plain.stderr.strip()}")
            return json.loads(plain.stdout)
        return json.loads(output(*self.argv_plain(), "config", "--format", "json", env=environment(self.host)))

    def argv_plain(self):
        argv, tail = [str(compose())], []
        if self.sealed:
            built = HERE.parent / "build" / "datamancy"
            program = built if built.exists() else shutil.which("datamancy") or "datamancy"
            argv, tail = [str(program), "--project-directory", str(self.files[0].parent)], ["secrets", "compose", "--"]
        for f in self.files:
            argv += ["-f", str(f)]
        for p in self.profiles:
            argv += ["--profile", p]
        return argv + tail

    def argv(self):
        return [*self.argv_plain(), "-f", str(self.override), "-p", self.name]

    def swaps(self):
        """(service, official image, lab image or None) of every service. A service that the project builds itself from Debian 13
        is built on the lab's Debian."""
        pairs = mapping()
        out = []
        for name in self.services:
            service = self.model["services"][name]
            swap = lab_image(service.get("image", ""), pairs)
            if swap is None and dockerfile_on_lab(service):
                swap = f"datamancy-lab/own-{re.sub('[^a-z0-9_.-]', '-', service.get('image', self.name + '-' + name).lower()).strip('-')}:lab"
            out.append((name, service.get("image", ""), swap))
        return out

    def build_own(self):
        """Builds what the project builds itself, on the lab's base."""
        done = set()
        for name, _, swap in self.swaps():
            if not swap or not swap.startswith("datamancy-lab/own-") or swap in done:
                continue
            done.add(swap)
            build = self.model["services"][name]["build"]
            images.make_base(self.host)
            options = [o for k, v in (build.get("args") or {}).items() for o in ("--build-arg", f"{k}={v}" if v is not None else k)]
            options += ["--target", build["target"]] if build.get("target") else []
            with tempfile.NamedTemporaryFile("w", suffix=".Dockerfile") as recipe, Clock(f"{swap} for {name}"):
                recipe.write(dockerfile_on_lab(self.model["services"][name]))
                recipe.flush()
                run(docker(), "build", "--network", "host", "-t", swap, "-f", recipe.name, *options, build["context"], env=environment(self.host), quiet=True)

    def write_override(self):
        """The override file; names without an image of the lab are returned (stand-ins take their place if wanted)."""
        missing = []
        lines = [f"# Written by lab/lab for project {self.name}: the lab's images instead of the official ones.", "services:"]
        for name, image, swap in self.swaps():
            service = self.model["services"][name]
            if swap is None and not self.stand_ins:
                missing.append(f"{name} ({image or 'built'})")
                continue
            lines += [f"  {name}:", f"    image: {swap or MISBEHAVE}", "    pull_policy: never"]
            if swap and image:
                lines.append(f"    x-datamancy: {{product: {json.dumps(image)}}}")  # the lab's name tells the program nothing
            if "build" in service:
                lines.append("    build: !reset null")
            if swap is None:
                port = next((str(p).split("/")[0] for p in service.get("expose", [])), None) or next((str(p["target"]) for p in service.get("ports", [])), "8080")
                lines += ["    command: [misbehave]", "    entrypoint: !reset null", "    user: !reset null",
                          "    environment: {PORT: \"" + port + "\"}", "    healthcheck: {test: [CMD, misbehave, health]}"]
                missing.append(f"{name} ({image or 'built'})")
        self.override.parent.mkdir(parents=True, exist_ok=True)
        self.override.write_text("\n".join(lines) + "\n")
        return missing

    def needed_images(self):
        """Folders below lab/images/ that this project needs."""
        tags = {swap for _, _, swap in self.swaps() if swap} | ({MISBEHAVE} if self.stand_ins else set())
        return [i.name for i in images.catalogue() if i.tag in tags]


def make_secrets(folder):
    """Secrets of the club, made once: readable in containers by any user, on the host behind a folder of mode 0700."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    word = lambda: secrets.token_urlsafe(18)  # noqa: E731
    feeds = (folder / "feeds_password").read_text() if (folder / "feeds_password").exists() else word()
    made = {
        "postgres_password": word(), "feeds_password": feeds, "pgbouncer_users": f'"feeds" "{feeds}"\n',
        "miniflux_database_url": f"postgres://feeds:{feeds}@pgbouncer:5432/feeds?sslmode=disable", "miniflux_admin_password": word(),
        "mariadb_root_password": word(), "roundcube_db_password": word(), "roundcube_des_key": secrets.token_hex(12),
        "ldap_admin_password": word(), "ldap_config_password": word(), "mail_password": word(), "borg_passphrase": word(),
    }
    for name, value in made.items():
        path = folder / name
        if not path.exists():
            path.write_text(value)
        path.chmod(0o444)
    accounts = folder / "mail" / "postfix-accounts.cf"
    if not accounts.exists():
        accounts.parent.mkdir(exist_ok=True)
        hashed = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=(folder / "mail_password").read_text(), text=True, capture_output=True)
        if hashed.returncode != 0:
            raise CannotDo("openssl is needed to hash the password of the mail account: apt-get install openssl")
        accounts.write_text(f"ada@club.example|{{SHA512-CRYPT}}{hashed.stdout.strip()}\n")


def prepare(project):
    """Images and the override file: after it any tool that reads COMPOSE_FILE can run the project."""
    missing = project.write_override()
    if missing and not project.stand_ins:
        raise CannotDo("the lab has no image for " + ", ".join(missing) + ": name one in lab/images.yaml, or use --stand-ins")
    if missing:
        say("stand-ins for " + ", ".join(missing))
    images.build_all(project.host, project.needed_images())
    project.build_own()


def up(project, wait=600):
    prepare(project)
    with Clock(f"{project.name}: {len(project.services)} services up and healthy"):
        run(*project.argv(), "up", "-d", "--wait", "--wait-timeout", str(wait), *project.services, env=environment(project.host))


def down(project, volumes):
    if not project.override.exists():
        project.write_override()
    run(*project.argv(), "down", "--remove-orphans", *(["--volumes"] if volumes else []), env=environment(project.host))


def unhealthy(project):
    """Names of services that are not running and healthy."""
    text = output(*project.argv(), "ps", "-a", "--format", "json", env=environment(project.host))
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")] or (json.loads(text) if text.startswith("[") else [])
    seen = {r["Service"]: r for r in rows}
    bad = []
    for name in project.services:
        row = seen.get(name)
        done = row and row["State"] == "exited" and row.get("ExitCode") == 0
        if not row or not (done or (row["State"] == "running" and row.get("Health", "") in ("", "healthy"))):
            bad.append(name)
    return bad


def status(project):
    if not project.override.exists():
        project.write_override()
    run(*project.argv(), "ps", "-a", "--format", "table {{.Service}}\t{{.Image}}\t{{.Status}}", env=environment(project.host))
    bad = unhealthy(project)
    if bad:
        say(f"not up or not healthy: {', '.join(bad)}")
    return 1 if bad else 0
