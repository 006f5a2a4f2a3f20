"""An OpenID provider: python3 -c THIS FOLDER. It prints its port, logs anybody in as the address says, and signs with a
key of its own (RS256), which it makes in the folder."""

import base64
import hashlib
import json
import subprocess
import sys
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER = sys.argv[1]
CLIENT, SECRET = "hims", "the secret of the hospital"
CODES, KEYS = {}, []


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_key():
    name = f"{FOLDER}/{len(KEYS)}.pem"
    subprocess.run(["openssl", "genrsa", "-out", name, "2048"], check=True, stderr=subprocess.DEVNULL)
    told = subprocess.run(["openssl", "rsa", "-in", name, "-noout", "-modulus"], check=True, capture_output=True,
                          text=True)
    KEYS.append((name, f"key {len(KEYS)}", bytes.fromhex(told.stdout.split("=")[1].strip())))


def signed(header, claims, key):
    text = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    sign = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(), check=True,
                          capture_output=True)
    return f"{text}.{encoded(sign.stdout)}"


def token(asked):
    """The word of the provider for somebody, or one that does not hold in the way that the request wants."""
    now, bad = int(time.time()), asked.get("bad", "")
    claims = {"iss": ISSUER, "aud": CLIENT, "sub": asked["login"], "nonce": asked["nonce"], "iat": now,
              "exp": now + 300, "auth_time": now - int(asked.get("age", "0")), "email": "doctor@demo.hims",
              "email_verified": True, "groups": [it for it in asked.get("groups", "").split(",") if it]}
    if bad == "issuer":
        claims["iss"] = "https://other.example.org"
    if bad == "audience":
        claims["aud"] = "somebody else"
    if bad == "nonce":
        claims["nonce"] = "an old one"
    if bad == "expired":
        claims["exp"] = now - 3600
    if bad == "when":
        del claims["auth_time"]
    name, kid, _ = KEYS[-1]
    if bad == "none":
        header = encoded(json.dumps({"alg": "none"}).encode())
        return f"{header}.{encoded(json.dumps(claims).encode())}."
    if bad == "signature":
        name = KEYS[0][0]
    return signed({"alg": "RS256", "kid": kid, "typ": "JWT"}, claims, name)


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in [("Content-Type", "application/json"), ("Content-Length", str(len(text))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        if path == "/.well-known/openid-configuration":
            self.answer(200, {
                "issuer": ISSUER, "authorization_endpoint": f"{ISSUER}/authorize", "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/keys", "response_types_supported": ["code"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "none"]})
        elif path == "/keys":
            # The first key is kept back: what it signs does not hold.
            keys = [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": encoded(modulus), "e": "AQAB"}
                    for _, kid, modulus in KEYS[1:]]
            self.answer(200, {"keys": keys})
        elif path == "/authorize":
            wanted = {"response_type": "code", "client_id": CLIENT, "code_challenge_method": "S256", "max_age": "600"}
            wrong = [name for name, value in wanted.items() if asked.get(name) != value]
            if wrong or "openid" not in asked.get("scope", "").split():
                return self.answer(400, {"error": "invalid_request", "wrong": wrong})
            code = uuid.uuid4().hex
            CODES[code] = asked
            back = urllib.parse.urlencode({"code": code, "state": asked["state"]})
            self.answer(302, {}, [("Location", f"{asked['redirect_uri']}?{back}")])
        else:
            self.answer(404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        given = dict(urllib.parse.parse_qsl(body))
        kind, _, basic = self.headers.get("Authorization", "").partition(" ")
        who = [urllib.parse.unquote_plus(it) for it in base64.b64decode(basic).decode().split(":", 1)]
        asked = CODES.pop(given.get("code"), None)
        challenge = encoded(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if kind != "Basic" or who != [CLIENT, SECRET]:
            return self.answer(401, {"error": "invalid_client"})
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != given.get("redirect_uri"):
            return self.answer(400, {"error": "invalid_grant"})
        self.answer(200, {"access_token": uuid.uuid4().hex, "token_type": "Bearer", "id_token": token(asked)})


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
ISSUER = f"http://127.0.0.1:{server.server_port}"
make_key()
make_key()
print(server.server_port, flush=True)
server.serve_forever()
