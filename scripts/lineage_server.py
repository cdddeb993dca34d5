"""A lineage server that takes OpenLineage events over HTTP, one POST each, in order.

Retried are lost connections, 429 and 5xx, as long as `Retry-After` asks and a few times only; anything else is an answer. Redirects are
not followed: they would carry the token elsewhere. No message shows the address, the token or what the server wrote.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from config import VERSION
from config.errors import LineageError

_ENDPOINT = "/api/v1/lineage"
_SECONDS = 5.0
_TRIES = 4
_PAUSE = 0.3
"""Seconds before the second try; doubled before each further one."""
_LONGEST = 10.0
_PATIENCE = 30.0
"""Seconds that may be lost on tries that fail, over all events: what a server can hold up a run at most."""
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class LineageServer:
    """`url` as `web_address` lets it pass; without a path the usual endpoint is meant. `key`, if any, is sent as a bearer token.

    Raises LineageError for a key that cannot be sent.
    """

    def __init__(self, url: str, key: str = "") -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
        self._path = (parts.path if parts.path.strip("/") else _ENDPOINT) + (f"?{parts.query}" if parts.query else "")
        self._patience = _PATIENCE
        self._headers = {"Content-Type": "application/json", "User-Agent": f"pdp/{VERSION}"}
        if key:
            if not key.isascii() or not key.isprintable():
                raise LineageError(
                    "OPENLINEAGE_API_KEY holds a character that cannot be sent.", "Copy the key anew, on one line."
                )
            self._headers["Authorization"] = f"Bearer {key}"

    def send(self, events: Sequence[dict[str, Any]]) -> None:
        """Deliver the events in their order. Raises LineageError at the first that is not taken; those before it have arrived."""
        try:
            for number, event in enumerate(events, 1):
                status = self._deliver(json.dumps(event).encode())
                if status // 100 != 2:
                    which = f"event {number} of {len(events)}"
                    if not status:
                        raise LineageError(
                            f"The lineage server cannot be reached ({which}).", "Is it running? Check OPENLINEAGE_URL."
                        )
                    raise LineageError(f"The lineage server refused {which} with status {status}.", _mend(status))
        finally:
            self._connection.close()

    def _deliver(self, body: bytes) -> int:
        """The last status the server gave; 0 when it gave none."""
        for turn in range(_TRIES):
            began = time.monotonic()
            status, asked = self._post(body)
            if status and status not in _AGAIN:
                break
            pause = min(asked or _PAUSE * 2**turn, _LONGEST)
            self._patience -= time.monotonic() - began + pause
            if turn == _TRIES - 1 or self._patience < 0:
                break
            time.sleep(pause)
        return status

    def _post(self, body: bytes) -> tuple[int, float]:
        """(status, seconds the server asks to wait); (0, 0) when the connection failed."""
        try:
            self._connection.request("POST", self._path, body, self._headers)
            answer = self._connection.getresponse()
            answer.read(1 << 16)
            if not answer.isclosed():  # more than anybody needs to say: the connection cannot be used again
                self._connection.close()
            return answer.status, _seconds(answer.headers.get("Retry-After", ""))
        except (OSError, http.client.HTTPException, UnicodeError):  # the last: a host name nobody can have
            self._connection.close()
            return 0, 0.0


def _seconds(header: str) -> float:
    """`Retry-After`: seconds, or a date; 0 when it says nothing of use."""
    with contextlib.suppress(ValueError):
        return max(float(int(header)), 0.0)
    with contextlib.suppress(ValueError, TypeError):
        return max(parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    return 0.0


def _mend(status: int) -> str:
    if status in {401, 403}:
        return "Check OPENLINEAGE_API_KEY."
    if status in _AGAIN:
        return "Send it again later."
    return "Check OPENLINEAGE_URL." if status in {301, 302, 303, 307, 308, 404, 405} else "Its own log tells why."
