"""What a server of a REST source answered, and the ways in which an answer can be no answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from config.errors import SourceUnavailable
from ingestion.strict_json import BadJSONError


class Busy(SourceUnavailable):
    """A failure that may pass: tried again. `wait` is what the server asked for, in seconds."""

    def __init__(self, what: str, mend: str = "Run again later; what is there stays valid.", wait: float | None = None) -> None:
        super().__init__(what, mend)
        self.wait = wait


class Limited(Busy):
    """The server, or a limit declared for it, gives no more for now: tried again when it asks for little patience, else the round ends
    `incomplete` and the next run goes on."""


class Unauthorized(SourceUnavailable):
    """The server does not know the token any more: signed in anew once, then refused."""


class Expired(SourceUnavailable):
    """The server does not know a page token any more: the round begins anew."""


class Answer:
    """One answer, whole. `url` is the address it came from; it may hold what lets one in, so it stands in no message."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, url: str) -> None:
        self.status, self.body, self.url = status, body, url
        self.headers = {name.lower(): value for name, value in headers.items()}

    @cached_property
    def document(self) -> Any:
        """Its JSON, read leniently: enough to find the way on; `records` reads it strictly. Raises BadJSONError when it is none."""
        import json

        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise BadJSONError("not_json") from None
