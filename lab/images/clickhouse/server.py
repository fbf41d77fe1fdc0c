#!/usr/bin/env python3
"""ClickHouse's HTTP interface as its documentation describes it, in front of the real engine as a library. One query at a time.
DATAMANCY_LAB_BREAK=N ends every answer after N bytes as older servers do: with the text of an error, and properly.
DATAMANCY_LAB_SPOIL=TABLE puts the first row of this table there twice, whatever fills it.
DATAMANCY_LAB_REPLICATED=TABLE says of this table that it has other replicas: the library has no keeper to have some by."""
import base64
import http.server
import json
import os
import re
import tempfile
import threading
import urllib.parse

from chdb import session

ENGINE = session.Session("/var/lib/clickhouse/engine")
LOCK = threading.Lock()
NO_SETTINGS = {"query", "database", "default_format", "user", "password"}
BREAK = int(os.environ.get("DATAMANCY_LAB_BREAK", "0"))
SPOIL = os.environ.get("DATAMANCY_LAB_SPOIL", "")
REPLICATED = os.environ.get("DATAMANCY_LAB_REPLICATED", "")
OPEN = os.environ.get("CLICKHOUSE_SKIP_USER_SETUP") == "1"
USER = os.environ.get("CLICKHOUSE_USER") or "default"
PASSWORD = os.environ.get("CLICKHOUSE_PASSWORD", "")


def allowed(headers, params):
    user, password = headers.get("X-ClickHouse-User"), headers.get("X-ClickHouse-Key", "")
    if headers.get("Authorization", "").startswith("Basic "):
        user, _, password = base64.b64decode(headers["Authorization"][6:]).decode().partition(":")
    user, password = user or params.get("user", "default"), password or params.get("password", "")
    return (user, password) == (("default", "") if OPEN else (USER, PASSWORD)), user


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def whole(self, status, text):
        data = text.encode(errors="surrogateescape")
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data):
        if data:
            self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/ping":
            return self.whole(200, "Ok.\n")
        params = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        return self.run(params, b"")

    def do_POST(self):
        body = self.body()
        self.run(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True)), body)

    def run(self, params, body):
        ok, user = allowed(self.headers, params)
        if not ok:
            return self.whole(403, f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)\n")
        query, data = (params["query"], body) if "query" in params else (body.decode(), b"")
        if REPLICATED and "FROM system.replicas" in query:
            return self.whole(200, json.dumps([REPLICATED]) + "\n")
        with LOCK:
            begun, changed = False, []
            try:
                ENGINE.query(f"USE `{params.get('database', 'default')}`")
                for name in params.keys() - NO_SETTINGS:
                    ENGINE.query(f"SET {name} = '{params[name]}'")
                    changed.append(name)
                if data:
                    into, form = re.fullmatch(r"(?s)(INSERT INTO .*) FORMAT (\w+)\s*", query).groups()
                    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
                        file.write(data)
                        file.flush()
                        ENGINE.query(f"{into} FROM INFILE '{file.name}' FORMAT {form}")
                        if SPOIL and f"`{SPOIL}`" in into:
                            table = into.split("INTO ", 1)[1].split(" (", 1)[0]
                            ENGINE.query(f"INSERT INTO {table} SELECT * FROM {table} LIMIT 1")
                    return self.whole(200, "")
                if not re.match(r"\s*(SELECT|WITH|SHOW|CHECK)\b", query, re.I):
                    ENGINE.query(query)
                    return self.whole(200, "")
                # Whole, and not as the library's stream, which ends every piece like a result of its own.
                data = ENGINE.query(query, "TabSeparated").bytes()
                self.begin()
                begun = True
                cut = BREAK if BREAK and "formatRow" in query and len(data) > BREAK else len(data)
                for at in range(0, cut, 65536):
                    self.chunk(data[at:min(at + 65536, cut)])
                if cut < len(data):
                    raise RuntimeError("Code: 241. DB::Exception: Memory limit (total) exceeded. (MEMORY_LIMIT_EXCEEDED)")
                self.wfile.write(b"0\r\n\r\n")
            except Exception as error:
                if not begun:
                    return self.whole(404 if "UNKNOWN_" in str(error) else 500, f"{error}\n")
                self.chunk(f"{error}\n".encode())
                self.wfile.write(b"0\r\n\r\n")
            finally:
                for name in changed:
                    ENGINE.query(f"SET {name} = DEFAULT")


http.server.ThreadingHTTPServer(("0.0.0.0", 8123), Handler).serve_forever()
