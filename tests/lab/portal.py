"""A small sign-in portal with the paths of Authelia's API, for a machine that cannot have Authelia itself (POST /api/firstfactor
with 200 and 401 is in its OpenAPI description; the other two were written from what is known of it): scrypt, sessions in a cookie, 401
without a word on what was wrong. portal.py USERS_FILE DOMAIN PORT_ADDRESS"""
import hashlib
import hmac
import http.server
import json
import secrets
import sys

USERS = json.load(open(sys.argv[1]))  # name -> [salt, scrypt hash], both hex
DOMAIN, PORTAL = sys.argv[2], sys.argv[3]
SESSIONS = {}


def right(name, password):
    salt, wanted = USERS.get(name, ["00", "00"])
    got = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1)
    return hmac.compare_digest(got.hex(), wanted)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body=None, **headers):
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if body is not None:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def user(self):
        for part in self.headers.get("Cookie", "").split("; "):
            name, _, value = part.partition("=")
            if name == "authelia_session":
                return SESSIONS.get(value)
        return None

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/api/firstfactor":
            return self.reply(404)
        try:
            asked = json.loads(body)
            name, password = asked["username"], asked["password"]
        except (ValueError, KeyError, TypeError):
            return self.reply(400, {"status": "KO", "message": "Authentication failed. Check your credentials."})
        if not right(name, password):
            return self.reply(401, {"status": "KO", "message": "Authentication failed. Check your credentials."})
        session = secrets.token_urlsafe(24)
        if not name.startswith("forgetful"):  # whose session does not hold: a check has to notice
            SESSIONS[session] = name
        self.reply(200, {"status": "OK"}, Set_Cookie=f"authelia_session={session}; Domain={DOMAIN}; Path=/; HttpOnly; Secure; SameSite=Lax")

    def do_GET(self):
        name = self.user()
        if self.path == "/api/health":
            return self.reply(200, {"status": "OK"})
        if self.path == "/api/user/info":
            known = {"status": "OK", "data": {"display_name": name, "method": "totp", "has_totp": False}}
            return self.reply(200, known) if name else self.reply(403, {"status": "KO"})
        if self.path.startswith("/api/authz/forward-auth"):
            back = f"https://{self.headers.get('X-Forwarded-Host', '')}{self.headers.get('X-Forwarded-Uri', '/')}"
            return self.reply(200, Remote_User=name) if name else self.reply(302, Location=f"{PORTAL}/?rd={back}")
        self.reply(404)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("", 9091), Handler).serve_forever()
