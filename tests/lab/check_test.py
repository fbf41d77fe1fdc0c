#!/usr/bin/env python3
"""`check` on real services: a login through a real Caddy with a certificate of a local authority, against a portal of ours with Authelia's
published API (Authelia itself cannot be had here); a GPU that is not there; the probe orchestrator; and `check --run`, which makes the proofs."""
import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading

from labtest import ENV, LABEL, ROOT, docker, engine, eventually, run, that
import backup_stack

DATAMANCY = str(pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build" / "datamancy").resolve())
KEY, VALUE = LABEL.split("=")
NAME = f"dmtest-check-{os.getpid()}"
PORT = 21000 + os.getpid() % 10000
PASSWORD = 'Zwölf "Möwen" \\ $HOME'
COMPOSE = f"""
name: {NAME}
x-mark: &mark {{labels: {{{KEY}: {VALUE}}}, init: true, stop_grace_period: 1s}}
services:
  caddy:
    <<: *mark
    image: datamancy-lab/caddy:2
    ports: ["127.0.0.1:{PORT}:{PORT}"]
    volumes: ["./Caddyfile:/etc/caddy/Caddyfile:ro"]
    depends_on: {{portal: {{condition: service_healthy}}}}
  portal:
    <<: *mark
    image: datamancy-lab/borgmatic:1.9
    entrypoint: [python3, /portal.py, /users.json, test.localhost, "https://auth.test.localhost:{PORT}"]
    volumes: ["./portal.py:/portal.py:ro", "./users.json:/users.json:ro"]
    healthcheck: {{test: [CMD, python3, -c, "import urllib.request as u; u.urlopen('http://127.0.0.1:9091/api/health')"], interval: 1s, retries: 30}}
  app:
    <<: *mark
    image: datamancy-lab/misbehave:1
"""
CADDYFILE = """{
	local_certs
	auto_https disable_redirects
}
auth.test.localhost:PORT {
	reverse_proxy portal:9091
}
app.test.localhost:PORT {
	forward_auth portal:9091 {
		uri /api/authz/forward-auth
		copy_headers Remote-User
	}
	reverse_proxy app:8080
}
"""


def hashed(password):
    salt = secrets.token_bytes(16)
    return [salt.hex(), hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()]


def items(folder, *words, env=None):
    env = {**ENV, "DATAMANCY_STATE": str(folder / "state"), **(env or {})}
    done = subprocess.run([DATAMANCY, "check", "--json", "--min-free", "1m", *map(str, words)], cwd=folder, env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    that(done.returncode in (0, 1), f"check: status {done.returncode}\n{done.stdout}{done.stderr}")
    return {i["id"]: i for i in json.loads(done.stdout)["items"]}, done


@contextlib.contextmanager
def project(text, **more):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dmtest-check-"))
    folder.chmod(0o755)
    (folder / "compose.yaml").write_text(text)
    for name, content in more.items():
        (folder / name.replace("__", ".")).write_text(content)
    try:
        yield folder
    finally:
        subprocess.run([str(engine.compose()), "down", "-v", "-t", "1"], cwd=folder, env=ENV, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_login_through_the_edge_is_proven_and_every_way_to_be_wrong_is_a_failure():
    users = {name: hashed(PASSWORD) for name in ("ada", "forgetful")}
    portal = (ROOT / "tests/lab/portal.py").read_text()
    with project(COMPOSE, Caddyfile=CADDYFILE.replace("PORT", str(PORT)), portal__py=portal, users__json=json.dumps(users)) as folder:
        subprocess.run([str(engine.compose()), "up", "-d", "--wait"], cwd=folder, env=ENV, check=True, capture_output=True)
        root = "/data/caddy/pki/authorities/local/root.crt"
        caddy = f"{NAME}-caddy-1"

        def authority():
            docker("cp", f"{caddy}:{root}", folder / "root.crt", check=False)
            return (folder / "root.crt").exists()

        eventually("Caddy has made its authority", authority)
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "wrong").write_text("not it\n")
        url, resolve = f"https://auth.test.localhost:{PORT}", f"auth.test.localhost:{PORT}:127.0.0.1"

        def login(user="ada", password="password", where=url, ca=True):
            words = ["--login-url", where, "--login-user", user, "--login-password-file", folder / password, "--login-resolve", resolve]
            found, done = items(folder, *words, *(["--login-ca", folder / "root.crt"] if ca else []))
            that("Möwen" not in done.stdout + done.stderr, "the password is shown")
            return found["O39"]["answer"], found["O39"]["evidence"]

        trusted = ["curl", "-s", "--cacert", folder / "root.crt", "--resolve", resolve]
        eventually("the edge answers", lambda: subprocess.run([*trusted, url + "/api/health"], capture_output=True).returncode == 0)
        answer = login()
        that(answer[0] == "pass" and "verified certificate" in answer[1], f"a right login: {answer}")
        # What is proven is what a user has: the session opens an application behind forward_auth, and without one it does not.
        jar, app = folder / "jar", f"https://app.test.localhost:{PORT}/"
        curl = [*trusted, "--resolve", resolve.replace("auth.", "app."), "-o", "/dev/null", "-w", "%{http_code}"]
        that(subprocess.run([*curl, app], capture_output=True, text=True).stdout == "302", "without a session the application is not reached")
        body = json.dumps({"username": "ada", "password": PASSWORD})
        subprocess.run([*curl, "-c", jar, "--data-binary", "@-", url + "/api/firstfactor"], input=body, text=True, capture_output=True, check=True)
        that(subprocess.run([*curl, "-b", jar, app], capture_output=True, text=True).stdout == "200", "with the session it is")

        for what, got, wanted in (("a wrong password", login(password="wrong"), "refused the login"), ("an unknown user", login("eve"), "refused the login"),
                                  ("a certificate of an authority that is not trusted", login(ca=False), "certificate"),
                                  ("a session that does not hold", login("forgetful"), "session does not hold"),
                                  ("plain http", login(where=f"http://auth.test.localhost:{PORT}"), "not https")):
            that(got[0] == "fail" and wanted in got[1], f"{what}: {got}")
        answer = login(password="missing")
        that(answer[0] == "unknown", f"a password file that is not there: {answer}")
        that(not [f for f in (folder / "state").rglob("*") if f.is_file() and "Möwen".encode() in f.read_bytes()], "the password is in the store")


class Answers(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_what_cannot_be_judged_here_is_unknown():
    text = f"name: {NAME}\nservices:\n  model:\n    image: datamancy-lab/base:13\n    command: [sleep, infinity]\n    init: true\n" \
           f"    labels: {{{KEY}: {VALUE}}}\n"
    with project(text) as folder:
        subprocess.run([str(engine.compose()), "up", "-d"], cwd=folder, env=ENV, check=True, capture_output=True)
        (folder / "compose.yaml").write_text(text + "    deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 1, capabilities: [gpu]}]}}}\n")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        health = f"http://127.0.0.1:{server.server_address[1]}/healthz"
        found, _ = items(folder, "--healthz", health)
        that(found["O32"]["answer"] == "unknown" and "nvidia-smi" in found["O32"]["evidence"], f"a GPU on a machine without: {found['O32']}")
        that(found["O40"]["answer"] == "unknown" and "is not proven" in found["O40"]["evidence"], f"an orchestrator that answers: {found['O40']}")
        Answers.status = 500
        found, _ = items(folder, "--healthz", health)
        that(found["O40"]["answer"] == "fail", f"an orchestrator that fails: {found['O40']}")
        server.shutdown()
        server.server_close()
        found, _ = items(folder, "--healthz", health)
        that(found["O40"]["answer"] == "unknown", f"none: {found['O40']}")
        that(found["O39"]["answer"] == "unknown" and found["O34"]["answer"] == "not applicable", f"{found['O39']}, {found['O34']}")


def test_check_run_makes_the_proofs_that_are_missing():
    if not shutil.which("restic") or os.geteuid() != 0:
        print("     (needs restic and root)")
        return
    with backup_stack.Stack(DATAMANCY, rows=500) as stack:
        repository = f"{{url: '{stack.repository}', kind: restic, password_file: {stack.work}/key}}"
        (stack.project / ".datamancy.yml").write_text(f"backup:\n  repositories:\n    main: {repository}\n")
        folder, env = stack.project, stack.env()
        before, _ = items(folder, env=env)
        that(before["O34"]["answer"] == "unknown", f"before: {before['O34']}")
        after, done = items(folder, "--run", env=env)
        that(after["O34"]["answer"] == "pass", f"after --run: {after['O34']}\n{done.stderr[-3000:]}")
        later, _ = items(folder, env=env)
        that(later["O34"]["answer"] == "pass", "the proofs are kept")


if __name__ == "__main__":
    run(globals(), needs=("caddy", "borgmatic", "misbehave", "base"))
