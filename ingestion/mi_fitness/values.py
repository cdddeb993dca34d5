"""The JSON in a `Value` cell: strict where Python's reader is lenient (twice the same key, NaN, a thousand brackets)."""

from __future__ import annotations

from typing import Any

from ingestion.strict_json import DECODER, BadJSONError

MAX_DEPTH = 100


def parse_value(text: str) -> Any:
    """The cell's JSON value. Raises BadJSONError(reason): `bad_value_json`, `duplicate_json_keys`, `not_json` or `json_too_deep`."""
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise BadJSONError("json_too_deep")
    try:
        return DECODER.decode(text)
    except BadJSONError:
        raise
    except (ValueError, RecursionError):
        raise BadJSONError("bad_value_json") from None


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
