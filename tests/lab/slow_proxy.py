#!/usr/bin/env python3
"""slow_proxy.py OPTIONS: stands in for JupyterHub's proxy, by the part of its REST API that a hub without users asks for. It listens only after twelve seconds,
which are two more than the hub gives it."""
import http.server
import sys
import threading
import time

time.sleep(12)
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))


class Answers(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b""):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, b"{}")

    def do_POST(self):
        self.answer(201)

    def do_DELETE(self):
        self.answer(204)

    def log_message(self, *_):
        pass


def listen(ip, port):
    http.server.ThreadingHTTPServer((options[ip], int(options[port])), Answers).serve_forever()


threading.Thread(target=listen, args=("--ip", "--port"), daemon=True).start()
listen("--api-ip", "--api-port")
