"""The times Garmin writes: GMT and the local clock side by side, as text without a zone, with one, or as epoch milliseconds.

A local clock written as epoch (`…Local`) is no instant: its digits are those of the wall clock. Only a `…GMT` field is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from config.epoch import epoch_micros
from config.timezones import PersonZones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?", re.ASCII)
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?", re.ASCII)
_WORDS = "%b %d, %Y %I:%M:%S %p"


def gmt(value: Any) -> datetime | None:
    """The instant of a `…GMT` field; None for what is none of 2009 to 2100."""
    found = _read(value)
    if found is None:
        return None
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found if 2009 <= found.year < 2100 else None


def local(value: Any, zones: PersonZones) -> datetime | None:
    """The instant of a `…Local` field: its digits are the person's clock."""
    found = _read(value)
    if found is None or not 2009 <= found.year < 2100:
        return None
    return zones.to_utc(found.replace(tzinfo=None)).utc


def day(value: Any) -> date | None:
    """A `calendarDate`: `2025-01-02`, the same with a time of day, or `{"date": "Jan 2, 2025 12:00:00 AM"}`."""
    if isinstance(value, Mapping):
        value = value.get("date")
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        found = _DAY.fullmatch(value)
        read = date.fromisoformat(found[1]) if found else datetime.strptime(value, _WORDS).date()  # noqa: DTZ007  a local day
    except ValueError:
        return None
    return read if 2009 <= read.year < 2100 else None


def _read(value: Any) -> datetime | None:
    micros = epoch_micros(value)
    if micros is not None:
        return _EPOCH + timedelta(microseconds=micros)
    found = _TEXT.fullmatch(value) if isinstance(value, str) and len(value) < 60 else None
    if found is None:
        return None
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}{found[3] or ''}")
    except ValueError:
        return None
