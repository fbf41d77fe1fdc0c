#!/usr/bin/env python3
"""MySQL itself, whose program cannot dump its users: databases and accounts are saved, come back equal in a drill, in place and on a new
server, people get in with their passwords, and a dump of accounts that is cut or changed is refused."""
import os
import pathlib
import random
import shutil
import subprocess
import sys

from labtest import Failed, docker, engine, run, skip, that
import backup_stack

DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else backup_stack.DATAMANCY).resolve())
if not shutil.which("restic"):
    skip("restic is not installed")
if os.geteuid() != 0:
    skip("needs root, for volumes")
S = backup_stack.Stack(DATAMANCY, rows=1000, services=("mysql",))


def accounts(manifest):
    return next(s for s in manifest["saved"] if s["item"] == "(users)")


def parts(manifest):
    return {p["name"]: p for p in accounts(manifest)["fingerprint"]["parts"]}


def gets_in(user, password):
    try:
        return S.mysql("select current_user()", user=user, password=password)
    except Failed as error:
        return str(error).splitlines()[-1]


def test_a_run_is_verified_and_every_drill_is_equal():
    made = S.json("backup", "run", status=0)
    that({s["item"] for s in made["saved"] if s["subject"] == "mysql"} == {"second", "shop", "(users)"} and not made["uncovered"], f"all is saved: {made['saved']} {made['uncovered']}")
    that(set(parts(made)) == {"`locked`@`10.%`", "`proxied`@`%`", "`reading`@`%`", "`rep``o rter`@`%`", "`shop`@`%`", "`tries`@`localhost`", "`writing`@`%`"}, f"every account, but root and the server's own: {parts(made)}")
    that(any("that are gone is left out" in note for note in accounts(made)["notes"]), f"a grant that nobody could give again is said: {accounts(made)['notes']}")
    S.is_proven()


def test_a_changed_account_has_another_fingerprint():
    before = S.json("backup", "show")
    S.mysql("grant delete on shop.orders to writing; alter user locked@'10.%' account unlock; alter user shop@'%' identified by 'other'")
    after = S.json("backup", "run", "mysql", status=0)
    changed = {name for name in parts(before) if parts(before)[name] != parts(after)[name]}
    that(changed == {"`writing`@`%`", "`locked`@`10.%`", "`shop`@`%`"}, f"those that were changed, and no other: {changed}")


def test_accounts_come_back_in_place_with_their_passwords():
    whole = S.json("backup", "list")["runs"][-1]["run"]
    S.mysql("drop user 'rep`o rter'@'%'; drop role reading; create user later@'%' identified by 'z'")
    status, out, err = S.dm("backup", "restore", "mysql", "(users)", "--in-place", "--yes", "--run", whole)
    that(status == 0 and "7 accounts, equal" in out, f"{status} {out}{err}")
    that(gets_in("rep`o rter", "ge'heim") == "rep`o rter@%", "with the password of before")
    that(gets_in("shop", "shop") == "shop@%" and "Access denied" in gets_in("shop", "other"), "and not with that of after")
    that(S.mysql("select count(*) from shop.orders", user="rep`o rter", password="ge'heim") == "1003", "its default role is in force")
    that(gets_in("later", "z") == "later@%", "who came later is not thrown out")
    that("DELETE" not in S.mysql("show grants for writing"), "what was granted later is gone")
    S.mysql("drop user later@'%'")


def test_dumps_of_accounts_that_are_cut_or_changed_are_refused():
    out = S.work / "files"
    S.dm("backup", "restore", "mysql", "--to", str(out), status=0)
    whole = next(out.rglob("users.sql")).read_bytes()
    test = S.work / "users.test"
    judge = lambda data: (test.write_bytes(data), subprocess.run([DATAMANCY, "backup", "inspect", str(test)], capture_output=True, text=True))[1]  # noqa: E731
    that(judge(whole).returncode == 0 and "accounts of MySQL" in judge(whole).stdout, judge(whole).stdout)
    ends = [i + 1 for i, byte in enumerate(whole[:-20]) if byte == ord("\n")]
    for cut in [*random.sample(ends, 15), *(random.randrange(1, len(whole) - 20) for _ in range(15))]:
        that(judge(whole[:cut]).returncode != 0, f"{cut} of {len(whole)} bytes")


def test_a_lost_server_comes_back_from_the_repository():
    S.json("backup", "run", status=0)
    S.compose("down", "-v", "-t", "0")
    S.project.rename(S.work / "lost")
    plugins = S.work / "docker/cli-plugins"  # the Compose of the lab as the docker CLI finds it
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(engine.compose())
    try:
        argv = [DATAMANCY, "recover", str(S.repository), "--password-file", str(S.work / "key"), "--key", str(S.age_key), "--into", str(S.project), "--yes"]
        done = subprocess.run(argv, cwd="/", env=S.env({"DOCKER_CONFIG": str(plugins.parent), "COMPOSE_PROFILES": "stores"}), capture_output=True, text=True)
        that(done.returncode == 0, f"{done.returncode} {done.stdout}{done.stderr}")
        that(gets_in("rep`o rter", "ge'heim") == "rep`o rter@%" and S.mysql("select count(*) from shop.orders") == "1003", "data and people are back")
    finally:
        if not S.project.exists():
            (S.work / "lost").rename(S.project)


if __name__ == "__main__":
    random.seed(1)
    if not engine.find()[1]:
        skip("no engine answers")
    try:
        S.__enter__()
        run(globals(), needs=("mysql",))
    finally:
        S.__exit__()
