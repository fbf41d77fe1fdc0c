"""The images of the lab: a folder below lab/images/ is one, its Dockerfile's first lines say its name and what it needs.
An image is built again only when its folder, a program in it or its base changed."""
import concurrent.futures
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import programs
from .common import BASE, CACHE, HERE, CannotDo, Clock, mirror, need_root, packages, run, say
from .engine import docker, environment

FOLDERS = HERE / "images"


class Image:
    def __init__(self, folder):
        self.folder = folder
        self.name = folder.name
        text = (folder / "Dockerfile").read_text()
        self.tag = re.search(r"^# image: (\S+)$", text, re.M).group(1)
        self.needs = (re.search(r"^# needs: (.+)$", text, re.M) or [None, ""])[1].split()  # programs from lab/programs
        self.base = re.search(r"^FROM (\S+)", text, re.M).group(1)

    def context_hash(self):
        """Of everything that decides what the image becomes."""
        h = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                h.update(f"{path.relative_to(self.folder)} {path.stat().st_mode & 0o111:o}\n".encode() + path.read_bytes())
        for need in self.needs:
            for path in programs.files(need):
                h.update(path.name.encode() + path.read_bytes())
        return h.hexdigest()[:16]


def catalogue():
    """All images, the base first."""
    found = [Image(d.parent) for d in sorted(FOLDERS.glob("*/Dockerfile"))]
    return sorted(found, key=lambda image: image.base != BASE)


def inspect(host, tag):
    done = subprocess.run([docker(), "image", "inspect", tag], capture_output=True, text=True, env=environment(host))
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def fresh(host, image, base):
    """Whether it is there, made of what its folder and `base` (the hash of the base's folder) now hold."""
    there = inspect(host, image.tag)
    labels = (there or {}).get("Config", {}).get("Labels") or {}
    return bool(there) and labels.get("datamancy.lab.context") == image.context_hash() and labels.get("datamancy.lab.base") == base


def make_base(host):
    """Debian 13 by debootstrap, kept as an archive below the cache folder, imported where the engine has it not."""
    if inspect(host, BASE):
        return
    archive = CACHE / "debian-trixie.tar"
    if not archive.exists():
        need_root("debootstrap")
        packages("debootstrap")
        CACHE.mkdir(parents=True, exist_ok=True)
        with Clock("Debian 13 by debootstrap"), tempfile.TemporaryDirectory(dir=CACHE, prefix="debootstrap-") as work:
            tree = pathlib.Path(work) / "root"
            run("debootstrap", "--variant=minbase", "trixie", tree, mirror(), quiet=True)
            shutil.rmtree(tree / "var/cache/apt/archives", ignore_errors=True)
            for lists in (tree / "var/lib/apt/lists").glob("*"):
                if lists.is_file():
                    lists.unlink()
            part = archive.with_suffix(".part")
            run("tar", "--numeric-owner", "--one-file-system", "-C", tree, "-cf", part, ".")
            part.rename(archive)
    with Clock("base imported"), open(archive, "rb") as stream:
        run(docker(), "import", "--change", 'CMD ["bash"]', "-", BASE, stdin=stream, env=environment(host), stdout=subprocess.DEVNULL)


def build(host, image, base):
    with Clock(image.tag), tempfile.TemporaryDirectory(prefix="datamancy-lab-") as work:
        context = pathlib.Path(work) / "context"
        shutil.copytree(image.folder, context, symlinks=True)
        for need in image.needs:
            for path in programs.files(need):
                folder = context / "lib" if ".so" in path.name else context
                folder.mkdir(exist_ok=True)
                shutil.copy2(path, folder / path.name)
        run(docker(), "build", "--network", "host", "--label", f"datamancy.lab.context={image.context_hash()}",
            "--label", f"datamancy.lab.base={base}", "-t", image.tag, context, env=environment(host), quiet=True)


def build_all(host, names=(), force=False, jobs=2):
    """Builds what is missing or stale of `names` (all by default). Failures are gathered; what can be built is."""
    known = catalogue()
    unknown = set(names) - {i.name for i in known}
    if unknown:
        raise CannotDo(f"no image '{', '.join(sorted(unknown))}'; there are: {', '.join(i.name for i in known)}")
    wanted = [i for i in known if not names or i.name in names]
    make_base(host)
    base_image = next(i for i in known if i.base == BASE)
    base = base_image.context_hash()
    if force or not fresh(host, base_image, base):
        build(host, base_image, base)
    failures = []

    def one(image):
        try:
            for need in image.needs:
                programs.make(need)
            if force or not fresh(host, image, base):
                build(host, image, base)
                return True
        except CannotDo as error:
            failures.append(f"{image.tag}: {error}")
        return False

    # Those with a program to compile start first: they take longest.
    rest = sorted((i for i in wanted if i is not base_image), key=lambda i: not i.needs)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        built = sum(pool.map(one, rest))
    say(f"{built} built, {len(rest) - built - len(failures)} already there")
    if failures:
        raise CannotDo("these images could not be built:\n" + "\n".join(failures))


def remove(host):
    """Removes the lab's images that no container uses; returns their names."""
    removed = []
    for tag in [*reversed([i.tag for i in catalogue()]), BASE]:
        done = subprocess.run([docker(), "image", "rm", tag], capture_output=True, text=True, env=environment(host))
        if done.returncode == 0:
            removed.append(tag)
    return removed


def listing(host):
    for image in catalogue():
        there = inspect(host, image.tag) if host else None
        size = f"{there['Size'] / 1e6:.0f} MB" if there else "not built"
        print(f"{image.name:14} {image.tag:32} {size}")
