#!/usr/bin/env python3
"""The reference stack's Caddyfile in a real Caddy with rate limiting: it is valid in both modes, counts logins and not pages, keeps strangers from
what is not for them; and its certificates are issued and renewed by a local ACME server (pebble). Needs no engine. Skips without such a Caddy."""
import http.server
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EDGE = ROOT / "stack" / "caddy"
CACHE = pathlib.Path(os.environ.get("DATAMANCY_LAB", "/var/cache/datamancy-lab")) / "bin"


def program(name):
    here = CACHE / name
    return str(here) if here.exists() else shutil.which(name)


CADDY, PEBBLE, CHALLENGES = program("caddy"), program("pebble"), program("pebble-challtestsrv")
if not CADDY or "rate_limit" not in subprocess.run([CADDY, "list-modules"], capture_output=True, text=True).stdout:
    print("skipped: no Caddy with rate limiting: lab/lab tools caddy")
    sys.exit(77)
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="stack-edge-"))
ENV = {**os.environ, "DOMAIN": "stack.test", "STACK_ADMIN_EMAIL": "admin@stack.test", "ACME_CA": "https://localhost:14000/dir", "HOME": str(SCRATCH),
       "API_LITELLM_ALLOWLIST": "10.0.0.0/8 172.16.0.0/12", "XDG_DATA_HOME": str(SCRATCH / "data"), "XDG_CONFIG_HOME": str(SCRATCH / "config")}
running = []
failures = 0


def free(port_count):
    sockets = [socket.socket() for _ in range(port_count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def that(condition, what):
    global failures
    print(("ok     " if condition else "FAILED ") + what, flush=True)
    failures += not condition


def caddyfile(plain, https, health, extra=""):
    text = (EDGE / "Caddyfile").read_text().replace("/etc/caddy/tls", str(EDGE / "tls")).replace(":2020 {", f":{health} {{")
    return text.replace("\temail {", f"\thttp_port {plain}\n\thttps_port {https}\n\tadmin off\n\tskip_install_trust\n{extra}\temail {{", 1)


def start(*argv, env=ENV):
    log = open(SCRATCH / (pathlib.Path(argv[0]).name + ".log"), "a")
    process = subprocess.Popen(argv, env=env, stdout=log, stderr=log, cwd=SCRATCH)
    running.append(process)
    return process


def stop():
    for process in running:
        process.terminate()
    for process in running:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    running.clear()


def eventually(condition, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.3)
    return None


def serve(answer):
    """Port of a server that says (status, text) by the request's headers."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, text = answer(self.headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def ask(port, host, *more, method="GET", path="/"):
    done = subprocess.run(["curl", "-sk", "-o", str(SCRATCH / "body"), "-w", "%{http_code}", "-X", method, *more, "--resolve", f"{host}:{port}:127.0.0.1", f"https://{host}:{port}{path}"],
                          capture_output=True, text=True)
    return done.stdout


def certificate(port, host):
    """(serial, issuer's words) of what is served, or nothing."""
    shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", host], input="", capture_output=True, text=True).stdout
    read = subprocess.run(["openssl", "x509", "-noout", "-serial", "-issuer"], input=shown, capture_output=True, text=True)
    return read.stdout if read.returncode == 0 else None


try:
    for mode in ("acme", "internal"):
        (SCRATCH / "Caddyfile").write_text(caddyfile(80, 443, 2020))
        done = subprocess.run([CADDY, "validate", "--adapter", "caddyfile", "--config", str(SCRATCH / "Caddyfile")], env={**ENV, "EDGE_TLS": mode}, capture_output=True, text=True)
        that(done.returncode == 0, f"valid with EDGE_TLS={mode}" + ("" if done.returncode == 0 else ": " + done.stderr[-400:]))

    plain, https, health = free(3)
    (SCRATCH / "Caddyfile").write_text(caddyfile(plain, https, health))
    start(CADDY, "run", "--adapter", "caddyfile", "--config", str(SCRATCH / "Caddyfile"), env={**ENV, "EDGE_TLS": "internal"})
    that(eventually(lambda: ask(https, "auth.stack.test") == "502"), "the edge answers 502 for a service that is not there")
    healthy = subprocess.run(["curl", "-s", f"http://127.0.0.1:{health}/healthz"], capture_output=True, text=True).stdout
    that(healthy == "ok", "its health site says ok")
    that([ask(https, "auth.stack.test") for _ in range(15)] == ["502"] * 15, "pages are not counted as logins")
    codes = [ask(https, "auth.stack.test", method="POST", path="/api/firstfactor") for _ in range(11)]
    that(codes == ["502"] * 10 + ["429"], f"the eleventh attempt in a minute gets 429: {codes}")
    that(ask(https, "auth.stack.test") == "502", "the page still loads")
    that(ask(https, "api.litellm.stack.test") == "403", "a stranger does not reach the models' API")
    that(ask(https, "matrix.stack.test", path="/_synapse/admin/v1/users") == "403", "Synapse's administration is not for the outside")
    ask(https, "stack.test", path="/.well-known/matrix/server")
    that(json.loads((SCRATCH / "body").read_text()) == {"m.server": "matrix.stack.test:443"}, "Matrix servers find the homeserver")
    that(ask(https, "lam.stack.test") == "502", "what is behind sign-in asks Authelia first (502: it is no part of this test)")
    stop()

    # A service behind sign-in that has a password of its own: Authelia takes any `Authorization` for a sign-in at itself and refuses one that is not
    # (its page "Proxy Authorization": strategies HeaderAuthorization, then CookieSession). Both are stood in for.
    portal = serve(lambda headers: (401, "") if "Authorization" in headers else (200, "") if "authelia_session=ada" in headers.get("Cookie", "") else (302, ""))
    service = serve(lambda headers: (200, headers.get("Authorization", "none")))
    plain, https, health = free(3)
    text = caddyfile(plain, https, health)
    that(text.count("authelia:9091") >= 2 and "kopia:51515" in text, "the Caddyfile names Authelia and Kopia")
    home = serve(lambda headers: (400 if any(name.lower().startswith("x-forwarded") for name in headers) else 200, ""))
    (SCRATCH / "Caddyfile").write_text(text.replace("authelia:9091", f"127.0.0.1:{portal}").replace("kopia:51515", f"127.0.0.1:{service}").replace("homeassistant:8123", f"127.0.0.1:{home}"))
    start(CADDY, "run", "--adapter", "caddyfile", "--config", str(SCRATCH / "Caddyfile"), env={**ENV, "EDGE_TLS": "internal"})
    eventually(lambda: ask(https, "kopia.stack.test") == "302")
    that(ask(https, "kopia.stack.test") == "302", "who is not signed in is sent away")
    that(ask(https, "kopia.stack.test", "-H", "Authorization: Basic eDp5") == "302", "nor does the service's password alone let anybody in")
    # Home Assistant refuses what says that it was forwarded: signed in or to a webhook, nothing does.
    that(ask(https, "homeassistant.stack.test", "-b", "authelia_session=ada") == "200", "Home Assistant is not told that it is behind an edge")
    code = ask(https, "kopia.stack.test", "-b", "authelia_session=ada", "-H", "Authorization: Basic eDp5")
    that(code == "200" and (SCRATCH / "body").read_text() == "Basic eDp5", f"who is signed in reaches it with its own password, which Authelia is not shown: {code}")
    stop()

    if not PEBBLE or not CHALLENGES:
        print("note: no pebble: certificates were not tried")
    else:
        plain, https, health, acme, manage, dns, control = free(7)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], cwd=SCRATCH, check=True, capture_output=True)
        (SCRATCH / "pebble.json").write_text(json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{acme}", "managementListenAddress": f"127.0.0.1:{manage}", "certificate": "ca.crt", "privateKey": "ca.key",
            "httpPort": plain, "tlsPort": https, "ocspResponderURL": "", "externalAccountBindingRequired": False, "certificateValidityPeriod": 45}}))
        start(CHALLENGES, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", f"127.0.0.1:{dns}", "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{control}")
        start(PEBBLE, "-config", "pebble.json", "-dnsserver", f"127.0.0.1:{dns}", env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"})
        (SCRATCH / "Caddyfile").write_text(caddyfile(plain, https, health, "\trenew_interval 3s\n"))
        start(CADDY, "run", "--adapter", "caddyfile", "--config", str(SCRATCH / "Caddyfile"),
              env={**ENV, "EDGE_TLS": "acme", "ACME_CA": f"https://localhost:{acme}/dir", "SSL_CERT_FILE": str(SCRATCH / "ca.crt")})
        first = eventually(lambda: (c := certificate(https, "auth.stack.test")) and "Pebble" in c and c, 180)
        that(bool(first), f"a certificate for auth.stack.test was issued by the ACME server: {first}")
        second = eventually(lambda: (c := certificate(https, "auth.stack.test")) and "Pebble" in c and c != first and c, 180)
        that(bool(second), f"and renewed before it ended: {second}")
finally:
    stop()
    if failures:
        for log in SCRATCH.glob("*.log"):
            print(f"--- {log.name}\n{log.read_text()[-1500:]}")
    shutil.rmtree(SCRATCH, ignore_errors=True)
print(f"{failures} failed")
sys.exit(1 if failures else 0)
