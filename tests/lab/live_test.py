#!/usr/bin/env python3
"""`audit --live` on a real engine: a project that is right is found right, and each thing done to it behind the files' back is found:
live_test.py ROOT BINARY"""
import json, os, pathlib, subprocess, sys, tempfile, time

BINARY = sys.argv[2]
PROJECT = f"engine-live-{os.getpid()}"
IMAGES = ("datamancy-lab/base:13", "datamancy-lab/debian:trixie", "lab/debian:trixie")
faults = []

COMPOSE = """name: {project}
x-common: &common
  image: {image}
  command: sleep 100000
  labels: {{datamancy.test: engine}}
  stop_grace_period: 1s
  mem_limit: 64m
  pids_limit: 50
  logging: {{driver: json-file, options: {{max-size: 1m, max-file: "2"}}}}
services:
  good:
    <<: *common
    healthcheck: {{test: [CMD, test, -e, /etc/passwd], interval: 1s, start_period: 1s}}
  checked:
    <<: *common
    healthcheck: {{test: [CMD, no-such-tool], interval: 1s, retries: 1}}
  loop:
    <<: *common
    command: "false"
    restart: always
  eater:
    <<: *common
    command: sh -c "(tail /dev/zero || true); sleep 100000"
  port:
    <<: *common
    ports: ["127.0.0.1::80"]
  job:
    <<: *common
    command: "true"
    restart: "no"
  unlogged:
    <<: *common
    logging: {{driver: json-file}}
"""


def expect(what, truth, detail=""):
    print(("ok   " if truth else "FAIL ") + what + ("" if truth else f": {detail}"), flush=True)
    if not truth:
        faults.append(what)


def docker(*words, check=True):
    return subprocess.run(["docker", *words], check=check, capture_output=True, text=True)


def audit(folder, *more):
    done = subprocess.run([BINARY, "audit", str(folder), "--json", *more], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        return set(), done.stderr
    findings = json.loads(done.stdout)["findings"]
    return {(f["rule"], s) for f in findings for s in (f["services"] or [""]) if f["rule"].startswith(("DM10", "DM11"))}, done.stderr


def main():
    image = next((i for i in IMAGES if docker("image", "inspect", i, check=False).returncode == 0), None)
    if image is None or docker("compose", "version", check=False).returncode != 0:
        print("no engine, no image, or no compose")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        file = folder / "compose.yaml"
        file.write_text(COMPOSE.format(project=PROJECT, image=image))
        try:
            found, err = audit(folder, "--live")
            expect("before the start everything is missing", ("DM1001", "good") in found, (found, err))
            docker("compose", "--project-directory", name, "up", "-d")
            until = time.time() + 90
            wanted = {("DM1006", "checked"), ("DM1007", "loop"), ("DM1008", "eater"), ("DM1005", "unlogged")}
            while time.time() < until:
                found, err = audit(folder, "--live")
                if wanted <= found:
                    break
                time.sleep(2)
            expect("a check that cannot run, a restart loop, a kill for memory, a log without rotation", wanted <= found, (wanted - found, err))
            # Their image gives root up nowhere: that is true of them, seen in their processes, and the job has ended.
            expect("what runs as root only is said of what runs", {("DM1015", "good"), ("DM1015", "port")} <= found and ("DM1015", "job") not in found, found)
            right = {entry for entry in found if entry[1] in ("good", "job", "port") and entry[0] != "DM1015"}
            expect("nothing is said of what is right", not right, right)
            saved = folder / "facts.json"
            found, err = audit(folder, "--live", "--save-facts", str(saved))
            again, _ = audit(folder, "--facts", str(saved))
            expect("the same judgement from the file", found == again and found, (found ^ again))
            expect("facts hold no command line", "100000" not in saved.read_text())

            # Behind the files' back.
            docker("update", "--memory", "128m", "--memory-swap", "256m", f"{PROJECT}-good-1")
            docker("stop", "-t", "1", f"{PROJECT}-port-1")
            docker("rm", "-f", f"{PROJECT}-eater-1")
            text = file.read_text()
            file.write_text(text.replace("pids_limit: 50", "pids_limit: 60"))
            found, err = audit(folder, "--live")
            for rule, service in (("DM1004", "good"), ("DM1010", "port"), ("DM1001", "eater"), ("DM1002", "good")):
                expect(f"{rule} on {service}", (rule, service) in found, (found, err))
            report = subprocess.run([BINARY, "report", name, "--live", "--json"], capture_output=True, text=True)
            states = {c["id"]: c["state"] for c in json.loads(report.stdout)["controls"]}
            expect("the report takes it: R47 fails", states.get("R47") == "failing" and states.get("R42") == "failing", (states, report.stderr[-300:]))

            docker("compose", "--project-directory", name, "down", "-t", "1", check=False)  # a container that keeps restarting may escape once
            docker("compose", "--project-directory", name, "down", "-t", "1")
            file.write_text("\n".join(COMPOSE.format(project=PROJECT, image=image).split("  checked:")[0].splitlines()) + "\n")
            docker("compose", "--project-directory", name, "up", "-d", "--wait")
            report = subprocess.run([BINARY, "report", name, "--live", "--json"], capture_output=True, text=True)
            states = {c["id"]: c["state"] for c in json.loads(report.stdout)["controls"]}
            expect("what was observed and is right is proven", [states.get(c) for c in ("R42", "R47", "R50")] == ["proven"] * 3, states)
        finally:
            docker("compose", "-p", PROJECT, "down", "-t", "1", "-v", check=False)
    return 1 if faults else 0


sys.exit(main())
