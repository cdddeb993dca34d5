"""The person's zone per day: local clock ↔ UTC, with DST nights and dated overrides for travel.

Nights on which clocks change are decided here and nowhere else: a time that does not exist (spring) is moved on by the gap and
flagged `dst_gap`; a time that exists twice (autumn) is the first of the two and flagged `dst_overlap`, unless `fold=1` is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from config.errors import SettingsError

_BUCKET = 900  # offsets change on quarter hours only


class Moment(NamedTuple):
    """A wall-clock time brought to UTC."""

    utc: datetime
    flag: str | None
    """None, `dst_gap` or `dst_overlap`."""


def zone(name: str) -> ZoneInfo:
    """The IANA zone of this name; a SettingsError names an example when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"There is no time zone named {name!r}.", "Use an IANA name such as Europe/Warsaw or America/New_York."
        ) from None


def to_utc(local: datetime, tz: tzinfo) -> Moment:
    """A naive local clock time in `tz` as UTC. Raises ValueError for an aware one, OverflowError at the calendar's ends."""
    if local.tzinfo is not None:
        raise ValueError("to_utc takes a local clock time without an offset")
    aware = local.replace(tzinfo=tz)
    utc = aware.astimezone(UTC)
    if utc.astimezone(tz).replace(tzinfo=None, fold=0) != local.replace(fold=0):
        return Moment(utc, "dst_gap")  # PEP 495: fold=0 in a gap takes the offset before it, which lands after the gap
    other = local.replace(tzinfo=tz, fold=1 - local.fold)
    return Moment(utc, "dst_overlap" if other.utcoffset() != aware.utcoffset() else None)


class PersonZones:
    """Which zone the person lived in on which local date.

    `overrides`: `{"from": date, "to": date, "timezone": name}` with inclusive local dates (ISO text or date); later ones win.
    """

    def __init__(self, name: str, overrides: Iterable[Mapping[str, Any]] = ()) -> None:
        self.home = zone(name)
        self._overrides = [(_day(o["from"]), _day(o["to"]), zone(o["timezone"])) for o in overrides][::-1]
        self._memo: dict[tuple[int, int | None], tuple[int, tzinfo]] = {}

    def override_on(self, day: date) -> ZoneInfo | None:
        """The travel zone that covers this local date, if any."""
        return next((tz for first, last, tz in self._overrides if first <= day <= last), None)

    def on(self, day: date, fallback: tzinfo | None = None) -> tzinfo:
        """The zone of this local date: a dated override, else `fallback` (a sheet's or a device's own zone), else home."""
        return self.override_on(day) or fallback or self.home

    def to_utc(self, local: datetime, fallback: tzinfo | None = None) -> Moment:
        """A naive local clock time as UTC, in the zone of its date."""
        return to_utc(local, self.on(local.date(), fallback))

    def offset(self, utc_seconds: float, stated: int | None = None) -> int:
        """The UTC offset in seconds the person lived at; `stated`, an offset the record states itself, is weaker than an override."""
        bucket = int(utc_seconds // _BUCKET)
        found = self._memo.get((bucket, stated))
        if found is None:
            instant = datetime.fromtimestamp(bucket * _BUCKET, UTC)
            tz = self._zone_at(instant, stated)
            delta = instant.astimezone(tz).utcoffset() or timedelta()
            found = self._memo[bucket, stated] = (int(delta.total_seconds()), tz)
        return found[0]

    def local_date(self, utc_seconds: float, stated: int | None = None) -> date:
        """The local calendar day of an instant."""
        return _EPOCH + timedelta(days=int((utc_seconds + self.offset(utc_seconds, stated)) // 86400))

    def local_dates(self, utc_seconds: Sequence[int]) -> tuple[list[int], list[int]]:
        """(offsets in seconds, local days since 1970-01-01) of many instants."""
        offsets = [self.offset(s) for s in utc_seconds]
        return offsets, [(s + o) // 86400 for s, o in zip(utc_seconds, offsets, strict=True)]

    def _zone_at(self, instant: datetime, stated: int | None) -> tzinfo:
        for first, last, tz in self._overrides:
            if first <= instant.astimezone(tz).date() <= last:
                return tz
        return self.home if stated is None else timezone(timedelta(seconds=stated))


_EPOCH = date(1970, 1, 1)


def _day(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
