#!/usr/bin/env python3
"""`up` when the world fails it, on a real engine: full disks, replicas, sealed variables, twenty kills, an engine that goes away.
After each: a true message, a known state, and the next `up` works.

usage: deploy_faults_test.py SOURCE_FOLDER DATAMANCY [TEST...]      exit 77 where there is no engine or no image to build from
What stops an engine or fills its disk does it to one of its own, and needs root for that."""
import json
import os
import subprocess
import sys
import time

import deploy_test
from deploy_test import ENV, OK, SERVER, Project, has, same, service, sh
from own_engine import OwnEngine, SmallDisk


def test_full_disk_under_the_programs_state_is_said_and_nothing_is_half_recorded():
    if os.geteuid() != 0:
        return
    disk, p = SmallDisk("2m"), Project("fullstate", service("a", SERVER, OK))
    own = {"DATAMANCY_STATE": disk.folder}
    try:
        disk.fill()
        done = p.up(env=own)
        assert done.returncode in (1, 2), f"{done.returncode}: {done.stdout}{done.stderr}"
        has(done.stderr, "No space left on device")
        has(done.stderr, disk.folder)
        same(p.ids(), {}, "containers of an up that could not write down what it does")
        disk.empty()
        done = p.up(env=own)
        same(done.returncode, 0, done.stdout + done.stderr)
        # And in the middle: there was room at the begin of the run and none at its end.
        p.write("compose.yaml", open(p.folder + "/compose.yaml").read().replace("retries: 30", "retries: 31"))
        run = subprocess.Popen([deploy_test.BINARY, "up", "--progress", "plain", "--min-free", "1g", "--settle", "3s"], cwd=p.folder, env={**ENV, **own}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while "a: starting" not in (line := run.stderr.readline()) and line:
            pass
        disk.fill()
        out, err = run.communicate(timeout=120)
        assert "No space left on device" in err or "full" in err, f"a run whose record could not be written says so: {run.returncode} {out}{err}"
        same(p.inspect("a")["State"]["Running"], True, "the container runs all the same")
        disk.empty()
        done = p.up(env=own)
        same(done.returncode, 0, done.stdout + done.stderr)
        same(json.loads(p.run("status", "--json", env=own).stdout)["revision_result"], "good", "revision after room was made")
    finally:
        p.gone()
        disk.gone()


def replicas(p, name):
    out = sh("docker", "ps", "-a", "--no-trunc", "-q", "--filter", f"label=com.docker.compose.project={p.name}", "--filter", f"label=com.docker.compose.service={name}").stdout.split()
    return [json.loads(sh("docker", "inspect", i).stdout)[0] for i in sorted(out)]


def number(container):
    return int(container["Config"]["Labels"]["com.docker.compose.container-number"])


def test_three_replicas_all_have_to_be_good_before_dependents_go():
    p = Project("replicas", service("checked", SERVER, OK + "    deploy: {replicas: 3}\n") + service("plain", "exec sleep 3600", "    deploy: {replicas: 3}\n")
                + service("app", SERVER, "    depends_on: {checked: {condition: service_healthy}, plain: {condition: service_started}}\n"))
    try:
        done = p.up()
        same(done.returncode, 0, done.stdout + done.stderr)
        for name in ("checked", "plain"):
            same([c["State"]["Status"] for c in replicas(p, name)], ["running"] * 3, name)
        app = p.inspect("app")["State"]["StartedAt"]
        assert all(c["State"]["StartedAt"] < app for name in ("checked", "plain") for c in replicas(p, name)), "app started before a replica that it needs"
        assert all(any(e["ExitCode"] == 0 and e["Start"] < app for e in c["State"]["Health"]["Log"]) for c in replicas(p, "checked")), "app started before all three were healthy"
        before = [c["Id"] for c in replicas(p, "checked")]
        sh("docker", "stop", "-t", "1", before[1])
        done = p.up()
        same(done.returncode, 0, done.stdout + done.stderr)
        same([c["Id"] for c in replicas(p, "checked")], before, "one stopped replica is started again, none is recreated")
        sh("docker", "rm", "-f", before[0])
        done = p.up()
        same(done.returncode, 0, done.stdout + done.stderr)
        same([c["State"]["Status"] for c in replicas(p, "checked")], ["running"] * 3, "a removed replica is made again")
        same(len(set(before) & {c["Id"] for c in replicas(p, "checked")}), 2, "the other two stay")
        before = {name: [c["Id"] for c in sorted(replicas(p, name), key=number)[:2]] for name in ("checked", "plain")}
        p.write("compose.yaml", open(p.folder + "/compose.yaml").read().replace("replicas: 3", "replicas: 2"))
        has(p.run("plan").stdout, "remove    " + sorted(replicas(p, "checked"), key=number)[-1]["Name"][1:], "0 to recreate")
        done = p.up()
        same(done.returncode, 0, done.stdout + done.stderr)
        same([len(replicas(p, name)) for name in ("checked", "plain")], [2, 2], "replicas after scaling down")
        same({name: [c["Id"] for c in sorted(replicas(p, name), key=number)] for name in before}, before, "the surplus is removed, the others stay")
    finally:
        p.gone()


def test_one_bad_replica_of_three_is_a_failure():
    # The first to take the lock never gets healthy.
    bad = "mkdir /shared/lock 2>/dev/null || touch /tmp/ok; exec sleep 3600"
    p = Project("badreplica", service("three", bad, "    deploy: {replicas: 3}\n    volumes: ['shared:/shared']\n    healthcheck: {test: [CMD, test, -e, /tmp/ok], interval: 1s, timeout: 5s, retries: 4}\n")
                + service("app", SERVER, "    depends_on: {three: {condition: service_healthy}}\n") + "volumes: {shared: {}}\n")
    try:
        done = p.up()
        same(done.returncode, 1, done.stdout + done.stderr)
        has(done.stdout, "three: unhealthy", "not started because of it: app")
        same(p.inspect("app")["State"]["Status"], "created", "app")
    finally:
        p.gone()


def test_sealed_variables_reach_the_containers_and_nothing_else():
    word = "Fjord-Kachel$71"
    p = Project("sealed", service("app", SERVER, OK + "    environment: {DB_PASSWORD: '${DB_PASSWORD}'}\n"))
    own = {"HOME": p.folder, "XDG_CONFIG_HOME": p.folder + "/config"}
    try:
        p.write(".env", f"DB_PASSWORD='{word}'\n")
        made = p.run("secrets", "init", env=own)
        sealed = p.run("secrets", "seal", ".env", env=own)
        assert made.returncode == 0 and sealed.returncode == 0, made.stdout + made.stderr + sealed.stdout + sealed.stderr
        os.unlink(p.folder + "/.env")
        assert word not in "".join(open(os.path.join(p.folder, n), errors="replace").read() for n in os.listdir(p.folder) if os.path.isfile(os.path.join(p.folder, n))), "in the clear"
        done = p.up(env=own)
        same(done.returncode, 0, done.stdout + done.stderr)
        env = p.inspect("app")["Config"]["Env"]
        assert f"DB_PASSWORD={word}" in env, env
        assert word not in done.stdout + done.stderr
        same(subprocess.run(["grep", "-rlF", "Fjord-Kachel", deploy_test.STATE], capture_output=True, text=True).stdout, "", "files of the store with the secret")
        before = p.ids()
        same(p.up(env=own).returncode, 0, "again")
        same(p.ids(), before, "containers: a second up changes nothing")
        # Without the key everything else that is in the way is named all the same.
        p.write("compose.yaml", open(p.folder + "/compose.yaml").read() + "    volumes: ['./nowhere/app.conf:/app.conf:ro']\n")
        blind = p.run("preflight", env={"HOME": p.folder + "/nobody", "XDG_CONFIG_HOME": p.folder + "/nobody"})
        same(blind.returncode, 11, blind.stdout + blind.stderr)
        has(blind.stdout, "stops: project: it does not load with its values", "nowhere/app.conf", "stops: mounts:")
    finally:
        p.gone()


def test_killed_twenty_times_at_random_moments():
    deploy_test.test_kill_9_at_random_moments(int(os.environ.get("DEPLOY_KILLS", "20")))


TWO = service("a", "sleep 6; touch /tmp/ok; exec sleep 3600", OK) + service("b", SERVER, OK + "    depends_on: {a: {condition: service_healthy}}\n")


def engine_of_our_own():
    return OwnEngine(deploy_test.IMAGE, os.environ, ENV)


def up_until_a_runs(p):
    run = p.start()
    while "a" not in p.ids() or p.inspect("a")["State"]["Status"] != "running":
        time.sleep(0.1)
    return run


def works_again(p):
    done = p.up()
    same(done.returncode, 0, done.stdout + done.stderr)
    same(json.loads(p.run("status", "--json").stdout)["revision_result"], "good", "status")


def test_engine_that_restarts_in_the_middle_is_named_and_the_next_up_works():
    if os.geteuid() != 0:
        return
    engine = engine_of_our_own()
    p = Project("engine", TWO)
    try:
        run = up_until_a_runs(p)
        engine.stop()
        time.sleep(1)
        engine.start()
        out, err = run.communicate(timeout=180)
        same(run.returncode, 1, out + err)
        has(out, "a: ended with exit code", engine.host, "was stopped or restarted, and it ended with it", "not started because of it: b")
        works_again(p)
    finally:
        p.gone()
        engine.gone()


def test_engine_that_stops_and_stays_away_is_named_and_ends_the_run():
    if os.geteuid() != 0:
        return
    engine = engine_of_our_own()
    p = Project("away", TWO)
    try:
        run = up_until_a_runs(p)
        engine.stop()
        out, err = run.communicate(timeout=120)
        assert run.returncode in (1, 2), f"{run.returncode}: {out}{err}"
        has(out + err, "engine", engine.disk.folder, "NOT up")
        done = p.up()
        same(done.returncode, 2, "an up without an engine")
        has(done.stderr, engine.disk.folder)
        engine.start()
        works_again(p)
    finally:
        p.gone()
        engine.gone()


def test_full_disk_of_the_engine_is_said_and_the_next_up_works():
    if os.geteuid() != 0:
        return
    engine = engine_of_our_own()
    p = Project("fulldisk", TWO)
    try:
        engine.disk.fill()
        done = p.up()
        same(done.returncode, 2, done.stdout + done.stderr)
        has(done.stderr, "stops: disk: 0 bytes free at " + engine.disk.folder, "nothing was touched")
        done = p.up("--no-preflight")
        assert done.returncode in (1, 2), f"{done.returncode}: {done.stdout}{done.stderr}"
        has((done.stdout + done.stderr).lower(), "no space left on device")
        assert not [c for c in p.ids() if p.inspect(c)["State"]["Running"]], "something runs"
        engine.disk.empty()
        works_again(p)
        # And in the middle: room to create, none to start what comes later.
        sh("docker", "compose", "-p", p.name, "down", "-t", "1")
        run = up_until_a_runs(p)
        engine.disk.fill()
        out, err = run.communicate(timeout=180)
        if run.returncode != 0:
            same(run.returncode, 1, out + err)
            has((out + err).lower(), "no space left on device", "not up")
        engine.disk.empty()
        works_again(p)
    finally:
        p.gone()
        engine.gone()


if __name__ == "__main__":
    sys.exit(deploy_test.main(globals()))
