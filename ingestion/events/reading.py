"""A request's body, or a stream's record, as the events in it: every piece comes out once, as an event or with the reasons against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from config.events import Event, check, event_of
from ingestion.strict_json import DECODER, BadJSONError

MOST = 100_000
"""Events one body may hold; a longer list is refused whole, so memory stays bounded whatever is sent."""

_LENIENT = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


class Item(NamedTuple):
    """One piece of a body."""

    raw: bytes
    """As received, without the white space around it."""
    event: Event | None
    reasons: tuple[str, ...]
    """Why it is no event: the codes of `config.events.check`, `not_json`, `not_utf8`, `duplicate_json_keys`, `too_many_events`."""


def items(data: bytes) -> list[Item]:
    """The pieces of a body that is a JSON object, a JSON array of them, or a JSON text a line (NDJSON); none for an empty one.

    A broken array is one piece: nobody can say where its events end. A broken line harms no other line.
    """
    body = data.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    found: list[Item] = []
    for item in _pieces(body):
        if len(found) == MOST:
            return [_refused(body, "too_many_events")]
        found.append(item)
    return found


def _pieces(body: bytes) -> Iterator[Item]:
    if not body:
        return
    if body.startswith(b"["):
        yield from _elements(body)
        return
    whole = _item(body)
    if whole:
        yield whole
    elif b"\n" not in body:
        yield _refused(body, _encoding(body))
    else:
        for line in _lines(body):
            if piece := line.strip(b" \t\r"):
                yield _item(piece) or _refused(piece, _encoding(piece))


def _lines(body: bytes) -> Iterator[bytes]:
    """Split lazily: a body of line ends alone is no list of millions."""
    start = 0
    while (end := body.find(b"\n", start)) >= 0:
        yield body[start:end]
        start = end + 1
    yield body[start:]


def _item(raw: bytes) -> Item | None:
    """What this is if it is one JSON text and nothing more."""
    try:
        text = raw.decode()
        end, item = _element(text, 0)
    except (ValueError, RecursionError):
        return None
    return item if end == len(text) else None


def _elements(body: bytes) -> list[Item]:
    """The elements of an array, each with its own bytes, one more than `MOST` at most; or the whole array refused."""
    try:
        return list(islice(_walk(body.decode()), MOST + 1))
    except (ValueError, RecursionError):
        return [_refused(body, _encoding(body))]


def _walk(text: str) -> Iterator[Item]:
    """An array's elements. ValueError where it is none."""
    at = _after_space(text, 1)
    if text.startswith("]", at) and at + 1 == len(text):
        return
    while True:
        end, item = _element(text, at)
        yield item
        at = _after_space(text, end)
        if text.startswith("]", at) and at + 1 == len(text):
            return
        if text[at : at + 1] != ",":
            raise BadJSONError("not_json")
        at = _after_space(text, at + 1)


def _element(text: str, start: int) -> tuple[int, Item]:
    """Where one ends, and what it is: a NaN or a key twice spoils only itself."""
    try:
        value, end = DECODER.raw_decode(text, start)
    except BadJSONError as error:
        _, end = _LENIENT.raw_decode(text, start)
        return end, _refused(text[start:end].encode(), str(error))
    return end, _judged(text[start:end].encode(), value)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _judged(raw: bytes, value: Any) -> Item:
    reasons = check(value)
    return Item(raw, None, tuple(reasons)) if reasons else Item(raw, event_of(value), ())


def _refused(raw: bytes, reason: str) -> Item:
    return Item(raw, None, (reason,))


def _encoding(raw: bytes) -> str:
    """Why bytes that are no JSON text are none."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "not_utf8"
    return "not_json"
