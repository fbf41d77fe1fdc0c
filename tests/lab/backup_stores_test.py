#!/usr/bin/env python3
"""Backups of ClickHouse, CouchDB and Qdrant: saved, verified, equal after a drill, restored beside and in place; cut and damaged dumps
are refused, and what goes wrong half-way is loud and leaves nothing that looks whole."""
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys

from labtest import docker, engine, eventually, run, skip, that
import backup_stack

DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else backup_stack.DATAMANCY).resolve())
if not shutil.which("restic"):
    skip("restic is not installed")
if os.geteuid() != 0:
    skip("needs root, to end servers")
S = backup_stack.Stack(DATAMANCY, rows=3000, services=backup_stack.STORES)


def item(manifest, name):
    return next(s for s in manifest["saved"] if f"{s['subject']}/{s['item']}" == name)


def parts(manifest, name):
    return {p["name"]: p["rows"] for p in item(manifest, name)["fingerprint"]["parts"]}


def couch(path, method="GET", body=None):
    """What CouchDB answers, as text."""
    return S.couch(f"fetch('http://127.0.0.1:5984{path}', {{method: '{method}', headers: {{authorization: 'Basic ' + Buffer.from(process.env.COUCHDB_USER + ':' + process.env.COUCHDB_PASSWORD).toString('base64'), "
                   f"'content-type': 'application/json'}}{', body: ' + repr(body) if body else ''}}}).then(a => a.text()).then(t => console.log(t))")


def qdrant(path, method="GET", body="null"):
    return S.vectors(f"import os, urllib.request\nr = urllib.request.Request('http://127.0.0.1:6333{path}', method='{method}', data={body!r}.encode() if {body!r} != 'null' else None, "
                     "headers={'api-key': os.environ['QDRANT__SERVICE__API_KEY']})\nprint(urllib.request.urlopen(r).read().decode())")


def next_run_works():
    made = S.json("backup", "run", status=0)
    that(made["outcome"] == "verified", f"the next run: {made['outcome']}")


def test_a_run_is_verified_and_every_drill_is_equal():
    made = S.json("backup", "run", status=0)
    that({f"{s['subject']}/{s['item']}" for s in made["saved"]} >= {"couch/shop", "couch/odd+(name)", "couch/empty", "couch/_users", "house/shop", "house/empty", "vectors/notes", "vectors/many", "vectors/(aliases)"},
         f"all is saved: {[(s['subject'], s['item']) for s in made['saved']]}")
    that(parts(made, "couch/shop") == {"documents": 3000 + 3, "attachments": 2}, f"both sides of a conflict, no deleted document: {parts(made, 'couch/shop')}")
    that(parts(made, "house/shop") == {"orders": 3050, "latest": 30, "states": 3, "Odd `t": 3, "filed": 2, "sums": 10, "own": 50, "none": 0}, f"what holds rows, once: {parts(made, 'house/shop')}")
    that(parts(made, "vectors/notes") == {"points": 3000} and parts(made, "vectors/guarded") == {"points": 40}, parts(made, "vectors/notes"))
    S.is_proven()


def test_they_come_back_beside():
    S.dm("backup", "restore", "couch", "shop", "--as", "shop2", status=0)
    that('"order 7"' in couch("/shop2/order%207") and '"_conflicts":["2-b"]' in couch("/shop2/torn?conflicts=true"), "CouchDB")
    that(couch("/shop2/_security") == couch("/shop/_security") and "hello" in couch("/shop2/picture/a%20b.txt"), "its rules and attachments")
    that(S.dm("backup", "restore", "couch", "shop", "--as", "shop2")[0] != 0, "what is there is not overwritten")
    couch("/shop2", "DELETE")
    refused = S.dm("backup", "restore", "house", "shop", "--as", "shop2")
    that(refused[0] != 0 and "materialized view" in str(refused), f"a view that would write into the old database is refused: {refused}")
    that(S.house("select count() from system.databases where name = 'shop2'").strip() == "0", "nothing of it is left")
    S.dm("backup", "restore", "vectors", "notes", "--as", "notes2", status=0)
    that('"count": 3000' in qdrant("/collections/notes2/points/count", "POST", '{"exact": true}') and '"city"' in qdrant("/collections/notes2"), "Qdrant, with its payload index")
    qdrant("/collections/notes2", "DELETE")
    S.dm("backup", "restore", "vectors", "guarded", "--as", "guarded2", status=0)
    that('"upsert_max_batchsize": 3' in qdrant("/collections/guarded2") and '"count": 40' in qdrant("/collections/guarded2/points/count", "POST", '{"exact": true}'), "one in strict mode, whose limit ours would break")
    qdrant("/collections/guarded2", "DELETE")


def test_what_is_not_saved_is_said():
    house = S.container("house")
    S.house("create table shop.elsewhere (a UInt8) engine = File('TSV', '/var/lib/clickhouse/elsewhere.tsv')")
    S.house("create function twice as (x) -> x * 2")
    docker("exec", house, "sh", "-c", "mkdir -p /var/lib/clickhouse/access && touch /var/lib/clickhouse/access/a.sql /var/lib/clickhouse/access/b.sql")
    try:
        status, out, _ = S.dm("backup", "run", "house", status=0)
        made = out.split()[0]
        for words in ("the first: elsewhere, File", "1 functions made by SQL", "2 users, roles"):
            that("not covered" in out and words in out, f"the run says '{words}': {out}")
        status, out, _ = S.dm("backup", "coverage")
        that(status == 1 and out.count("NOT COVERED") == 3 and "elsewhere" in out, f"so does coverage: {out}")
        status, out, _ = S.dm("backup", "verify", made)
        that(status == 1 and "elsewhere" in out, f"and verify: {out}")
    finally:
        docker("exec", house, "rm", "-r", "/var/lib/clickhouse/access")
        S.house("drop function twice")
        S.house("drop table shop.elsewhere")
    S.json("backup", "run", status=0)
    that(not any(one["finding"] for one in S.json("backup", "coverage")["not_covered"]), "nothing is said of what is gone")


def test_aliases_come_back_with_a_collection_restored_alone():
    S.dm("backup", "restore", "vectors", "notes", "--in-place", "--yes", status=0)
    that('"alias_name": "current"' in qdrant("/aliases") and '"count": 3000' in qdrant("/collections/current/points/count", "POST", '{"exact": true}'), qdrant("/aliases"))


def test_a_database_comes_back_in_place():
    couch("/shop/order%201", "PUT", '{"note": "conflicting"}')
    couch("/empty/new", "PUT", '{"note": "later"}')
    S.dm("backup", "restore", "couch", "empty", "--in-place", "--yes", status=0)
    that("not_found" in couch("/empty/new"), "as it was")
    S.house("truncate table shop.orders")
    S.dm("backup", "restore", "house", "shop", "--in-place", "--yes", status=0)
    that(S.house("select count() from shop.orders").strip() == "3050", "as it was")
    S.house("optimize table shop.latest final")
    that(S.house("select count() from shop.latest").strip() == "3", "what stood still for the comparison merges again")


def test_merges_go_on_after_a_restore_that_is_not_equal():
    """The server fills a table with one row too many: that is said, and what stood still for the comparison merges again nevertheless."""
    compose = S.project / "compose.yaml"
    text = compose.read_text()
    compose.write_text(text.replace("CLICKHOUSE_USER: shop,", "CLICKHOUSE_USER: shop, DATAMANCY_LAB_SPOIL: latest,"))
    try:
        S.compose("up", "-d", "house")
        S.await_house()
        status, out, err = S.dm("backup", "restore", "house", "shop", "--in-place", "--yes")
        that(status == 1 and "latest: 30 rows then, 31 now" in out + err, f"{status} {out}{err}")
        S.house("optimize table shop.latest final")
        that(S.house("select count() from shop.latest").strip() == "3", "it merges")
    finally:
        compose.write_text(text)
        S.compose("up", "-d", "house")
        S.await_house()
    S.dm("backup", "restore", "house", "shop", "--in-place", "--yes", "--run", S.json("backup", "list")["runs"][-1]["run"], status=0)


def test_what_has_other_replicas_is_not_replaced():
    """Their rows would flow back beside the restored ones."""
    compose = S.project / "compose.yaml"
    text = compose.read_text()
    compose.write_text(text.replace("CLICKHOUSE_USER: shop,", "CLICKHOUSE_USER: shop, DATAMANCY_LAB_REPLICATED: orders,"))
    try:
        S.compose("up", "-d", "house")
        S.await_house()
        status, out, err = S.dm("backup", "restore", "house", "shop", "--in-place", "--yes")
        that(status != 0 and "other replicas" in out + err, f"{status} {out}{err}")
        that(S.house("select count() from shop.orders").strip() == "3050", "nothing was dropped")
    finally:
        compose.write_text(text)
        S.compose("up", "-d", "house")
        S.await_house()


def test_a_changed_value_is_a_difference():
    """The drill looks at the content: one value changed in the stand-in's copy must be seen. Staged on the dumps themselves."""
    S.json("backup", "run", status=0)
    before = S.json("backup", "show")
    S.house("alter table shop.sums update n = n + 1 where d = 1 settings mutations_sync = 2")
    qdrant("/collections/many/points?wait=true", "PUT", '{"points": [{"id": 7, "vector": {"text": [0, 0, 0, 1e-8]}}]}')
    couch("/odd%2B(name)/new", "PUT", '{"a": 1}')
    after = S.json("backup", "run", status=0)
    for name in ("house/shop", "vectors/many", "couch/odd+(name)"):
        that(item(before, name)["fingerprint"] != item(after, name)["fingerprint"], f"{name} has another fingerprint")
    for name in ("house/empty", "vectors/notes", "couch/shop"):
        that(item(before, name)["fingerprint"] == item(after, name)["fingerprint"], f"{name} has the same fingerprint")


def test_cut_and_damaged_dumps_are_refused():
    out = S.work / "files"
    S.dm("backup", "restore", "--all", "--to", str(out), status=0)
    tried = 0
    for path in [p for p in out.rglob("*") if p.suffix in (".couchdb", ".clickhouse", ".qdrant")]:
        whole = path.read_bytes()
        that(subprocess.run([DATAMANCY, "backup", "inspect", str(path)], capture_output=True).returncode == 0, f"{path.name} is whole")
        test = path.with_suffix(".test")
        cuts = {whole.rindex(b"end "), len(whole) - 1, *(random.randrange(1, len(whole)) for _ in range(8))}
        for bad in [whole[:n] for n in cuts] + [whole[:n] + bytes([whole[n] ^ 1 << random.randrange(8)]) + whole[n + 1:] for n in (random.randrange(len(whole)) for _ in range(10))] + [whole + b"\n"]:
            test.write_bytes(bad)
            that(subprocess.run([DATAMANCY, "backup", "inspect", str(test)], capture_output=True).returncode != 0, f"{path.name}, {len(bad)} of {len(whole)} bytes, is refused")
            tried += 1
    that(tried > 100, f"{tried} bad inputs")


def passed_on(container):
    """How many bytes the busiest `cat` in the container has written: None where there is none."""
    found = None
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text() == "cat\n" and container in (process / "cgroup").read_text():
                found = max(found or 0, int((process / "io").read_text().split("wchar: ")[1].split()[0]))
        except (OSError, IndexError):
            pass  # it went meanwhile
    return found


def test_a_server_killed_half_way_is_a_failure():
    S.house("create table shop.big engine = MergeTree order by tuple() as select randomPrintableASCII(2000) as a from numbers(150000)")
    for service, least in (("house", 20_000_000), ("couch", 0), ("vectors", 0)):
        name, pid = docker("inspect", "-f", "{{.Id}} {{.State.Pid}}", S.container(service)).split()
        child = subprocess.Popen(S.command("backup", "run", service, "--json"), cwd=S.project, env=S.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        eventually(f"{service} is asked", lambda: child.poll() is not None or (passed_on(name) or -1) >= least, 60)
        that(child.poll() is None, "the dump is under way")
        os.kill(int(pid), signal.SIGKILL)
        _, err = child.communicate(timeout=240)
        that(child.returncode in (1, 2), f"{service}: status {child.returncode}: {err}")
        shown = S.json("backup", "show")
        that(all(s["snapshot"] == "" for s in shown["saved"] if s["outcome"] != "verified"), "nothing of it is kept")
        S.compose("start", service)
        getattr(S, "await_" + service)()
    S.house("drop table shop.big")
    next_run_works()


def test_an_error_in_the_middle_of_an_answer_is_a_failure():
    """An older ClickHouse puts the text of an error into the answer that it has begun, and ends it properly."""
    compose = S.project / "compose.yaml"
    text = compose.read_text()
    compose.write_text(text.replace("CLICKHOUSE_USER: shop,", 'CLICKHOUSE_USER: shop, DATAMANCY_LAB_BREAK: "50000",'))
    try:
        S.compose("up", "-d", "house")
        S.await_house()
        status, out, _ = S.dm("backup", "run", "house")
        that(status == 1 and "Memory limit" in out, f"status {status}: {out}")
        that(item(S.json("backup", "show"), "house/shop")["snapshot"] == "", "nothing of it is kept")
    finally:
        compose.write_text(text)
        S.compose("up", "-d", "house")
        S.await_house()
    next_run_works()


def test_a_wrong_password_is_said_and_no_right_one_shows():
    compose = S.project / "compose.yaml"
    text = compose.read_text()
    compose.write_text(text.replace("    volumes: [house:", "    labels: {datamancy.backup.user: nobody}\n    volumes: [house:", 1).replace("    <<: *mark\n    image: datamancy-lab/clickhouse", "    image: datamancy-lab/clickhouse"))
    try:
        S.compose("up", "-d", "house")
        S.await_house()
        status, out, err = S.dm("backup", "run", "house")
        that(status != 0 and "Authentication failed" in out + err and "datamancy.backup.user" in out + err, f"status {status}: {out}{err}")
    finally:
        compose.write_text(text)
        S.compose("up", "-d", "house")
        S.await_house()
    passwords = [b"h'o\"use", b"c\"o: u$ch", b"k e'y"]
    leaked = [p for p in S.work.rglob("*") if p.is_file() and "project" not in p.parts and any(word in p.read_bytes() for word in passwords)]
    that(not leaked, f"passwords in {leaked}")
    next_run_works()


if __name__ == "__main__":
    random.seed(1)
    if not engine.find()[1]:
        skip("no engine answers")
    try:
        S.__enter__()
        run(globals(), needs=("couchdb", "clickhouse", "qdrant"))
    finally:
        S.__exit__()
