"""A PostgreSQL of an older major version for tests of upgrades: PostgreSQL 15 of Debian 12 behind the entrypoint of the lab's image.
Made once, labelled as a test's; `python3 tests/lab/older_postgres.py` makes it alone."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

from labtest import ENV, LABEL, ROOT, docker, engine, images
from labkit.common import CACHE, CannotDo, mirror, packages

BASE, TAG = "datamancy-lab/debian:bookworm", "datamancy-lab/postgres:15"


def make_base():
    archive = CACHE / "debian-bookworm.tar"
    if not archive.exists():
        packages("debootstrap")
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="debootstrap-") as work:
            tree, part = pathlib.Path(work) / "root", archive.with_suffix(".part")
            subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(tree), mirror()], check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["tar", "--numeric-owner", "--one-file-system", "-C", str(tree), "-cf", str(part), "."], check=True)
            part.rename(archive)
    with open(archive, "rb") as stream:
        subprocess.run([engine.docker(), "import", "--change", 'CMD ["bash"]', "--change", f"LABEL {LABEL}", "-", BASE], stdin=stream, check=True, env=ENV, stdout=subprocess.DEVNULL)


def make():
    """The tag of the image; built where it is missing."""
    if images.inspect(ENV.get("DOCKER_HOST", ""), TAG):
        return TAG
    if not images.inspect(ENV.get("DOCKER_HOST", ""), BASE):
        make_base()
    folder = ROOT / "lab/images/postgres"
    text = (folder / "Dockerfile").read_text()
    with tempfile.TemporaryDirectory(prefix="dmtest-") as work:
        context = pathlib.Path(work)
        shutil.copy2(folder / "docker-entrypoint.sh", context)
        shutil.copy2(ROOT / "lab/images/base/lab-install", context)
        # The same contract, another Debian and the version that comes with it.
        text = text.replace("FROM datamancy-lab/base:13", f"FROM {BASE}\nCOPY lab-install /usr/local/sbin/lab-install\nRUN lab-install ca-certificates gosu")
        text = text.replace("postgresql-17", "postgresql-15").replace("/postgresql/17", "/postgresql/15").replace("PG_MAJOR=17", "PG_MAJOR=15")
        (context / "Dockerfile").write_text(text)
        docker("build", "--network", "host", "--label", LABEL, "-t", TAG, context)
    return TAG


if __name__ == "__main__":
    try:
        print(make())
    except CannotDo as error:
        sys.exit(str(error))
