"""The times of a mapped record: a moment with or without an offset, or a whole day; anything that is neither is refused by name.

Numbers are seconds, milli-, micro- or nanoseconds since 1970, told apart by magnitude. A text is ISO 8601; without an offset it is the
clock of the zone it says, else the person's. UTC is how servers count, not where somebody lives: `Z` and `+00:00` say no zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NamedTuple

from config.epoch import epoch_micros
from config.stamps import offset_of
from config.timezones import PersonZones

_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 60
"""No time is written longer."""
_LAST_YEAR = 2100
_QUARTER = 900
_FURTHEST = 14 * 3600


class UnreadableTimeError(ValueError):
    """The reason, as a code: `no_time`, `bad_time`, `bad_offset`, `year_out_of_range`."""


class Moment(NamedTuple):
    """What a record's time says."""

    micros: int
    """Microseconds since 1970, UTC; of a whole day 0."""
    stated: int | None
    """Seconds east of UTC that the record itself says; None when it does not."""
    day: date | None = None
    """The day, where the record names no more."""
    flag: str | None = None
    """`dst_gap` or `dst_overlap`, when the clocks changed then."""


def moment(value: Any, offset: Any, zones: PersonZones) -> Moment:
    """The time a record says; `offset` is what it says of its own UTC offset, None for nothing. Raises UnreadableTimeError."""
    stated = _offset(offset)
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST:
            raise UnreadableTimeError("bad_time")
        value = int(text) if text.isascii() and text.isdigit() and len(text) != _DATE_DIGITS else text
    if value is None or value == "":
        raise UnreadableTimeError("no_time")
    if isinstance(value, str):
        return _of_text(value, stated, zones)
    micros = epoch_micros(value) if isinstance(value, int | float) else None
    if micros is None and isinstance(value, float) and abs(value) < 1e12:  # a fraction of a second
        micros = epoch_micros(round(value * 1_000_000))
    if micros is None:
        raise UnreadableTimeError("bad_time")
    return Moment(micros, stated)


_DATE_DIGITS = 8
"""`20250329` is a date."""


def _of_text(text: str, stated: int | None, zones: PersonZones) -> Moment:
    try:
        return Moment(0, stated, _in_range(date.fromisoformat(text)))
    except UnreadableTimeError:
        raise
    except ValueError:
        pass
    for name in (" UTC", " GMT"):
        text = text[: -len(name)] + "Z" if text.endswith(name) else text
    try:
        found = datetime.fromisoformat(text.replace(" +", "+").replace("z", "Z"))
        _in_range(found.date())
        return _placed(found, stated, zones)
    except UnreadableTimeError:
        raise
    except (ValueError, OverflowError):
        raise UnreadableTimeError("bad_time") from None


def _placed(found: datetime, stated: int | None, zones: PersonZones) -> Moment:
    """A datetime as UTC, in the zone it says, else the record's offset, else the person's."""
    own = found.utcoffset()
    if own is not None:
        seconds = own // _SECOND
        return Moment(_micros(found), seconds or None if stated is None else stated)
    if stated is not None:
        return Moment(_micros(found.replace(tzinfo=timezone(timedelta(seconds=stated)))), stated)
    utc, flag = zones.to_utc(found)
    return Moment(_micros(utc), None, flag=flag)


def _offset(value: Any) -> int | None:
    """Seconds east of UTC, from `+02:00` or a number of seconds in whole quarters of an hour."""
    if value is None or value == "":
        return None
    seconds = offset_of(value.strip()) if isinstance(value, str) else value
    if seconds is None and isinstance(value, str) and value.strip().lstrip("+-").isdecimal() and len(value) < _DATE_DIGITS:
        seconds = int(value)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds % _QUARTER or abs(seconds) > _FURTHEST:
        raise UnreadableTimeError("bad_offset")
    return int(seconds)


def _in_range(day: date) -> date:
    if not _EPOCH.year <= day.year <= _LAST_YEAR:
        raise UnreadableTimeError("year_out_of_range")
    return day


def _micros(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
