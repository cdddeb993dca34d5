"""An OpenID provider on this machine, over a socket: discovery, keys, sign-in without a question, tokens with nonce and PKCE."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "pdp-dashboard", "not-a-secret"


class Provider(ThreadingHTTPServer):
    """Signs in whoever `claims` describes; keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.key = RSAKey.generate_key(2048, {"kid": "test", "use": "sig", "alg": "RS256"}, private=True)
        self.claims: dict[str, Any] = {"sub": "subject-1", "email": "me@example.org", "email_verified": True}
        self.age = 0.0
        """How many seconds ago its tokens say they were issued."""
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens = 0

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser goes next: back, with a code."""
        assert asked["code_challenge_method"] == "S256", "no PKCE"
        assert asked["nonce"], "no nonce"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, asked: dict[str, str]) -> dict[str, Any] | None:
        """The tokens for a code, once, to whoever knows its verifier."""
        began = self.codes.pop(asked["code"], None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(asked["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if began is None or began["code_challenge"] != challenge:
            return None
        self.tokens += 1
        issued = time.time() - self.age
        claims = {"iss": self.url, "aud": CLIENT, "iat": int(issued), "exp": int(time.time()) + 3600, "nonce": began["nonce"]}
        signed = jwt.encode({"alg": "RS256", "kid": "test"}, {**claims, **self.claims}, self.key)
        return {"access_token": "opaque", "token_type": "Bearer", "expires_in": 3600, "id_token": signed}


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        url = self.server.url
        if parts.path == "/.well-known/openid-configuration":
            self._answer(
                {
                    "issuer": url,
                    "authorization_endpoint": f"{url}/authorize",
                    "token_endpoint": f"{url}/token",
                    "jwks_uri": f"{url}/keys",
                    "userinfo_endpoint": f"{url}/userinfo",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "code_challenge_methods_supported": ["S256"],
                }
            )
        elif parts.path == "/keys":
            self._answer({"keys": [self.server.key.as_dict(private=False)]})
        elif parts.path == "/userinfo":
            self._answer(self.server.claims)
        elif parts.path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self.server.authorize(asked))
            self.end_headers()
        else:
            self._answer({}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        found = self.server.token({name: values[0] for name, values in parse_qs(body).items()})
        self._answer(found or {"error": "invalid_grant"}, 200 if found else 400)

    def _answer(self, data: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def provider() -> Iterator[Provider]:
    """A provider that is up."""
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def secrets_toml(server: Provider, dashboard_url: str) -> str:
    """What `.streamlit/secrets.toml` has to say."""
    return (
        f'[auth]\nredirect_uri = "{dashboard_url}/oauth2callback"\ncookie_secret = "{"c" * 40}"\n'
        f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
        f'server_metadata_url = "{server.url}/.well-known/openid-configuration"\n'
        'client_kwargs = {code_challenge_method = "S256", scope = "openid email"}\n'
    )
