"""A place in an order, as text to hand back: where the next page begins. It holds nothing the page before did not."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from serving.api.errors import Refused, wrong


def written(order: str, *place: str | int | None) -> str:
    """The place after which to go on, in this order."""
    text = json.dumps([order, *place], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read(cursor: str, order: str, *kinds: tuple[type, ...]) -> list[Any]:
    """The place a cursor names; each part of one of these kinds. Refused for text that is no cursor, or one of another order."""
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise none_of_ours() from None
    if not isinstance(found, list) or len(found) != len(kinds) + 1:
        raise none_of_ours()
    if found[0] != order:
        raise wrong(
            "cursor", "it belongs to another order or address", "Ask with the `sort` it came with, or begin anew without it."
        )
    place = found[1:]
    for part, allowed in zip(place, kinds, strict=True):
        if type(part) not in allowed or (isinstance(part, int) and not -(2**63) <= part < 2**63):
            raise none_of_ours()
        if isinstance(part, str) and ("\0" in part or any("\ud800" <= letter <= "\udfff" for letter in part)):
            raise none_of_ours()
    return place


def none_of_ours() -> Refused:
    """What is told of a text that is no cursor."""
    return wrong("cursor", "it is none of ours", "Send `next` of a page as it came, or begin anew without it.")
