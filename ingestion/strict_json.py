"""JSON as its standard means it, where Python's own reader is lenient: no NaN or Infinity, no key twice in one object."""

from __future__ import annotations

import json
from typing import Any


class BadJSONError(ValueError):
    """A text that is no acceptable JSON; the message is the stable reason."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadJSONError("duplicate_json_keys")
    return found


def _no_constant(_: str) -> Any:
    raise BadJSONError("not_json")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)
"""Raises BadJSONError(`duplicate_json_keys` or `not_json`), and whatever Python's reader raises."""
