"""A message to another machine over HTTP: sent once, with little patience. Redirects are not followed: they would carry it elsewhere.

No error names the address, what was sent or what the other side wrote.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit

from config import VERSION
from config.errors import DeliveryError

_SECONDS = 5.0


def deliver(url: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> None:
    """Send it. Raises DeliveryError unless the answer is a 2xx."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body, {"User-Agent": f"pdp/{VERSION}", **headers})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, UnicodeError):  # the last: a host name nobody can have
        raise DeliveryError("the server cannot be reached.", "Is it running? Check its address.") from None
    finally:
        connection.close()
    if status // 100 != 2:
        raise DeliveryError(f"the server refused with status {status}.", _mend(status))


def _mend(status: int) -> str:
    if status in {401, 403}:
        return "Check its key."
    return "Check its address." if status in {301, 302, 303, 307, 308, 404, 405} else "Its own log tells why."
