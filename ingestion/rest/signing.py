"""How a REST source signs in: fixed keys, or OAuth 2.0 tokens that are fetched, renewed and, where the server rotates them, kept sealed.

A rotated refresh token is worth as much as a password: it is sealed (AES-256-GCM) with a key made of the client's secret before it is
committed as the state of the stream `_auth`, and committed before it is used. A new token in the environment goes before a kept one.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from config import sealing
from config.errors import PDPError, SettingsError, SourceDenied
from config.mapping import found
from config.rest import Basic, Bearer, ClientCredentials, Header, Query, Refresh
from config.stage import Pages
from ingestion.rest.answer import Answer, Busy
from ingestion.rest.client import Ask, Client
from ingestion.rest.secrets import Secrets
from ingestion.strict_json import BadJSONError

STREAM = "_auth"
ACCESS = "ACCESS_TOKEN"
_EARLY = 60.0
"""Seconds before its end a token is taken for spent."""
_SHORTEST = 30.0
"""Seconds a token is good for at least, whatever is said: else each request would ask for one."""
_FORGET = "Sign in there again, and set the new refresh token."


def sign(client: Client, secrets: Secrets, kept: Pages | None) -> None:
    """Teach a client to sign its requests. `kept`: where rotated tokens are; without, such a source cannot sign in (SettingsError)."""
    auth = client.declaration.auth
    if isinstance(auth, Refresh) and importlib.util.find_spec("cryptography") is None:
        raise SettingsError(
            "The server may give a new refresh token each time, and the package that encrypts it is not installed.",
            "Install it with: pip install cryptography (`make dashboard` brings it).",
        )
    if isinstance(auth, (ClientCredentials, Refresh)):
        session = _Session(client, auth, secrets, kept)
        client.signed, client.renew = session.headers, session.renew
    elif isinstance(auth, Query):
        client.keys = {auth.param: secrets[auth.token]}
    elif auth is not None:
        headers = fixed(auth, secrets)
        client.signed = lambda: headers


def fixed(auth: Bearer | Basic | Header, secrets: Secrets) -> dict[str, str]:
    """The header of a key that never changes."""
    if isinstance(auth, Bearer):
        return {"Authorization": f"Bearer {_line(secrets[auth.token], auth.token)}"}
    if isinstance(auth, Header):
        return {auth.name: f"{auth.prefix}{_line(secrets[auth.token], auth.token)}"}
    user = secrets[auth.user] if auth.user else auth.fixed_user
    password = secrets[auth.password] if auth.password else auth.fixed_password
    return {"Authorization": _basic(user, password)}


def _line(secret: str, variable: str) -> str:
    """A secret that may stand in a header."""
    if not secret.isascii() or not secret.isprintable():
        raise SettingsError(f"{variable} holds a character that no key has.", "Copy it again, without spaces or line ends.")
    return secret


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class _Session:
    """An access token and how to get the next."""

    def __init__(self, client: Client, auth: ClientCredentials | Refresh, secrets: Secrets, kept: Pages | None) -> None:
        self._client, self._auth, self._secrets, self._kept = client, auth, secrets, kept
        self._access, self._ends = "", 0.0

    def headers(self) -> dict[str, str]:
        if not self._access or time.monotonic() >= self._ends:
            self.renew()
        return {"Authorization": f"Bearer {self._access}"}

    def renew(self) -> bool:
        """A new access token. Raises SourceDenied when the server gives none."""
        if isinstance(self._auth, ClientCredentials):
            self._take(self._fetch({"grant_type": "client_credentials"}))
            return True
        refused: SourceDenied | None = None
        for token in self._refresh_tokens(self._auth):
            try:
                answer = self._fetch({"grant_type": "refresh_token", "refresh_token": token})
            except SourceDenied as error:
                refused = error
                continue
            following = answer.get("refresh_token")
            if isinstance(following, str) and following and following != token:
                self._keep(self._auth, following)
            self._take(answer)
            return True
        raise SourceDenied(f"{self._client.host} does not accept the refresh token.", _FORGET) from refused

    def _fetch(self, fields: Mapping[str, str]) -> Mapping[str, Any]:
        auth, secrets = self._auth, self._secrets
        form = {**auth.extra, **fields} | ({"scope": auth.scope} if auth.scope else {})
        headers = {}
        if auth.style == "basic":
            headers["Authorization"] = _basic(quote_plus(secrets[auth.client_id]), quote_plus(secrets[auth.client_secret]))
        else:
            form |= {"client_id": secrets[auth.client_id], "client_secret": secrets[auth.client_secret]}
        return self._client.get(Ask(auth.token_url, method="POST", form=form, headers=headers), self._granted, sign=False)

    def _granted(self, answer: Answer) -> Mapping[str, Any]:
        try:
            said = found(answer.document, self._auth.answer) if self._auth.answer else answer.document
        except BadJSONError:
            raise Busy(f"{self._client.host} answers a sign-in with something else than JSON.") from None
        if not isinstance(said, Mapping) or not isinstance(said.get("access_token"), str):
            raise SourceDenied(f"{self._client.host} gives no access token.", "Check the client's id and secret.")
        return said

    def _take(self, answer: Mapping[str, Any]) -> None:
        self._access = _line(answer["access_token"], "The access token")
        self._secrets.add(ACCESS, self._access)
        lasts = answer.get("expires_in")
        seconds = float(lasts) if isinstance(lasts, (int, float)) and not isinstance(lasts, bool) else 3600.0
        self._ends = time.monotonic() + max(seconds - _EARLY, seconds / 2, _SHORTEST)

    def _refresh_tokens(self, auth: Refresh) -> list[str]:
        """Those to try, the likelier first: the one kept, unless the environment has had a new one since."""
        if self._kept is None:
            raise SettingsError(
                f"{self._client.declaration.name} signs in with a token that is used up by signing in; it is tried by runs only.",
                "Run it: python main.py",
            )
        own, state = self._secrets[auth.refresh_token], self._kept.state() or {}
        if state.get("since") != _name(own):
            return [own]
        try:
            sealed = sealing.unseal(base64.b64decode(state["sealed"]), self._key(auth))
            return [sealed["refresh_token"].decode(), own]
        except (PDPError, KeyError, ValueError):  # another client secret, or a state set by hand
            return [own]

    def _keep(self, auth: Refresh, token: str) -> None:
        self._secrets.add("REFRESH_TOKEN", token)
        sealed = sealing.seal({"refresh_token": token.encode()}, self._key(auth))
        assert self._kept is not None
        self._kept.advance({"sealed": base64.b64encode(sealed).decode(), "since": _name(self._secrets[auth.refresh_token])})

    def _key(self, auth: Refresh) -> bytes:
        text = f"pdp rest tokens\0{auth.token_url}\0{self._secrets[auth.client_id]}\0{self._secrets[auth.client_secret]}"
        return hashlib.sha256(text.encode()).digest()


def _name(token: str) -> str:
    """Tells one token from another without giving it away."""
    return hashlib.sha256(b"pdp refresh token\0" + token.encode()).hexdigest()[:16]
