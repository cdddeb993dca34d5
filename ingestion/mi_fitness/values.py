"""The JSON in a `Value` cell: strict where Python's reader is lenient (twice the same key, NaN, a thousand brackets)."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 100


class BadValueError(ValueError):
    """A cell that is no acceptable JSON; the message is the stable reason."""


def parse_value(text: str) -> Any:
    """The cell's JSON value. Raises BadValueError(reason): `bad_value_json`, `duplicate_json_keys`, `not_json` or `json_too_deep`."""
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise BadValueError("json_too_deep")
    try:
        return _DECODER.decode(text)
    except BadValueError:
        raise
    except (ValueError, RecursionError):
        raise BadValueError("bad_value_json") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadValueError("duplicate_json_keys")
    return found


def _no_constant(_: str) -> Any:
    raise BadValueError("not_json")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant)


def _depth(text: str) -> int:
    """How deep brackets nest; those inside strings do not count."""
    deepest = depth = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            in_string = True
        elif char in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "}]":
            depth -= 1
    return deepest
