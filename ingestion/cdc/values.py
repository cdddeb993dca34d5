"""A value of a row, as PostgreSQL writes it, as JSON says it: nothing is lost, and nothing is guessed from the looks of a text.

Sessions write with `SESSION`, so that equal values have equal texts in a snapshot and in the log.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ingestion.strict_json import DECODER

SESSION = {
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
}
"""How a session writes values."""

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)(\+00)?", re.ASCII)


def value_of(text: bytes, type_oid: int) -> Any:
    """The JSON value of a text of that type. UnicodeDecodeError where a database without an encoding holds what is no UTF-8."""
    said = text.decode()
    read = _READERS.get(type_oid)
    return said if read is None else read(said)


def _bool(said: str) -> Any:
    return {"t": True, "f": False}.get(said, said)


def _float(said: str) -> Any:
    found = float(said)
    return found if math.isfinite(found) else said


def _numeric(said: str) -> Any:
    """A number, unless a float would not say the same."""
    if said in ("NaN", "Infinity", "-Infinity"):
        return said
    exact = Decimal(said)
    if "." not in said:
        return int(said) if abs(exact) < 1 << 53 else said
    return float(said) if Decimal(repr(float(said))) == exact else said


def _json(said: str) -> Any:
    try:
        return DECODER.decode(said)
    except (ValueError, RecursionError):
        return said


def _stamp(said: str) -> str:
    """ISO 8601 with its T, and a Z where the type knows UTC; `infinity` and years before Christ as they are."""
    found = _STAMP.fullmatch(said)
    return f"{found[1]}T{found[2]}{'Z' if found[3] else ''}" if found else said


_READERS: dict[int, Callable[[str], Any]] = {
    16: _bool,
    20: int,
    21: int,
    23: int,
    26: int,
    114: _json,
    700: _float,
    701: _float,
    1114: _stamp,
    1184: _stamp,
    1700: _numeric,
    3802: _json,
}
"""OID of a built-in type → how its text is read; they are fixed in every PostgreSQL. Every other type stays text."""
