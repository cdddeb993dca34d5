"""The API calls that brought the raw artifacts: what a bronze row says of its fetch, kept beside the bytes it is about.

`raw/<source>/<member>` has its call in `raw/<source>.calls/<member>.json`, if a call brought it: what was dropped in the inbox has
none. Bytes that are the same as last time keep the call that first brought them, so fetching them again changes nothing downstream.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from config.stage import Outputs, Pages

RAW, CALLS = "raw", "calls"
_ENDING = ".json"
_IDS = ("x-request-id", "x-goog-request-id", "x-guploader-uploadid")
"""What servers name a call by. Google Sheets sends none of them; the media server that Drive's downloads come from sends the last."""
_LIMIT = re.compile(r"retry-after|[a-z-]*rate-?limit(?:-(?:policy|limit|remaining|reset|used)(?:-[a-z-]+)?)?")
"""`RateLimit` and its parts (draft-ietf-httpapi-ratelimit-headers), with or without a vendor's prefix; `Retry-After` (RFC 9110)."""
_CLIENT = re.compile(r";\s*pk=:[^:]*:")
"""The draft's partition key: it may tell whose quota this is."""
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,6})?")
_LONGEST = 200


class Call(NamedTuple):
    """The call that brought a raw artifact; of several (a download in pieces) the last."""

    api_version: str
    """As the API names it: `v4`."""
    endpoint: str
    """The documented template of its URL, host and path, with `{placeholders}` for ids; no query."""
    request_id: str | None
    """The server's own name for the call; None when it gave none."""
    response_code: int
    """HTTP status."""
    rate_limit: dict[str, int | float | str] | None
    """The answer's rate limit headers by their lower-case names, numbers as numbers; None when it had none."""
    state: str | None = None
    """What tells at the origin that the bytes are still these; None where that is asked otherwise."""

    @classmethod
    def answered(cls, api_version: str, endpoint: str, code: int, headers: Mapping[str, str]) -> Self:
        """The facts of an answer. Of `endpoint` only scheme, host and path are kept, of the headers only what the fields name."""
        address = urlsplit(endpoint)
        bare = f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
        said = {name.lower(): value.strip() for name, value in headers.items()}
        request_id = next((said[name] for name in _IDS if _is_plain(said.get(name, ""))), None)
        limits = {
            name: _number(_CLIENT.sub("", value)) for name, value in said.items() if _LIMIT.fullmatch(name) and _is_plain(value)
        }
        return cls(api_version, bare, request_id, code, limits or None)


class Calls:
    """What one extraction fetched, written with the calls that fetched it: outputs `raw` and `calls`."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._held = outputs.previous(RAW)
        self._known = outputs.previous(CALLS)

    def keep(self, member: str) -> None:
        """The raw artifact as last time, not fetched again; so is its call."""
        self._outputs.keep(RAW, member)
        self._keep_call(member)

    def bring(self, member: str, content: bytes, call: Call) -> None:
        """A raw artifact as it has just come."""
        sha256 = hashlib.sha256(content).hexdigest()
        if self._is_held(member, sha256):
            self._outputs.keep(RAW, member)
        else:
            with self._outputs.open(RAW, member) as sink:
                sink.write(content)
        self.note(member, sha256, call)

    def state(self, member: str) -> str | None:
        """What the origin said of a raw artifact that is held; None when nothing is held or nothing was said."""
        known = self._known.get(member + _ENDING)
        if known is None or member not in self._held:
            return None
        with open(known.path, "rb") as file:
            state = json.loads(file.read()).get("state")
        return state if isinstance(state, str) else None

    def note(self, member: str, sha256: str, call: Call) -> None:
        """The call that brought a raw artifact which is written already; `sha256` is that of its bytes."""
        if self._is_held(member, sha256) and self._keep_call(member):
            return
        with self._outputs.open(CALLS, member + _ENDING) as sink:
            said = {name: value for name, value in call._asdict().items() if name != "state" or value is not None}
            sink.write(json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n")

    def note_pages(self, streams: Mapping[str, Pages]) -> None:
        """The call of every page of these streams: kept for those in force, written for the new ones from their fact `call`."""
        for name in self._known:
            if name.removesuffix(_ENDING) in self._held and name.split("/")[0] in streams:
                self._outputs.keep(CALLS, name)
        for stream in streams.values():
            for page in stream.new():
                if page.member + _ENDING not in self._known:
                    self.note(page.member, "", Call(**page.facts["call"]))

    def _is_held(self, member: str, sha256: str) -> bool:
        return member in self._held and self._held[member].sha256 == sha256

    def _keep_call(self, member: str) -> bool:
        """Whether there was one."""
        if known := member + _ENDING in self._known:
            self._outputs.keep(CALLS, member + _ENDING)
        return known


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and text.isascii() and text.isprintable()


def _number(text: str) -> int | float | str:
    if found := _NUMBER.fullmatch(text):
        return float(text) if found[1] else int(text)
    return text
