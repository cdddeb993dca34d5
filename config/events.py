"""The schema of an event, the same for whoever sends, stores and reads one: its fields, its check and its row in Parquet.

An event is a JSON object: one measurement on its way. Whether its metric is known and its value plausible is judged where readings
are made (`config/metrics.py`); here it is only asked whether it can be stored without loss. Nothing heavy is imported: this
file travels in the Lambda's zip.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

LONGEST = 128
"""Characters a text field may have."""
LARGEST_OFFSET = 64_800
"""Seconds from UTC at most: 18 hours, as in ISO 8601 libraries; every zone there ever was lies within."""
YEARS = (1900, 2199)
"""The years an event may be of, inclusive."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)", re.ASCII)
_IDENTIFIER = re.compile(r"[!-~]{1,128}")


class Event(NamedTuple):
    """An event that passed `check`, as the columns of a row."""

    event_id: str
    """Printable ASCII without spaces; two deliveries with the same one are the same event."""
    source: str
    user: str | None
    metric: str
    """A name of `config/metrics.py`, or one nobody here knows."""
    ts_utc: datetime
    """When it was measured; aware, UTC, microseconds."""
    offset_s: int | None
    """Seconds the local clock was ahead of UTC; None if nobody said."""
    value: float
    unit: str
    """UCUM."""
    device: str | None


FIELDS = Event._fields
REQUIRED = ("event_id", "source", "metric", "ts_utc", "value", "unit")
"""Fields an event must have; each other one may be left out or null."""
COLUMNS = (
    ("event_id", "string"),
    ("source", "string"),
    ("user", "string"),
    ("metric", "string"),
    ("ts_utc", "timestamp[us, UTC]"),
    ("offset_s", "int32"),
    ("value", "float64"),
    ("unit", "string"),
    ("device", "string"),
    ("raw", "string"),
)
"""Columns of an object in the store, in order: the fields, and the event's JSON text as it was received."""


def check(event: object) -> list[str]:
    """Why this parsed JSON value is no event: stable codes in the order of `FIELDS`, `<field>_missing|_type|_format|_range`, or
    `not_object`; empty for a good one. Keys the schema does not know are no fault: they stay in `raw`.
    """
    if not isinstance(event, Mapping):
        return ["not_object"]
    found = ((field, _fault(field, event.get(field))) for field in FIELDS)
    return [f"{field}_{fault}" for field, fault in found if fault]


def event_of(data: Mapping[str, Any]) -> Event:
    """The row of an event `check` had nothing against."""
    return Event(
        data["event_id"],
        data["source"],
        data.get("user"),
        data["metric"],
        instant(data["ts_utc"]),
        data.get("offset_s"),
        float(data["value"]),
        data["unit"],
        data.get("device"),
    )


def instant(text: str) -> datetime:
    """A `ts_utc` as an aware datetime, cut to microseconds. ValueError for any other text: no offset but UTC's, no 24:00."""
    if not _INSTANT.fullmatch(text) or text[11:13] == "24":
        raise ValueError("no instant in UTC")
    return datetime.fromisoformat(text).astimezone(UTC)


def _fault(field: str, value: object) -> str:
    """`missing`, `type`, `format`, `range`, or nothing."""
    if value is None:
        return "missing" if field in REQUIRED else ""
    if field == "value":
        return _number(value)
    if field == "offset_s":
        if isinstance(value, bool) or not isinstance(value, int):
            return "type"
        return "" if abs(value) <= LARGEST_OFFSET else "range"
    if not isinstance(value, str):
        return "type"
    if field == "ts_utc":
        return _time(value)
    if field == "event_id":
        return "" if _IDENTIFIER.fullmatch(value) else "format"
    return "" if 0 < len(value) <= LONGEST and value.isprintable() else "format"


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "type"
    try:
        return "" if math.isfinite(value) else "range"
    except OverflowError:  # a whole number no float can hold
        return "range"


def _time(text: str) -> str:
    try:
        return "" if YEARS[0] <= instant(text).year <= YEARS[1] else "range"
    except ValueError:
        return "format"
