"""Garmin Connect by way of python-garminconnect: signed in with tokens, each answer as it came, with the call that brought it.

Garmin's API is not public; the library speaks it as Garmin's own app does. No password is asked for or kept: `docs/connect.md` says how
a person makes tokens once. https://github.com/cyberjunky/python-garminconnect
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from garminconnect import Garmin
from garminconnect import client as library
from garminconnect.exceptions import (
    GarminConnectAuthenticationError,
    GarminConnectConnectionError,
    GarminConnectTooManyRequestsError,
)

from config.errors import SourceDenied, SourceUnavailable
from ingestion.calls import Call
from ingestion.garmin.kinds import KINDS

API = "connectapi"
"""What Garmin calls it; it has no version of its own."""
_FAILURES = (GarminConnectAuthenticationError, GarminConnectConnectionError, GarminConnectTooManyRequestsError)
_PROFILE = "/userprofile-service/socialProfile"
_LARGEST = 32 << 20
_LATER = "Run again later; what is there stays valid."


class TooManyError(SourceUnavailable):
    """Garmin wants a pause (HTTP 429)."""


class Answer(NamedTuple):
    """What Garmin answered."""

    body: bytes
    call: Call


class Connect:
    """A signed-in account. Raises SourceDenied for tokens that are none or no longer."""

    def __init__(self, tokens: str, base: str, renewed: Callable[[str], None]) -> None:
        """`tokens`: what the library saves in `garmin_tokens.json`; `base`: another address than Garmin's, or empty; `renewed` is told
        the tokens that take their place, before they are used."""
        logging.getLogger("garminconnect").setLevel(logging.CRITICAL + 1)  # its log would hold answers, and who asked
        self._client = _Client(base, renewed)
        self._api: Any = Garmin()
        self._api.client = self._client
        try:
            self._client.loads(tokens)
        except _FAILURES:
            raise SourceDenied("GARMIN_TOKENS holds no tokens of Garmin Connect.", _ANEW) from None
        profile = self._asked(lambda: self._api.connectapi(_PROFILE))
        name = profile.get("displayName") if isinstance(profile, dict) else None
        if not isinstance(name, str) or not name:
            raise SourceDenied("The Garmin account has no display name.", "Give it one at connect.garmin.com.")
        self._api.display_name = name

    def get(self, kind: str, day: str) -> Answer | None:
        """One day of a kind (`2025-03-01`); None where Garmin has nothing. Raises TooManyError, SourceDenied, SourceUnavailable."""
        method = getattr(self._api, KINDS[kind])
        self._asked(lambda: method(day))
        last = self._client.last
        if last is None or last.status_code != 200 or not _holds(last.content):
            return None
        path = urlsplit(last.url).path.replace(self._api.display_name, "{displayName}").replace(day, "{date}")
        return Answer(last.content, Call.answered(API, f"{self._client.base}{path}", last.status_code, last.headers))

    def _asked(self, ask: Any) -> Any:
        self._client.last = None
        try:
            return ask()
        except _FAILURES as error:
            if isinstance(error.__cause__, SourceDenied):
                raise error.__cause__ from None
            last = self._client.last
            status = last.status_code if last is not None else 0
            if status in (200, 204, 404) and not isinstance(error, GarminConnectAuthenticationError) and _is_json(last, status):
                return None  # the library takes an empty answer for a fault
            raise _told(status) from None


class _Client(library.Client):  # type: ignore[misc]  # the library has no types
    """The library's client; it remembers the last answer and may ask another address than Garmin's."""

    def __init__(self, base: str, renewed: Callable[[str], None]) -> None:
        super().__init__()
        self.last: requests.Response | None = None
        self._elsewhere, self._renewed = base.rstrip("/"), renewed
        if self._elsewhere:
            self._connectapi = self._elsewhere
        self.base: str = self._connectapi

    def _fresh_api_session(self) -> requests.Session:
        session: requests.Session = super()._fresh_api_session()
        session.trust_env = False  # a .netrc would take the place of the tokens
        session.stream = True
        session.hooks["response"].append(self._remember)
        return session

    def _remember(self, response: requests.Response, **_: Any) -> None:
        """Read an answer, no further than one may go."""
        body = bytearray()
        for block in response.iter_content(1 << 16):
            body += block
            if len(body) > _LARGEST:
                response.close()
                raise SourceDenied(f"Garmin answers with more than {_LARGEST >> 20} MB.", "Nothing of it is kept.")
        response._content = bytes(body)  # noqa: SLF001 - where the library looks for it
        self.last = response

    def _refresh_di_token(self) -> None:
        super()._refresh_di_token()
        self._renewed(str(self.dumps()))

    def _http_post(self, url: str, **asked: Any) -> Any:
        if self._elsewhere:
            return requests.post(self._elsewhere + urlsplit(url).path, timeout=asked.pop("timeout", 30), **asked)
        return super()._http_post(url, **asked)


def _is_json(last: requests.Response | None, status: int) -> bool:
    if status != 200 or last is None:
        return True
    try:
        json.loads(last.content)
    except ValueError:
        return False
    return True


def _holds(body: bytes) -> bool:
    """Whether there is anything in an answer."""
    return body.strip() not in (b"", b"null", b"{}", b"[]")


def _told(status: int) -> SourceDenied | SourceUnavailable:
    if status == 429:
        return TooManyError("Garmin wants a pause (HTTP 429).", _LATER)
    if status in (401, 403):
        return SourceDenied(f"Garmin refuses the tokens (HTTP {status}).", _ANEW)
    why = f"answers HTTP {status}" if status else "cannot be reached, or the connection broke"
    return SourceUnavailable(f"Garmin {why}.", _LATER)


_ANEW = "Make GARMIN_TOKENS anew: docs/connect.md, Garmin."
