"""Sign-in by OpenID Connect without a browser: the stack's registrations at a provider that stands in for Authelia (provider.mjs), and a person who follows
redirects, fills in its two forms and comes back. Public names lead to local addresses; cookies are kept for each name."""
import base64
import hashlib
import html
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import urllib.parse

import yaml


def node_modules(cache, folder):
    """Unpacks the provider (lab/lab tools oidc-provider); None where it or Node is missing."""
    packed = pathlib.Path(cache) / "packages" / "oidc-provider"
    if not packed.exists() or not shutil.which("node"):
        return None
    subprocess.run(["tar", "-C", folder, "-xf", packed], check=True)
    return pathlib.Path(folder)


def registrations(configuration, secrets, domain):
    """Clients of Authelia's configuration as oidc-provider wants them, and who must use PKCE. Each hash in it must be one of the client's own secret."""
    def filled(match):
        kind, name = match.groups()
        return domain if kind == "env" and name == "DOMAIN" else "x" if kind == "env" else (secrets / pathlib.Path(name).name).read_text()

    text = re.sub(r'\{\{ secret "[^"]+" \| mindent .*?\}\}', "none", configuration)
    oidc = yaml.safe_load(re.sub(r'\{\{ (env|secret) "([^"]+)" \}\}', filled, text))["identity_providers"]["oidc"]
    clients, pkce = [], []
    for one in oidc["clients"]:
        secret = (secrets / f"{one['client_id'].replace('-', '')}_oidc_secret").read_text()
        _, kind, rounds, salt, digest = one["client_secret"].split("$")
        salt, digest = (base64.b64decode(part.replace(".", "+") + "=" * (-len(part) % 4)) for part in (salt, digest))
        assert kind == "pbkdf2-sha512" and hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, int(rounds), len(digest)) == digest, f"{one['client_id']}: the hash is not of its secret"
        clients.append({"client_id": one["client_id"], "client_secret": secret, "redirect_uris": one["redirect_uris"], "scope": " ".join(one["scopes"]),
                        "grant_types": one.get("grant_types", ["authorization_code"]), "response_types": ["code"], "token_endpoint_auth_method": one["token_endpoint_auth_method"]})
        if one.get("require_pkce"):
            pkce.append(one["client_id"])
    return clients, pkce


class Person:
    """Follows redirects between names; `local` says where a name is served: {"jupyterhub.stack.test": "127.0.0.1:8081"}."""
    def __init__(self, local):
        self.local, self.cookies = local, {}

    def once(self, method, address, form=None):
        """(status, headers, text) of one request."""
        parts = urllib.parse.urlsplit(address)
        jar = self.cookies.setdefault(parts.netloc, {})
        connection = http.client.HTTPConnection(self.local.get(parts.netloc, parts.netloc), timeout=60)
        headers = {"Host": parts.netloc, "X-Forwarded-Proto": parts.scheme, "X-Forwarded-For": "192.0.2.1", "Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())}
        body = urllib.parse.urlencode(form) if form is not None else None
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, (parts.path or "/") + ("?" + parts.query if parts.query else ""), body, headers)
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";")[0].partition("=")
            jar[name.strip()] = value.strip()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, answer.headers, text

    def go(self, address, name, stop=lambda address: False):
        """Where it ends: (address, status, text); signs in as `name` where the provider asks. Ends before an address for which `stop` holds."""
        method, form = "GET", None
        for _ in range(30):
            if stop(address):
                return address, 0, ""
            status, headers, text = self.once(method, address, form)
            method, form = "GET", None
            if status in (301, 302, 303, 307):
                address = urllib.parse.urljoin(address, headers["Location"])
                continue
            asked = re.search(r'<form[^>]*action="([^"]*/interaction/[^"]*)"', text)
            if not asked:
                return address, status, text
            prompt = re.search(r'name="prompt" value="(\w+)"', text).group(1)
            method, form, address = "POST", {"prompt": prompt, "login": name, "password": "any"}, urllib.parse.urljoin(address, html.unescape(asked.group(1)))
        raise AssertionError(f"redirects without end at {address}")


def settings(path, port, clients, pkce):
    people = {"ada": {"name": "Ada Example", "preferred_username": "ada", "email": "ada@stack.test", "email_verified": True, "groups": ["users"]},
              "root": {"name": "Root", "preferred_username": "root", "email": "root@stack.test", "email_verified": True, "groups": ["users", "admins"]},
              "eve": {"name": "Eve", "preferred_username": "eve", "email": "eve@stack.test", "email_verified": True, "groups": []}}
    path.write_text(json.dumps({"port": port, "clients": clients, "pkce": pkce, "people": people}))
