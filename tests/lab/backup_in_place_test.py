#!/usr/bin/env python3
"""Servers that read their data when they start come back in place: a Valkey that writes a log, an OpenLDAP with its configuration."""
import os
import pathlib
import shutil
import sys

from labtest import docker, engine, eventually, run, skip, that
import backup_stack

DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else backup_stack.DATAMANCY).resolve())
if not shutil.which("restic"):
    skip("restic is not installed")
if os.geteuid() != 0:
    skip("needs root, for volumes")
S = backup_stack.Stack(DATAMANCY, rows=1000, services=("cache", "ldap"))


def valkey(*words):
    return docker("exec", "-e", "REDISCLI_AUTH=s3 cret", S.container("cache"), "valkey-cli", "-e", *words)


def people():
    return docker("exec", S.container("ldap"), "sh", "-c", "ldapsearch -x -LLL -H ldapi:/// -D cn=admin,dc=example,dc=org -w adminpw -b dc=example,dc=org dn | grep -c ^dn:")


def test_a_valkey_with_its_log_comes_back():
    S.dm("backup", "run", status=0)
    before = valkey("dbsize")
    valkey("flushall")
    valkey("set", "later", "1")
    that(S.dm("backup", "restore", "cache", "--in-place")[0] == 2 and valkey("dbsize") == "1", "nobody agreed: nothing was touched")
    restored = S.json("backup", "restore", "cache", "--in-place", "--yes", status=0)["restored"]
    that(valkey("dbsize") == before and "equal" in restored[0]["detail"], f"{valkey('dbsize')} of {before} keys: {restored}")
    docker("restart", "-t", "10", S.container("cache"))
    eventually("it answers after a restart", lambda: valkey("ping") == "PONG", 30)
    that(valkey("dbsize") == before, "and still has them: its log begins with them")
    newest = S.json("backup", "list", status=0)["runs"][0]
    S.dm("backup", "restore", "cache", "--in-place", "--yes", "--run", newest["run"], status=0)
    that(valkey("dbsize") == "1" and valkey("get", "later") == "1", "the safety copy had what was there in between")
    that(not docker("ps", "-aq", "--filter", f"label=datamancy.restore={S.name}"), "the throw-away container is gone")


def test_an_openldap_with_its_configuration_comes_back():
    before = people()
    run_now = S.json("backup", "run", status=0)["run"]
    docker("exec", S.container("ldap"), "sh", "-c", "ldapdelete -x -H ldapi:/// -D cn=admin,dc=example,dc=org -w adminpw uid=u1,ou=people,dc=example,dc=org uid=u2,ou=people,dc=example,dc=org")
    that(people() != before, "two are gone")
    restored = S.json("backup", "restore", "ldap", "--in-place", "--yes", "--run", run_now, status=0)["restored"]
    that(people() == before, "it answers as soon as it is said to run again")
    that(len(restored) == 1 and "equal" in restored[0]["detail"], restored)
    that(S.json("backup", "run", status=0)["outcome"] == "verified", "the next run works")


if __name__ == "__main__":
    if not engine.find()[1]:
        skip("no engine answers")
    try:
        S.__enter__()
        run(globals(), needs=("valkey", "openldap"))
    finally:
        S.__exit__()
