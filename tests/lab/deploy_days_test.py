#!/usr/bin/env python3
"""What comes after the first `up`, on a real engine: servers that somebody stopped, images that are built anew, networks that are changed, services
that are restarted or gone from the files, options that are wrong.

usage: deploy_days_test.py SOURCE_FOLDER DATAMANCY [TEST...]      exit 77 where there is no engine or no image to build from"""
import json
import os
import subprocess
import sys
import tempfile
import time

import deploy_test
from deploy_test import ENV, IMAGE, OK, OURS, SERVER, Project, has, same, service, sh

POLITE = "touch /tmp/ok; trap 'exit 0' TERM; while true; do sleep 0.1; done"  # ends with 0 when it is stopped, as many servers do


def changed(p, old, new):
    with open(p.folder + "/compose.yaml") as file:
        text = file.read()
    assert old in text, f"{old} is not in\n{text}"
    p.write("compose.yaml", text.replace(old, new))


def up(p, *words):
    done = p.up(*words)
    same(done.returncode, 0, f"up {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done


def test_status_calls_no_stopped_server_done():
    p = Project("status", service("web", POLITE, OK) + service("migrate", "true", "    x-datamancy: {one_shot: true}\n") + service("two", POLITE, "    scale: 2\n"))
    try:
        up(p)
        done = p.run("status")
        same(done.returncode, 0, done.stdout)
        has(done.stdout, "migrate   done", "web       healthy")
        sh("docker", "stop", p.ids()["web"])
        done = p.run("status")
        same(done.returncode, 1, f"a server that was stopped: {done.stdout}")
        has(done.stdout, "web       exited      exit code 0")
        up(p)
        sh("docker", "pause", p.ids()["web"])
        done = p.run("status", "--json")
        same(done.returncode, 1, f"a server that is paused: {done.stdout}")
        up(p)
        same(p.run("status").returncode, 0, "after an up")
        sh("docker", "rm", "-f", f"{p.name}-two-2")
        done = p.run("status", "--json")
        same(done.returncode, 1, f"a replica that is gone: {done.stdout}")
        same(json.loads(done.stdout)["too_few"], [{"service": "two", "have": 1, "wanted": 2}], "too few")
        sh("docker", "compose", "-p", p.name, "-f", p.folder + "/compose.yaml", "run", "-d", "--no-deps", "migrate", "sleep", "30")
        found = json.loads(p.run("status", "--projects", "--json").stdout)["projects"]
        same(next(f for f in found if f["name"] == p.name)["containers"], 3, "containers without what `compose run` made")
    finally:
        p.gone()


def test_no_deps_and_no_recreate_leave_alone_what_is_needed():
    p = Project("nodeps", service("db", SERVER, OK + "    environment: {A: one}\n") + service("web", SERVER, "    environment: {B: one}\n    depends_on: {db: {condition: service_healthy}}\n"))
    try:
        up(p)
        before = p.ids()
        changed(p, "A: one", "A: two")
        changed(p, "B: one", "B: two")
        up(p, "web", "--no-deps")
        after = p.ids()
        assert after["web"] != before["web"], "web was not recreated"
        same(after["db"], before["db"], "db, which was not meant")
        same(p.inspect("db")["State"]["Running"], True, "db runs")
        up(p, "--no-recreate", "--recreate", "web")
        assert p.ids()["web"] != after["web"], "web was not recreated"
        same(p.ids()["db"], before["db"], "db, which --no-recreate keeps")
        same(p.inspect("db")["State"]["Running"], True, "db runs")
        up(p)
        assert p.ids()["db"] != before["db"], "db by an up"
    finally:
        p.gone()


def test_images_are_built_anew_where_that_is_asked_for():
    p = Project("build", service("own", SERVER, "    build: .\n", image=f"{OURS}/own:1") + service("each", SERVER, "    build: .\n    pull_policy: build\n", image=f"{OURS}/each:1"))
    try:
        p.write("Dockerfile", f"FROM {IMAGE}\nCOPY what /what\n")
        p.write("what", "one\n")
        up(p)
        before = p.ids()
        p.write("what", "two\n")
        up(p)
        after = p.ids()
        same(after["own"], before["own"], "own, whose image is here")
        assert after["each"] != before["each"], "pull_policy: build builds on each up"
        up(p, "--build")
        same(sh("docker", "exec", p.ids()["own"], "cat", "/what").stdout, "two\n", "after --build")
        p.write("Dockerfile", f"FROM {IMAGE}\nCOPY nothing /what\n")
        before = p.ids()
        done = p.up("--build")
        same(done.returncode, 2, f"a build that fails: {done.stdout}{done.stderr}")
        has(done.stderr, "no container was touched")
        same(p.ids(), before, "containers")
        done = p.up("--pull", "sometimes")
        same(done.returncode, 64, done.stderr)
    finally:
        p.gone()
        sh("docker", "rmi", f"{OURS}/own:1", f"{OURS}/each:1", check=False)


def test_pull_always_asks_for_images_that_are_here():
    p = Project("pull", service("own", SERVER))
    try:
        up(p)
        before = p.ids()
        done = p.up("--pull", "always")
        same(done.returncode, 2, f"an image that no registry has: {done.stdout}{done.stderr}")
        has(done.stderr, "pulling images; no container was touched")
        same(p.ids(), before, "containers")
    finally:
        p.gone()


def test_images_are_asked_for_again_when_they_are_as_old_as_the_policy_says():
    p = Project("refresh", service("often", SERVER, "    pull_policy: every_1s\n") + service("seldom", SERVER, "    pull_policy: every_52w\n"))
    try:
        time.sleep(1.1)
        done = p.up()
        same(done.returncode, 2, f"it is older than a second, and no registry has it: {done.stdout}{done.stderr}")
        has(done.stderr, "pulling images; no container was touched")
        changed(p, "every_1s", "daily")
        up(p)
    finally:
        p.gone()


def test_what_the_engine_still_made_for_a_killed_run_goes():
    p = Project("late", service("web", "sleep 5; touch /tmp/ok; exec sleep 3600", OK))
    try:
        run = p.start()
        while "web" not in p.ids():
            time.sleep(0.1)
        run.kill()
        run.communicate()
        run = p.start()
        time.sleep(2)  # it has looked, and waits for the healthcheck
        labels = [word for name, value in p.inspect("web")["Config"]["Labels"].items() for word in ("--label", f"{name}={value}")]
        late = sh("docker", "create", *labels, IMAGE, "true").stdout.strip()
        out, err = run.communicate(timeout=120)
        same(run.returncode, 0, out + err)
        has(err, "was cut off before its end")
        there = sh("docker", "ps", "-aq", "--no-trunc", "--filter", f"label=com.docker.compose.project={p.name}").stdout.split()
        assert len(there) == 1 and late not in there, f"{there} {late}\n{out}{err}"
    finally:
        p.gone()


def test_orphans_go_where_nothing_else_is_to_be_done():
    p = Project("orphans", service("web", SERVER) + service("former", SERVER))
    try:
        up(p)
        p.write("compose.yaml", f"name: {p.name}\nservices:\n" + service("web", SERVER))
        done = up(p)
        same(set(p.ids()), {"web", "former"}, "containers without --remove-orphans")
        has(p.run("plan").stdout, "its service is not in the files (--remove-orphans removes it)")
        before = p.ids()["web"]
        has(p.run("plan", "--remove-orphans").stdout, "remove    ")
        up(p, "--remove-orphans")
        same(p.ids(), {"web": before}, "containers")
    finally:
        p.gone()


NETS = "networks:\n  back: {driver_opts: {com.docker.network.driver.mtu: '1400'}}\n  front: {}\n"


def test_a_network_that_was_changed_is_made_anew_with_everything_on_it():
    p = Project("net", service("db", SERVER, OK + "    networks: [back]\n") + service("web", SERVER, "    networks: [back, front]\n    depends_on: {db: {condition: service_healthy}}\n")
                + service("alone", SERVER, "    networks: [front]\n") + NETS)
    try:
        up(p)
        before = p.ids()
        done = up(p)
        same(p.ids(), before, f"nothing changed\n{done.stdout}{done.stderr}")
        changed(p, "back: {driver_opts", "back: {internal: true, driver_opts")
        has(p.run("plan").stdout, "network back is made anew, since it differs from the files (internal)", "2 to recreate")
        items = {i["id"]: i for i in json.loads(p.run("check", "--json").stdout)["items"]}
        same(items["D1"]["answer"], "fail", "check: what runs is what the files say")
        done = p.up("db")
        same(done.returncode, 2, f"a part of what is on it: {done.stdout}{done.stderr}")
        has(done.stderr, "nothing was touched", "web would be cut off")
        same(p.ids(), before, "containers")
        up(p)
        after = p.ids()
        same(sh("docker", "network", "inspect", "-f", "{{.Internal}}", f"{p.name}_back").stdout.strip(), "true", "internal")
        same(after["alone"], before["alone"], "what is not on it")
        same({s: p.inspect(s)["State"]["Running"] for s in after}, {"db": True, "web": True, "alone": True}, "all run")
        up(p)
        same(p.ids(), after, "and that was all")
    finally:
        p.gone()


def test_restart_does_what_was_asked_and_nothing_else():
    hook = "    post_start: [{command: [sh, -c, 'echo hook >> /tmp/hooks']}]\n"
    p = Project("restart", service("db", SERVER, OK) + service("follower", SERVER, "    depends_on: {db: {condition: service_healthy, restart: true}}\n")
                + service("stays", SERVER, "    depends_on: [db]\n") + service("many", SERVER, "    scale: 2\n") + service("tool", SERVER, "    profiles: [tools]\n") + service("hooked", SERVER, hook))
    try:
        up(p)
        up(p, "tool")

        def since(*words):
            before = {s: p.inspect(s)["State"]["StartedAt"] for s in p.ids()}
            done = p.run("restart", "--progress", "plain", "--settle", "1s", *words)
            same(done.returncode, 0, f"restart {words}: {done.stdout}{done.stderr}")
            return {s for s in before if p.inspect(s)["State"]["StartedAt"] != before[s]}
        same(since("db"), {"db", "follower"}, "restarted, with what says restart: true")
        same(since("tool"), {"tool"}, "restarted, of a profile that is off")
        same(since("hooked"), {"hooked"}, "restarted")
        same(sh("docker", "exec", p.ids()["hooked"], "cat", "/tmp/hooks").stdout, "hook\nhook\n", "its hook ran again")
        changed(p, "scale: 2", "scale: 1")
        same(since("stays"), {"stays"}, "restarted")
        count = len(sh("docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={p.name}", "--filter", "label=com.docker.compose.service=many").stdout.split())
        same(count, 2, "replicas of another service, which a restart does not remove")
        sh("docker", "rm", "-f", p.ids()["stays"])
        done = p.run("restart", "stays")
        same(done.returncode, 2, done.stdout)
        has(done.stderr, "stays has no container; 'datamancy up stays' makes one")
        same(p.run("restart", "stay").returncode, 2, "an unknown one")
        same(p.run("restart", "db", "--atomic").returncode, 64, "an option of up")
    finally:
        p.gone()


def test_what_lives_in_the_network_of_a_service_is_started_anew_with_it():
    p = Project("share", service("vpn", SERVER) + service("guest", SERVER, "    network_mode: 'service:vpn'\n    depends_on: [vpn]\n") + service("borrows", SERVER, "    volumes_from: ['vpn:ro']\n"))
    reaches = lambda: "eth0" in sh("docker", "exec", p.ids()["guest"], "cat", "/proc/net/dev").stdout
    try:
        up(p)
        before = p.ids()
        has(p.run("plan").stdout, "3 as wanted")
        up(p)
        same(p.ids(), before, "a second up")
        same(p.run("restart", "vpn", "--progress", "plain", "--settle", "1s").returncode, 0, "restart")
        assert reaches(), "after a restart of vpn its guest has no network"
        sh("docker", "stop", p.ids()["vpn"])
        up(p)
        assert reaches(), "after a start of vpn its guest has no network"
        sh("docker", "restart", p.ids()["vpn"])
        assert not reaches(), "the engine cuts a guest off"
        same(p.run("plan", "--json").stdout.count("was started after it"), 1, "plan")
        up(p)
        assert reaches(), "after an up"
    finally:
        p.gone()


def test_what_lies_in_no_file_is_noticed_and_its_users_follow():
    p = Project("inline", service("web", SERVER, "    configs: [page]\n") + service("api", SERVER, "    secrets: [token]\n") + service("after", SERVER, "    configs: [page]\n    depends_on: {api: {condition: service_started, restart: true}}\n")
                + "configs: {page: {content: 'hello ${WORD:-you}'}}\nsecrets: {token: {environment: TOKEN}}\n")
    try:
        env = {"TOKEN": "hush-one"}
        same(p.up(env=env).returncode, 0, "up")
        before = p.ids()
        same(p.up(env=env).returncode, 0, "up")
        same(p.ids(), before, "nothing changed")
        env["TOKEN"] = "hush-two"
        plan = p.run("plan", env=env).stdout
        has(plan, "api       recreate  content of secret token changed", "after     restart   follows api, which is recreated")
        done = p.up("--timeout", "60s", env=env)
        same(done.returncode, 0, f"a follower that Compose has to start: {done.stdout}{done.stderr}")
        same(sh("docker", "exec", p.ids()["api"], "cat", "/run/secrets/token").stdout, "hush-two", "the secret")
        env["WORD"] = "all"
        same(p.up(env=env).returncode, 0, "up")
        same([sh("docker", "exec", p.ids()[s], "cat", "/page").stdout for s in ("web", "after")], ["hello all"] * 2, "the configuration")
        with open(os.path.join(deploy_test.STATE, next(f for f in os.listdir(deploy_test.STATE)), p.name, "state.db"), "rb") as store:
            text = store.read()
        assert b"hush-" not in text, "a secret is in the store"
    finally:
        p.gone()


def test_down_takes_what_a_cut_off_up_left_and_says_what_it_leaves():
    p = Project("down", service("web", SERVER) + service("former", SERVER))
    networks = lambda: sh("docker", "network", "ls", "-q", "--filter", f"label=com.docker.compose.project={p.name}").stdout.split()
    try:
        up(p)
        sh("docker", "rm", "-f", *p.ids().values())
        same(len(networks()), 1, "networks")
        same(p.run("down").returncode, 0, "down")
        same(networks(), [], "networks without containers")
        same(json.loads(p.run("down", "--json").stdout), {"version": 1, "project": p.name, "result": "nothing runs", "still_there": []}, "down --json")
        up(p)
        p.write("compose.yaml", f"name: {p.name}\nservices:\n" + service("web", SERVER))
        done = p.run("down", "--timeout", "1s")
        same(done.returncode, 0, done.stderr)
        has(done.stderr, f"note: {p.name}-former-1 is still there: its service is not in the files (--remove-orphans removes it)")
        same(p.run("down", "--remove-orphans").returncode, 0, "down --remove-orphans")
        same((p.ids(), networks()), ({}, []), "left")
        for words in (["down", "--timeout", "soon"], ["down", "--keep", "--volumes"], ["down", "web"]):
            same(p.run(*words).returncode, 64, words)
    finally:
        p.gone()


def test_logs_come_through_a_pipe_while_they_are_written():
    p = Project("logs", service("web", "i=0; while true; do i=$$((i+1)); echo line $$i; sleep 0.2; done"))
    try:
        up(p)
        run = subprocess.Popen([deploy_test.BINARY, "logs", "web", "--follow", "--tail", "1"], cwd=p.folder, env=ENV, text=True, stdout=subprocess.PIPE)
        begin = time.monotonic()
        lines = [run.stdout.readline() for _ in range(5)]
        assert time.monotonic() - begin < 20, "five lines came only in a block"
        run.terminate()
        same(run.wait(timeout=30), 130, "interrupted")
        has(lines[0], "web | line ")
        changed(p, "echo line $$i; sleep 0.2; done", "echo line $$i; sleep 0.2; [ $$i -lt 4 ] || exit 1; done")
        changed(p, "    init: true", "    restart: always\n    init: true")
        p.up("--timeout", "20s")
        run = subprocess.Popen([deploy_test.BINARY, "logs", "-f", "web"], cwd=p.folder, env=ENV, text=True, stdout=subprocess.PIPE)
        lines = [run.stdout.readline() for _ in range(20)]
        assert all("web | line " in line for line in lines), f"it ended with the container's first run: {lines}"
        run.terminate()
        same(run.wait(timeout=30), 130, "interrupted")
        same(len(p.run("logs", "--tail", "2").stdout.splitlines()), 2, "--tail 2")
        same([sorted(json.loads(line)) for line in p.run("--tail", "2", "logs", "--json").stdout.splitlines()], [["container", "service", "stream", "text"]] * 2, "logs --json, options before the verb")
        assert len(p.run("logs", "--tail", "all").stdout.splitlines()) > 5, "--tail all"
        for words in (["logs", "--tail", "few"], ["logs", "--tail", "-3"], ["history", "one"], ["history", "1", "2"], ["rollback", "x"], ["up", "--fan-out", "many"], ["up", "--timeout"]):
            same(p.run(*words).returncode, 64, words)
    finally:
        p.gone()


def test_a_folder_with_commas_is_found_by_name():
    p = Project("comma", service("web", SERVER))
    odd = tempfile.mkdtemp(prefix="red, green,blue ")
    try:
        os.rename(p.folder + "/compose.yaml", odd + "/compose.yaml")
        p.folder, empty = odd, p.folder
        up(p)
        done = subprocess.run([deploy_test.BINARY, "-p", p.name, "plan"], cwd=empty, env=ENV, text=True, capture_output=True)
        same(done.returncode, 0, done.stderr)
        has(done.stdout, "1 as wanted")
        os.rmdir(empty)
    finally:
        p.gone()


def test_preflight_names_taken_names_and_volumes_that_differ():
    p = Project("taken", service("web", SERVER, f"    container_name: {OURS}-taken\n    volumes: ['data:/d']\n") + "volumes: {data: {driver_opts: {type: none, o: bind, device: /tmp}}}\n")
    other = f"{OURS}-taken"
    try:
        sh("docker", "create", "--name", other, "--label", "datamancy.test=deploy", IMAGE)
        done = p.up()
        same(done.returncode, 2, done.stdout + done.stderr)
        has(done.stderr, f"web needs the container name {other}, which a container of no project has", "nothing was touched")
        same(p.ids(), {}, "containers")
        sh("docker", "rm", other)
        up(p)
        changed(p, "device: /tmp", "device: /var/tmp")
        done = p.run("preflight", "--min-free", "1g")
        same(done.returncode, 1, done.stdout)
        has(done.stdout, f"volume {p.name}_data is there, and is not what the files say: driver_opts.device; it is used as it is")
    finally:
        sh("docker", "rm", "-f", other, check=False)
        p.gone()


if __name__ == "__main__":
    sys.exit(deploy_test.main(globals()))
