"""What happens when in the invented life: which days, which zone, when the medication starts, which device covers which weeks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from config.timezones import PersonZones, to_utc
from scripts.mock.chance import between, stream

DAY = timedelta(days=1)
_ABROAD = "America/New_York"
_ABROAD_FOR_AMERICANS = "Europe/London"
_GAP_BLOCK = 41  # days; one stretch without the band may fall into each


class Window(NamedTuple):
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    def covers(self, day: date) -> bool:
        """Whether the day lies inside."""
        return self.first <= day <= self.last

    def days(self) -> Iterator[date]:
        """Every day of it, in order."""
        for n in range((self.last - self.first).days + 1):
            yield self.first + n * DAY


@dataclass(frozen=True)
class Plan:
    """The calendar everything else is drawn from. Windows of devices may be cut short by a short life, never empty."""

    seed: int
    timezone: str
    whole: Window
    zones: PersonZones
    medication: date
    illness: Window
    trip: Window
    trip_zone: str
    sheet: Window
    omblepy: Window
    withings: Window
    omron: Window
    app: Window
    kilopascal: Window
    old_export: Window

    def is_holiday(self, day: date) -> bool:
        """Twelve days in August: long walks, late mornings, no cuff."""
        return day.month == 8 and 4 <= day.day <= 15

    def is_travel(self, day: date) -> bool:
        """The day of a flight: the first of the trip and the one after its last."""
        return day in (self.trip.first, self.trip.last + DAY)

    def clocks_change(self, day: date) -> bool:
        """Whether this day has 23 or 25 hours at home."""
        noon = datetime.combine(day, time(12))
        return noon.replace(tzinfo=self.zones.home).utcoffset() != (noon - DAY).replace(tzinfo=self.zones.home).utcoffset()

    def is_worn(self, day: date) -> bool:
        """Whether the band was on. It always was when the clocks changed: those nights are what the example is to show."""
        block, offset = divmod(day.toordinal(), _GAP_BLOCK)
        rng = stream(self.seed, "gap", block)
        start, length = between(rng, 4, _GAP_BLOCK - 6), between(rng, 0, 5)
        return not start <= offset < start + length or self.clocks_change(day)

    def begins(self, day: date) -> int:
        """The UTC second at which this local day begins for the person, who may wake up in another zone."""
        yesterday, today = self.zones.on(day - DAY), self.zones.on(day)
        midnight = datetime.combine(day, time())
        found = [int(to_utc(midnight, tz).utc.timestamp()) for tz in (today, yesterday)]
        if today is yesterday:
            return found[0]
        fits = (s for s in found if self.zones.local_date(s) == day and self.zones.local_date(s - 1) < day)
        return next(fits, found[0])

    def offset(self, day: date, utc: int) -> int:
        """The UTC offset in seconds at this instant in the zone of this day. Keeps nothing, unlike `PersonZones.offset`."""
        shift = datetime.fromtimestamp(utc, UTC).astimezone(self.zones.on(day)).utcoffset()
        return int(shift.total_seconds()) if shift else 0

    def overrides(self) -> list[dict[str, str]]:
        """The trip as the setting `timezone_overrides`."""
        return _overrides(self.trip, self.trip_zone)

    def events(self) -> list[dict[str, str]]:
        """What happened, as the setting `events`."""
        august = [day for day in self.whole.days() if day.month == 8 and day.day == 4]
        rows = [
            (self.medication, "New tablets, 5 mg in the morning", "medication"),
            (self.illness.first, "A cold, four days", "illness"),
            (self.trip.first, "A week in another time zone", "travel"),
            *((day, "Holiday", "holiday") for day in august),
        ]
        return [{"date": day.isoformat(), "label": label, "kind": kind} for day, label, kind in sorted(rows)]


def make_plan(days: int, end: date, seed: int, timezone: str) -> Plan:
    """The plan of `days` days up to `end`. Raises ValueError for fewer than 7 days and SettingsError for an unknown zone."""
    if days < 7:
        raise ValueError("a mock life takes at least 7 days")
    whole = Window(end - (days - 1) * DAY, end)

    def window(share: float, length: int, shift: int = 0) -> Window:
        first = min(max(whole.first, whole.first + timedelta(days=int(days * share) + shift)), end)
        return Window(first, min(end, first + (length - 1) * DAY))

    trip_zone = _ABROAD_FOR_AMERICANS if timezone.startswith("America/") else _ABROAD
    trip = window(0.72, 7)
    sheet = window(0.12, max(7, int(days * 0.67)))
    old = min(45, days * 11 // 20)
    return Plan(
        seed=seed,
        timezone=timezone,
        whole=whole,
        zones=PersonZones(timezone, _overrides(trip, trip_zone)),
        medication=window(0.45, 1).first,
        illness=window(0.09, 4),
        trip=trip,
        trip_zone=trip_zone,
        sheet=sheet,
        omblepy=window(0.0, 42),
        withings=window(0.33, 21),
        omron=window(0.79, 56, shift=-14),
        app=window(1.0, 35, shift=-45),
        kilopascal=window(1.0, 10, shift=-10),
        old_export=window(0.55, old, shift=-old),
    )


def _overrides(trip: Window, zone: str) -> list[dict[str, Any]]:
    return [{"from": trip.first.isoformat(), "to": trip.last.isoformat(), "timezone": zone}]
