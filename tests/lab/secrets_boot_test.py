#!/usr/bin/env python3
"""packaging/systemd/datamancy-secrets@.service on a system that really boots: systemd in systemd-nspawn, with a service in the engine's place that notes what it
would find to mount. The key as a file, sealed to the machine, and not there at all. Needs root, debootstrap and systemd-nspawn; no engine."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import labtest
from labtest import ROOT, that
from labkit.common import mirror

BINARY = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else os.path.abspath("build/datamancy")
CACHE = pathlib.Path(os.environ.get("DATAMANCY_LAB", "/var/cache/datamancy-lab"))
VALUE = "Boot-of-systemd-4Plain"
PACKAGES = "systemd,systemd-sysv,libfmt{0},libyaml-0-2,libsqlite3-0,libssl3{1},libargon2-1"
ENGINE = """[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '{ stat -f -c %%T /run; stat -c "%%a %%U %%n" /run/datamancy/club /run/datamancy/club/*; cat /run/datamancy/club/*; true; } > /root/seen 2>&1'
[Install]
WantedBy=multi-user.target
"""
END = """[Unit]
After=docker.service multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c '[ ! -e /etc/datamancy/age-key ] || systemd-creds encrypt --with-key=host --name=datamancy-age-key /etc/datamancy/age-key /etc/datamancy/age-key.cred'
ExecStart=/bin/sh -c 'systemctl show -p Result,ExecMainStatus,ActiveState datamancy-secrets@srv-club.service > /root/state; systemctl is-active docker.service >> /root/state; systemctl poweroff --no-block'
[Install]
WantedBy=multi-user.target
"""
world = tempfile.TemporaryDirectory(prefix="dm-secrets-boot-", dir="/var/tmp")
root = pathlib.Path(world.name) / "root"
UNIT = root / "etc/systemd/system/datamancy-secrets@.service"


def suite():
    return labtest.engine.suite_of_machine()


def system():
    """A Debian of this machine's suite with systemd, made once and kept."""
    kept = CACHE / f"boot-{suite()}.tar"
    if not kept.exists():
        names = PACKAGES.format("9", "") if suite() == "bookworm" else PACKAGES.format("10", "t64")
        done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={names}", suite(), str(root), mirror()], capture_output=True, text=True)
        if done.returncode != 0:
            labtest.skip(f"debootstrap: {done.stdout[-300:]}{done.stderr[-300:]}")
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-C", root, "-cf", kept.with_suffix(".new"), "."], check=True)
        kept.with_suffix(".new").replace(kept)
    else:
        root.mkdir()
        subprocess.run(["tar", "-C", root, "-xf", kept], check=True)


def boot():
    """What the engine's place saw, and the state of the unit."""
    for name in ("seen", "state"):
        (root / "root" / name).unlink(missing_ok=True)
    done = subprocess.run(["systemd-nspawn", "-q", "-D", root, "--boot", "--register=no", "--keep-unit", f"--machine=dmboot{os.getpid()}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
    if not (root / "root/state").exists():
        labtest.skip(f"systemd does not boot in systemd-nspawn here: {done.stdout[-600:]}")
    return (root / "root/seen").read_text(), (root / "root/state").read_text()


def test_the_unit_fills_the_folder_before_the_engine_starts():
    system()
    shutil.copy(BINARY, root / "usr/bin/datamancy")
    shutil.copy(ROOT / "packaging/systemd/datamancy-secrets@.service", UNIT)
    (root / "etc/systemd/system/docker.service").write_text(ENGINE)
    (root / "etc/systemd/system/end.service").write_text(END)
    (root / "srv/club").mkdir(parents=True)
    (root / "etc/datamancy").mkdir()
    (root / "srv/club/compose.yaml").write_text('services: {db: {image: "postgres:17", environment: {POSTGRES_PASSWORD: "${PG_PASSWORD:?}"}}}\n')
    env = {**os.environ, "HOME": world.name}
    subprocess.run([BINARY, "secrets", "init", "--no-git"], cwd=root / "srv/club", env=env, check=True, capture_output=True)
    subprocess.run([BINARY, "secrets", "set", "PG_PASSWORD"], cwd=root / "srv/club", env=env, check=True, capture_output=True, input=VALUE.encode())
    key = root / "etc/datamancy/age-key"
    shutil.copy(pathlib.Path(world.name) / ".config/sops/age/keys.txt", key)
    key.chmod(0o400)
    subprocess.run(["chroot", root, "systemctl", "enable", "docker.service", "end.service", "datamancy-secrets@srv-club.service"], check=True, capture_output=True)
    seen, state = boot()
    that(seen.split("\n")[:3] == ["tmpfs", "700 root /run/datamancy/club", "444 root /run/datamancy/club/db.POSTGRES_PASSWORD"] and VALUE in seen, seen)
    that("Result=success" in state and "ExecMainStatus=0" in state, state)


def test_a_key_sealed_to_the_machine_does_too():
    that((root / "etc/datamancy/age-key.cred").stat().st_size > 0, "systemd-creds sealed the key")
    (root / "etc/datamancy/age-key").unlink()
    UNIT.write_text(UNIT.read_text().replace("LoadCredential=datamancy-age-key:/etc/datamancy/age-key\n", "LoadCredentialEncrypted=datamancy-age-key:/etc/datamancy/age-key.cred\n"))
    seen, state = boot()
    that(VALUE in seen and "Result=success" in state, seen + state)


def test_with_another_key_the_unit_fails_with_11_and_the_engine_starts():
    subprocess.run([BINARY, "secrets", "init", "--no-git"], cwd=world.name, env={**os.environ, "HOME": world.name + "/other"}, check=True, capture_output=True)
    shutil.copy(pathlib.Path(world.name) / "other/.config/sops/age/keys.txt", root / "etc/datamancy/age-key")
    shutil.copy(ROOT / "packaging/systemd/datamancy-secrets@.service", UNIT)
    seen, state = boot()
    that(VALUE not in seen and "ExecMainStatus=11" in state and state.endswith("\nactive\n"), seen + state)


if __name__ == "__main__":
    if os.geteuid() != 0:
        labtest.skip("systemd-nspawn needs root")
    for program in ("systemd-nspawn", "debootstrap"):
        if not shutil.which(program):
            labtest.skip(f"no {program}: apt-get install systemd-container debootstrap")
    labtest.VERSION = labtest.VERSION or "none (not needed)"
    labtest.run(globals())
