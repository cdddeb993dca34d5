"""When a row of a Zepp Life table was: UTC where the vendor writes an offset or an epoch, the person's clock where it writes none."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from config.epoch import epoch_micros
from config.timezones import PersonZones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?(?:\.\d{1,6})? ?(?:Z|[+-]\d\d:?\d\d)", re.ASCII)
_NUMBER = re.compile(r"\d{9,19}", re.ASCII)


class Instant(NamedTuple):
    """A moment and how it was read."""

    utc: datetime
    offset: int
    """Seconds east of UTC with which it was read."""
    flag: str | None = None
    """`dst_gap` or `dst_overlap`."""
    again: bool = False
    """Whether it is the second moment of this clock time."""


class LocalClock:
    """Local dates and times of one table, in the order of its rows."""

    def __init__(self, zones: PersonZones) -> None:
        self._zones = zones
        self._twice: set[datetime] = set()

    def at(self, local: datetime) -> Instant:
        """The moment of a local clock time. Where clocks are set back an hour is told twice: a minute that comes again is the second."""
        moment = self._zones.to_utc(local)
        again = moment.flag == "dst_overlap" and local in self._twice
        if again:
            moment = self._zones.to_utc(local.replace(fold=1))
        elif moment.flag == "dst_overlap":
            self._twice.add(local)
        return Instant(moment.utc, round((local - moment.utc.replace(tzinfo=None)).total_seconds()), moment.flag, again)

    def midnight(self, day: str) -> Instant | None:
        """The beginning of a local day; None when there is no such day."""
        found = read_day(day)
        if found is None:
            return None
        local = datetime(found.year, found.month, found.day)  # noqa: DTZ001  local clock
        moment = self._zones.to_utc(local)
        return Instant(moment.utc, round((local - moment.utc.replace(tzinfo=None)).total_seconds()))


def read_day(text: str) -> date | None:
    """`2025-01-09` as a date; None for anything else."""
    match = _DATE.fullmatch(text.strip())
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def read_local(day: str, clock: str) -> datetime | None:
    """A date and `HH:MM` or `HH:MM:SS` as a local clock time; None when either is none."""
    found, match = read_day(day), _CLOCK.fullmatch(clock.strip())
    if found is None or match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return datetime(found.year, found.month, found.day, hour, minute, second)  # noqa: DTZ001  local clock


def read_stamp(text: str) -> Instant | None:
    """`2025-01-20 10:20:26+0000` or an epoch in any unit; None for anything else, a stamp without an offset included."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        micros = epoch_micros(int(text))
        return None if micros is None else Instant(_EPOCH + timedelta(microseconds=micros), 0)
    if not _STAMP.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
        return Instant(found.astimezone(UTC), round((found.utcoffset() or timedelta()).total_seconds()))
    except (ValueError, OverflowError):
        return None
