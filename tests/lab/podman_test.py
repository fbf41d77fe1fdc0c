#!/usr/bin/env python3
"""Podman behind its Docker-compatible socket: what `up` promises on Docker holds there too, as far as deploy_test.py's tests named below go, and what
Podman does otherwise is told by its name.

usage: podman_test.py SOURCE_FOLDER DATAMANCY [TEST...]      exit 77 without root, Podman, or an engine that has the lab's images
The tests start a Podman of their own (own_podman.py), in which they themselves ask the healthchecks, as the timers of systemd would."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import deploy_test
import labtest
from deploy_test import ENV, OK, SERVER, Project, has, same, service, sh
from own_podman import OwnPodman

# What deploy_test.py asks of Docker and Podman gives too. Not among them: a healthcheck whose tool is missing, which Podman logs without a word.
ALSO = ("test_starts_in_order_and_does_nothing_the_second_time", "test_failure_names_the_first_cause_and_spares_the_other_branch",
        "test_image_that_is_missing_stops_before_anything_is_touched", "test_port_that_is_taken_names_its_holder_and_the_next_up_works",
        "test_ctrl_c_leaves_a_known_state", "test_two_at_once_the_second_says_who_holds_it_or_waits",
        "test_content_of_a_mounted_file_recreates_its_users_and_rollback_restores_it",
        "test_no_secret_in_the_store_and_rollback_fills_it_in", "test_a_project_that_compose_started_is_taken_over_as_it_is",
        "test_services_that_compose_has_to_start_are_started_by_it", "test_early_readiness_lets_dependents_go_before_the_engine_asks",
        "test_restart_cascade_follows_dependents",
        # The last one: where it takes its names away from an image, Podman removes the image, which the others need.
        "test_atomic_returns_to_the_last_good_revision_also_where_a_tag_moved")
PODMAN = None


def test_healthchecks_that_nobody_asks_are_named_before_and_after():
    if os.path.exists("/run/systemd/system"):
        return
    PODMAN.asked.clear()  # as on a machine without systemd
    p = Project("unasked", service("db", SERVER, OK.replace("retries: 30", "retries: 1").replace("timeout: 60s", "timeout: 1s")) + service("app", SERVER, "    depends_on: {db: {condition: service_healthy}}\n"))
    try:
        done = p.up()
        same(done.returncode, 1, done.stdout + done.stderr)
        has(done.stderr, "hurts: healthchecks: Podman leaves healthchecks to systemd, which does not run here: nobody asks db")
        has(done.stdout, "db: not healthy", "Podman has not asked it once", "not started because of it: app")
        PODMAN.asked.set()
        done = p.up()
        same(done.returncode, 0, done.stdout + done.stderr)
    finally:
        PODMAN.asked.set()
        p.gone()


def test_what_is_in_force_is_seen_and_nothing_is_said_of_what_is_right():
    bounded = "    mem_limit: 64m\n    pids_limit: 50\n    logging: {driver: json-file, options: {max-size: 1m}}\n"
    p = Project("live", service("right", SERVER, OK + bounded) + service("wrong", SERVER, OK + bounded.split("    logging")[0] + "    logging: {driver: json-file}\n"))
    try:
        same(p.up().returncode, 0, "up")
        done = p.run("audit", "--live", "--json")
        found = {(f["rule"], s) for f in json.loads(done.stdout)["findings"] for s in f["services"] or [""] if f["rule"].startswith(("DM10", "DM11"))}
        assert ("DM1005", "wrong") in found, found
        # Not another image, no log without rotation, no obsolete storage driver; DM1015: its image gives root up nowhere.
        same({f for f in found if f[1] != "wrong" and f[0] not in ("DM1015",) and not f[0].startswith("DM11")}, set(), "said of what is right")
        assert ("DM1118", "") not in found and ("DM1118", "right") not in found, found
        items = {i["id"]: i for i in json.loads(p.run("check", "--json").stdout)["items"]}
        same([items[i]["answer"] for i in ("O31", "O36", "O38", "D1")], ["pass", "pass", "fail", "pass"], items)
        same(items["O38"]["details"], ["wrong: json-file without max-size grows for ever"], "O38")
    finally:
        p.gone()


def test_a_database_is_saved_and_comes_back_equal():
    if not shutil.which("restic") or subprocess.run(["docker", "image", "inspect", "datamancy-lab/postgres:17"], capture_output=True).returncode != 0:
        print("     no restic, or no image of PostgreSQL: not tried")
        return
    p = Project("backup", """  db:
    image: datamancy-lab/postgres:17
    labels: {datamancy.test: deploy}
    environment: {POSTGRES_PASSWORD: geheim, POSTGRES_DB: shop}
    volumes: [data:/var/lib/postgresql/data]
    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1], interval: 1s, retries: 60}
volumes: {data: {}}
""")
    repository = tempfile.mkdtemp(prefix="podman-repository-")
    try:
        p.write("key", "a word")
        os.chmod(p.folder + "/key", 0o600)
        p.write(".datamancy.yml", f"backup: {{repositories: {{near: {{url: {repository}/r, password_file: {p.folder}/key}}}}}}\n")
        same(p.up().returncode, 0, "up")
        sh("docker", "exec", p.ids()["db"], "psql", "-U", "postgres", "shop", "-c", "create table orders as select i, md5(i::text) from generate_series(1, 20000) i")
        made = p.run("backup", "run", "--json")
        same(made.returncode, 0, made.stdout + made.stderr)
        same(json.loads(made.stdout)["outcome"], "verified", made.stdout)
        drill = p.run("drill", "restore", "--all", "--json")
        same(drill.returncode, 0, drill.stdout + drill.stderr)
        same(json.loads(drill.stdout)["outcome"], "verified", drill.stdout)
        sh("docker", "exec", p.ids()["db"], "psql", "-U", "postgres", "shop", "-c", "drop table orders")
        back = p.run("backup", "restore", "db", "shop", "--in-place", "--yes")
        same(back.returncode, 0, back.stdout + back.stderr)
        same(sh("docker", "exec", p.ids()["db"], "psql", "-U", "postgres", "-At", "shop", "-c", "select count(*) from orders").stdout, "20000\n", "rows")
    finally:
        p.gone()
        shutil.rmtree(repository, ignore_errors=True)


def main():
    global PODMAN
    if os.geteuid() != 0 or not shutil.which("podman") or not shutil.which("ip"):
        print("no root, no Podman or no iproute2")
        return 77
    wanted = [i for i in ("datamancy-lab/base:13", "datamancy-lab/postgres:17") if labtest.VERSION and subprocess.run(["docker", "image", "inspect", i], capture_output=True).returncode == 0]
    if "datamancy-lab/base:13" not in wanted:
        print("no engine that has the lab's images: lab/lab images base postgres")
        return 77
    with tempfile.NamedTemporaryFile(prefix="podman-images-") as images:
        sh("docker", "save", "-o", images.name, *wanted)
        PODMAN = OwnPodman(os.environ, ENV)
        try:
            sh("docker", "load", "-i", images.name)
            sh("docker", "tag", "datamancy-lab/base:13", deploy_test.IMAGE)
            PODMAN.ask_healthchecks()
            return deploy_test.main({**globals(), **{name: getattr(deploy_test, name) for name in ALSO}})
        finally:
            PODMAN.gone()


if __name__ == "__main__":
    sys.exit(main())
