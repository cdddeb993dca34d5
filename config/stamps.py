"""Times as exports write them: `03/01/26 08:00:02`, `2026-03-01T08:00:02Z`, `2026-03-01 08:00:02.000`, `2026-03-01`, in one archive.

What has no zone is the person's clock. In a series an hour told twice in autumn is recognised by the clock going back.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import NamedTuple

from config.timezones import PersonZones

_US = re.compile(r"(\d\d)/(\d\d)/(\d\d)(?: (\d\d):(\d\d):(\d\d))?", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_WENT_BACK = timedelta(minutes=10)
"""Samples come out of order by seconds; a clock that is put back goes further."""


class Stamp(NamedTuple):
    """What a stamp says."""

    utc: datetime | None
    offset: int | None = None
    """Seconds east of UTC it was read with."""
    again: bool = False
    """Whether it is of the second of the two hours of one name."""
    error: str | None = None
    """`bad_time`, `no_such_time`."""


class Stamps:
    """Reads the stamps of one file, in its order."""

    def __init__(self, zones: PersonZones) -> None:
        self._zones = zones
        self._offsets: dict[datetime, tuple[timedelta, timedelta | None]] = {}
        self._last: datetime | None = None
        self._again = False
        self._ten: tuple[str, datetime, int] | None = None
        """The beginning that stamps of the current ten minutes share, when that is in UTC, and the offset."""

    def read(self, text: object, *, by_day: bool = False, series: bool = False) -> Stamp:
        """`by_day`: the midnight that begins the local day named, whatever else is written. `series`: stamps follow each other."""
        if series and (recent := self._of_these_ten_minutes(text)) is not None:
            return recent
        local, zone = _parse(text)
        if local is None:
            return Stamp(None, error=zone if isinstance(zone, str) else "bad_time")
        if by_day:
            return self._of(datetime.combine(local.date(), time()), series=False)
        if isinstance(zone, timezone):
            utc = local.replace(tzinfo=zone).astimezone(UTC)
            return Stamp(utc, int(zone.utcoffset(None).total_seconds()))
        found = self._of(local, series=series)
        slashed = series and str(text)[2] == "/"
        if slashed and found.utc is not None and found.offset is not None and self._offsets[_ten(local)][1] is None:
            self._ten = (str(text)[:13], found.utc - (local - _ten(local)), found.offset)
        return found

    def _of_these_ten_minutes(self, text: object) -> Stamp | None:
        """Samples come by the thousand: all of ten minutes on which no clock changes are read by their last digits."""
        if self._ten is None or type(text) is not str or len(text) != 17 or not text.startswith(self._ten[0]):
            return None
        minute, second = text[13], text[15:]
        if text[14] != ":" or not (minute + second).isdecimal() or not text.isascii() or second > "59":
            return None
        return Stamp(self._ten[1] + timedelta(minutes=int(minute), seconds=int(second)), self._ten[2])

    def day(self, text: object) -> date | None:
        """The calendar day written, in whatever style."""
        local, _ = _parse(text)
        return None if local is None else local.date()

    def _of(self, local: datetime, *, series: bool) -> Stamp:
        tens = _ten(local)
        found = self._offsets.get(tens)
        if found is None:
            found = self._offsets[tens] = self._look(tens)
        first, second = found
        if second is None or not series:
            self._again = False
        elif self._last is not None and local < self._last - _WENT_BACK:
            self._again = True
        self._last = local
        offset = second if self._again and second is not None else first
        utc = (local - offset).replace(tzinfo=UTC)
        return Stamp(utc, self._zones.offset(utc.timestamp()), self._again)

    def _look(self, local: datetime) -> tuple[timedelta, timedelta | None]:
        """The offset of a local time, and the other one where the clock shows it twice. Clocks change on tens of minutes only."""
        utc, flag = self._zones.to_utc(local)
        first = local - utc.replace(tzinfo=None)
        if flag != "dst_overlap":
            return first, None
        return first, local - self._zones.to_utc(local.replace(fold=1)).utc.replace(tzinfo=None)


def _ten(local: datetime) -> datetime:
    return local.replace(minute=local.minute // 10 * 10, second=0, microsecond=0)


def offset_of(text: object) -> int | None:
    """Seconds east of UTC of `+05:30`, `-0800` or `Z`; None for anything else."""
    zone = _zone(text) if isinstance(text, str) else None
    return None if zone is None else int(zone.utcoffset(None).total_seconds())


def _parse(text: object) -> tuple[datetime | None, timezone | str | None]:
    """(as written, its zone or None); (None, why) for what cannot be read."""
    if not isinstance(text, str):
        return None, "bad_time"
    if us := _US.fullmatch(text):
        month, day, year, hour, minute, second = (int(part or 0) for part in us.groups())
        return _datetime(year + 2000, month, day, hour, minute, second, 0), None
    if iso := _ISO.fullmatch(text):
        year, month, day, hour, minute, second = (int(iso[n] or 0) for n in range(1, 7))
        micros = int((iso[7] or "0").ljust(9, "0")[:6]) if iso[7] else 0
        local = _datetime(year, month, day, hour, minute, second, micros)
        zone = _zone(iso[8]) if iso[8] else None
        return (None, "bad_time") if iso[8] and zone is None else (local, "no_such_time" if local is None else zone)
    return None, "bad_time"


def _datetime(year: int, month: int, day: int, hour: int, minute: int, second: int, micros: int) -> datetime | None:
    try:
        return datetime(year, month, day, hour, minute, second, micros)  # noqa: DTZ001  its zone is found by the caller
    except ValueError:
        return None


def _zone(text: str) -> timezone | None:
    if text == "Z":
        return UTC
    found = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text, re.ASCII)
    minutes = int(found[2]) * 60 + int(found[3]) if found else 1440
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes)) if minutes < 1440 else None
