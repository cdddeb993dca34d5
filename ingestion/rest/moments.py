"""Times and counters that say what is new: read from records in whatever way they come, written as the server asks for them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from config.epoch import epoch_micros
from config.mapping import found
from config.rest_parts import Incremental, seconds

_START = datetime(1970, 1, 1, tzinfo=UTC)
_FURTHEST = 14 * 3600
"""Seconds a clock may be off UTC."""
_MILLISECONDS = 10**11
"""Seconds from here on would be of the year 5138."""


def moment(value: Any) -> datetime | None:
    """A moment in UTC: ISO 8601 (without an offset: UTC; a bare date: its beginning), seconds or milliseconds since 1970; else None."""
    if isinstance(value, str):
        text = value.strip()
        try:
            stamp = datetime.fromisoformat(text)
        except ValueError:
            return moment(int(text)) if text.isascii() and text.isdigit() and len(text) <= 19 else None
        try:
            return stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        except OverflowError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    micros = epoch_micros(value)
    if micros is None:
        micros = int(value * (1_000 if value >= _MILLISECONDS else 1_000_000))
    try:
        return _START + timedelta(microseconds=micros)
    except OverflowError:
        return None


def mark(record: Any, cursor: Incremental) -> datetime | float | None:
    """What a record's cursor field says; None when it says nothing that can be compared."""
    value = found(record, cursor.field)
    if cursor.format != "number":
        return moment(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 30:
        return int(value)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) else None


def vague(record: Any, cursor: Incremental) -> bool:
    """Whether a record's change is told by a clock nobody names, and asked for by one: up to half a day of changes could be missed."""
    value = found(record, cursor.field)
    if not cursor.param or cursor.format in ("local", "number") or seconds(cursor.lag) >= _FURTHEST or not isinstance(value, str):
        return False
    try:
        stamp = datetime.fromisoformat(value.strip())
    except ValueError:
        return False
    return stamp.tzinfo is None and not (cursor.format == "date" and len(value.strip()) == 10)


def kept(value: datetime | float | None) -> str | float | None:
    """As it stands in a state."""
    return value.isoformat() if isinstance(value, datetime) else value


def read(value: Any) -> datetime | float | None:
    """What `kept` wrote, or a person set."""
    return moment(value) if isinstance(value, str) else value


def begin(cursor: Incremental | None, reached: Any) -> datetime | float | None:
    """Where a round begins: what was reached, less the lag; at first the declared beginning. None: everything."""
    if cursor is None:
        return None
    if reached is not None:
        at = read(reached)
        return at - timedelta(seconds=seconds(cursor.lag)) if isinstance(at, datetime) else at
    if not cursor.initial:
        return None
    return float(cursor.initial) if cursor.format == "number" else moment(cursor.initial)


def written(value: datetime | float, form: str) -> str | int | float:
    """As the server asks for it, rounded down: asking for a little more loses nothing."""
    if not isinstance(value, datetime):
        return int(value) if float(value).is_integer() else value
    if form == "unix":
        return math.floor(value.timestamp())
    if form == "unix_ms":
        return math.floor(value.timestamp() * 1000)
    if form == "date":
        return value.date().isoformat()
    text = value.replace(microsecond=0, tzinfo=None).isoformat()
    return text if form == "local" else f"{text}Z"
