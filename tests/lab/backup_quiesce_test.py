#!/usr/bin/env python3
"""Containers whose label or product asks for it stand still while their volume is copied, go on afterwards, and also where the program was
killed; tiers."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

from labtest import docker, engine, eventually, run, skip, that
import backup_stack

DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else backup_stack.DATAMANCY).resolve())
if not shutil.which("restic"):
    skip("restic is not installed")
if os.geteuid() != 0:
    skip("needs root, for volumes")
S = backup_stack.Stack(DATAMANCY, rows=10, services=("app", "db"))
APP = f"volume:{S.name}_uploads"


def label(how):
    path = S.project / "compose.yaml"
    text = path.read_text()
    mark = f"labels: {{{backup_stack.KEY}: {backup_stack.VALUE}"
    path.write_text(text.replace("  app:\n    <<: *mark\n", f"  app:\n    {mark}, datamancy.backup.quiesce: {how}}}\n").replace("quiesce: pause}", f"quiesce: {how}}}"))
    S.compose("up", "-d", "app")


def state(path):
    return docker("inspect", "-f", "{{.State." + path + "}}", S.container("app"))


def still(path, value):
    """Starts a run; returns it once the container stands still."""
    child = subprocess.Popen(S.command("backup", "run", "--json"), cwd=S.project, env=S.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    eventually(f"it stands still ({path} {value})", lambda: child.poll() is not None or state(path) == value, 60)
    that(child.poll() is None, "the run is under way")
    return child


def notes(out):
    return [n for s in json.loads(out)["saved"] if s["subject"] == APP for n in s["notes"]]


def test_it_is_paused_while_it_is_copied_and_goes_on():
    label("pause")
    docker("exec", S.container("app"), "sh", "-c", "head -c 600000000 /dev/urandom >/srv/uploads/large")
    child = still("Paused", "true")
    out, err = child.communicate()
    that(child.returncode == 0 and state("Paused") == "false" and any("stood still" in n for n in notes(out)), f"{child.returncode} {notes(out)} {err}")


def test_a_killed_run_leaves_it_still_and_the_next_lets_it_go_on():
    child = still("Paused", "true")
    child.kill()
    child.communicate()
    that(state("Paused") == "true", "nobody let it go on")
    _, out, err = S.dm("backup", "run", "--json", status=0)
    that("1 containers go on" in err and state("Paused") == "false", f"{err}")


def test_an_interrupted_run_lets_it_go_on():
    child = still("Paused", "true")
    child.terminate()
    child.communicate()
    that(child.returncode == 130 and state("Paused") == "false", f"{child.returncode} {state('Paused')}")


def test_it_is_stopped_where_that_is_asked_for():
    label("stop")
    before = state("StartedAt")
    child = still("Running", "false")
    out, err = child.communicate()
    that(child.returncode == 0 and state("Running") == "true" and state("StartedAt") != before, f"{child.returncode} {notes(out)} {err}")


def test_a_product_that_needs_it_stands_still_without_a_label_and_coverage_says_why():
    # What is known of a product goes by its image's name; no MongoDB runs in this one.
    label("stop")
    image = f"mongo:{S.name}"
    docker("tag", "datamancy-lab/base:13", image)
    path = S.project / "compose.yaml"
    text = path.read_text()
    changed = text.replace("datamancy-lab/base:13", image).replace("uploads:/srv/uploads", "uploads:/data/db").replace(", datamancy.backup.quiesce: stop", "")
    try:
        path.write_text(changed)
        S.compose("up", "-d", "app")
        out, err = still("Paused", "true").communicate()
        that(state("Paused") == "false" and any("stood still" in n for n in notes(out)), f"{notes(out)} {err}")
        def why():
            return next(c["quiesce"] for c in S.json("backup", "coverage", status=1)["covered"] if c["subject"] == APP)
        that(len(why()) == 1 and why()[0].startswith("app: pause, as MongoDB needs: "), why())
        # The label has the last word.
        path.write_text(changed.replace(f"labels: {{{backup_stack.KEY}: {backup_stack.VALUE}}}\n    image: {image}", f"labels: {{{backup_stack.KEY}: {backup_stack.VALUE}, datamancy.backup.quiesce: none}}\n    image: {image}"))
        S.compose("up", "-d", "app")
        that(not any("stood still" in n for n in notes(S.dm("backup", "run", "--json", status=0)[1])) and not why(), "by its label it goes on")
    finally:
        path.write_text(text)
        S.compose("up", "-d", "app")
        docker("rmi", image)


def test_files_are_saved_before_the_databases_where_that_is_asked_for_and_a_mistyped_wish_is_said():
    label("stop")
    path = S.project / "compose.yaml"
    subjects = lambda out: [s["subject"] for s in json.loads(out)["saved"]]  # noqa: E731
    order = subjects(S.dm("backup", "run", "--json", status=0)[1])
    that(order.index("db") < order.index(APP), f"databases first: {order}")
    path.write_text(path.read_text().replace("quiesce: stop", "quiesce: files-first"))
    S.compose("up", "-d", "app")
    order = subjects(S.dm("backup", "run", "--json", status=0)[1])
    that(order.index(APP) < order.index("db"), f"files first: {order}")
    path.write_text(path.read_text().replace("quiesce: files-first", "quiesce: puase"))
    S.compose("up", "-d", "app")
    out = S.dm("backup", "run", status=0)[1]
    that("not covered" in out and "'puase', which is none of" in out, out)


def test_tiers_decide_what_is_proven_how_often():
    (S.project / ".datamancy.yml").write_text(f"backup:\n  tiers: {{critical: [db], low: ['{APP}']}}\n")
    tiers = {c["subject"]: c["tier"] for c in S.json("backup", "coverage")["covered"]}
    that((tiers["db"], tiers[APP], tiers["project"]) == ("critical", "low", "standard"), tiers)
    S.dm("backup", "run", status=0)
    drilled = [d["subject"] for d in S.json("drill", "restore", "--tier", "critical", status=0)["drills"]]
    that(drilled == ["db"], drilled)
    that(S.json("drill", "restore", "--random", status=0)["drills"][0]["subject"] != APP, "what little depends on is no random choice")
    # One way to say what is restored: what is left out of the choice must not seem to be proven.
    for words, wanted in ((["--tier", "urgent"], "critical, standard or low"), (["--tier", "critical", "db"], "give one of them"), (["--tier", "critical", "--all"], "give one of them"),
                          (["--all", "db"], "give one of them"), (["--random", "db"], "give one of them"), (["--tier"], "--tier"), ([], "--tier TIER")):
        status, out, err = S.dm("drill", "restore", *words)
        that(status == 64 and wanted in err, f"{words}: {status} {out}{err}")
    that(S.json("drill", "restore", "--random", "--tier", "low", status=0)["drills"][0]["subject"] == APP, "a random one of a tier")
    out = subprocess.run([DATAMANCY, "backup", "schedule", "--json"], cwd=S.project, env=S.env(), capture_output=True, text=True, check=True).stdout
    status, said, err = S.dm("drill", "restore", "--tier", "low", "--run", S.json("backup", "run", "db", status=0)["run"])
    that(status == 2 and "is of the tier low" in err, f"what is not there is no success: {status} {said}{err}")
    jobs = {j["job"]: j["command"] for j in json.loads(out)}
    that("--tier critical" in jobs["drill-critical"] and "--depth everything" in jobs["verify"], jobs)
    (S.project / ".datamancy.yml").write_text("backup:\n  tiers: {urgent: [db]}\n")
    status, _, err = S.dm("backup", "coverage")
    that(status == 2 and "is no tier" in err, f"{status} {err}")
    (S.project / ".datamancy.yml").unlink()


if __name__ == "__main__":
    if not engine.find()[1]:
        skip("no engine answers")
    try:
        S.__enter__()
        run(globals(), needs=("base", "postgres"))
    finally:
        S.__exit__()
