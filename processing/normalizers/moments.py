"""The times of readings: an instant, an interval, a sleep session and a whole local day, where the person was."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from config.timezones import PersonZones, to_utc
from processing.normalizers.building import When

SECOND = 1_000_000
_DAY = 86_400 * SECOND
_EPOCH = date(1970, 1, 1)


def instant(zones: PersonZones, start: int, length: int = 0, stated: int | None = None) -> When:
    """From `start` (microseconds since 1970, UTC), `length` microseconds long; counts for the local day it starts in."""
    offset = zones.offset(start / SECOND, stated)
    return When(start, start + length, offset, (start + offset * SECOND) // _DAY)


def night(zones: PersonZones, start: int, end: int, stated: tuple[int | None, int | None] = (None, None)) -> When:
    """A sleep session counts for the day of waking. `stated`: the UTC offsets the record says for its start and its end."""
    day = zones.local_date(end / SECOND, stated[1])
    return When(start, end, zones.offset(start / SECOND, stated[0]), (day - _EPOCH).days)


def whole_day(zones: PersonZones, day: date) -> When:
    """A local day from midnight to midnight: 23 or 25 hours long when the clocks change."""
    zone = zones.on(day)
    first = to_utc(datetime.combine(day, time()), zone).utc
    last = to_utc(datetime.combine(day + timedelta(days=1), time()), zone).utc
    offset = first.astimezone(zone).utcoffset() or timedelta()
    return When(_micros(first), _micros(last), int(offset.total_seconds()), (day - _EPOCH).days)


def _micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
