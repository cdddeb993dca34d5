"""The one physiological truth behind all files: what this body did on a day, drawn from (seed, day) alone.

Every day can be asked for on its own and in any order, so nothing is kept and a writer may stream ten years. The figures are
plausible for a person in the fifties with untreated stage 1–2 hypertension; none is taken from real data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import NamedTuple

from config.timezones import to_utc
from scripts.mock.chance import bell, between, pick, ramp, stream, wave
from scripts.mock.plan import DAY, Plan

DEEP, LIGHT, REM, AWAKE = 2, 3, 4, 5
"""Sleep states as Mi Fitness numbers them."""
HALF_HOUR = 1800

# How steps spread over the local hours: to work, lunch, home, an evening walk; on a day off one long walk before noon.
_WORKDAY = (0, 0, 0, 0, 0, 1, 4, 9, 6, 3, 3, 3, 6, 5, 3, 3, 5, 9, 7, 8, 5, 3, 1, 0)
_DAY_OFF = (0, 0, 0, 0, 0, 0, 1, 2, 4, 7, 10, 9, 6, 5, 5, 6, 6, 5, 4, 4, 3, 2, 1, 0)
_SPORTS = (("outdoor_walking", 1, True), ("outdoor_riding", 6, False), ("outdoor_walking", 1, True))


class Sleep(NamedTuple):
    """One stretch of sleep in UTC seconds; `stages` are (start, end, state) without holes."""

    start: int
    end: int
    stages: tuple[tuple[int, int, int], ...]

    def minutes(self, state: int) -> int:
        """Minutes spent in this state."""
        return sum(b - a for a, b, s in self.stages if s == state) // 60


class Workout(NamedTuple):
    """A recorded sport: vendor key, the vendor's opaque type, UTC seconds, and whether it makes steps."""

    key: str
    sport_type: int
    start: int
    end: int
    on_foot: bool


class Reading(NamedTuple):
    """One cuff inflation at a local clock time, in mmHg and beats per minute."""

    local: datetime
    systolic: int
    diastolic: int
    pulse: int
    moved: bool
    irregular: bool
    morning: bool


@dataclass(frozen=True)
class Person:
    """The body of a plan."""

    plan: Plan

    def _rng(self, what: str, day: date) -> Random:
        return stream(self.plan.seed, what, day)

    def night(self, day: date) -> Sleep | None:
        """The night that ends on this day; None after the overnight flight home."""
        if day == self.plan.trip.last + DAY:
            return None
        rng = self._rng("night", day)
        late = day.weekday() >= 5 or self.plan.is_holiday(day)
        bed, wake = bell(rng, 8 if late else -62, 24), bell(rng, 486 if late else 388, 18)
        start, end = self._at(day, bed), self._at(day, wake)
        return Sleep(start, end, tuple(_stages(rng, start, end)))

    def nap(self, day: date) -> Sleep | None:
        """The nap of this day, rarely."""
        rng = self._rng("nap", day)
        if rng.random() > (0.2 if day.weekday() >= 5 else 0.05) or self.plan.is_travel(day):
            return None
        start = self._at(day, between(rng, 810, 920))
        end = start + 60 * between(rng, 25, 75)
        return Sleep(start, end, ((start, end, LIGHT),))

    def workout(self, day: date) -> Workout | None:
        """The sport of this day, on two or three days a week."""
        rng = self._rng("workout", day)
        if rng.random() > (0.5 if day.weekday() in (1, 3, 5) else 0.1) or self.plan.is_travel(day) or self._is_ill(day):
            return None
        key, sport_type, on_foot = pick(rng, _SPORTS)
        start = self._at(day, between(rng, 600, 680) if day.weekday() >= 5 else between(rng, 1040, 1100))
        return Workout(key, sport_type, start, start + 60 * between(rng, 35, 75), on_foot)

    def steps(self, day: date) -> list[tuple[int, int]]:
        """(UTC start, steps) of each half hour of the local day with steps in it."""
        rng = self._rng("steps", day)
        off = day.weekday() >= 5 or self.plan.is_holiday(day)
        goal = bell(rng, 5400 if off else 6600, 1300) - 900 * wave(_season(day)) + (4600 if self.plan.is_holiday(day) else 0)
        goal = max(900.0, goal) * (0.35 if self._is_ill(day) else 1.0)
        profile, asleep, workout = (_DAY_OFF if off else _WORKDAY), self._asleep(day), self.workout(day)
        found = []
        for start in range(self.plan.begins(day), self.plan.begins(day + DAY), HALF_HOUR):
            share = profile[(start + self.plan.offset(day, start)) // 3600 % 24] / (2 * sum(profile))
            count = int(goal * share * (0.4 + 1.2 * rng.random()))
            if workout and workout.on_foot and workout.start - HALF_HOUR < start < workout.end:
                count += between(rng, 1500, 2600)
            if count > 8 and not any(a <= start < b for a, b in asleep):
                found.append((start, count))
        return found

    def resting_heart_rate(self, day: date) -> int:
        """Beats per minute at rest; falls a little with the months, rises with a cold."""
        fitness = 3 * ramp((day - self.plan.whole.first).days / 300)
        return round(bell(self._rng("resting", day), 62 - fitness, 1.3) + (8 if self._is_ill(day) else 0))

    def heart_rate(self, day: date, every: int) -> Iterator[tuple[int, int]]:
        """(UTC second, beats per minute as the band writes them) every `every` seconds of the local day; `every` divides 1800.

        Now and then the band is on the charger, single samples are missing, and sensor errors are written as 0 and 255.
        """
        rng, resting = self._rng("heart", day), self.resting_heart_rate(day)
        chance = rng.random
        asleep, steps, workout = self._asleep(day), dict(self.steps(day)), self.workout(day)
        off_from = self._at(day, between(rng, 1130, 1250)) if chance() < 0.35 else 0
        off_to = off_from + 60 * between(rng, 35, 80)
        first, last = self.plan.begins(day), self.plan.begins(day + DAY)
        for bin_start in range(first, last, HALF_HOUR):
            noon = wave(((bin_start + self.plan.offset(day, bin_start)) % 86400) / 86400 - 0.62)
            awake = resting + 13 + 4 * noon + min(40, steps.get(bin_start, 0) / 55)
            for t in range(bin_start, min(last, bin_start + HALF_HOUR), every):
                draw, error = chance() + chance() + chance() - 1.5, chance()
                if off_from <= t < off_to or error > 0.988:
                    continue
                if any(a <= t < b for a, b in asleep):
                    beats = resting - 4 + 6 * draw
                elif workout and workout.start <= t < workout.end:
                    beats = resting + 52 + 20 * draw
                else:
                    beats = awake + 11 * draw
                yield t, 0 if error < 0.0012 else 255 if error < 0.0018 else max(38, round(beats))

    def weight(self, day: date) -> float | None:
        """Kilograms on the scale, twice a week; slowly less, a little more in winter."""
        rng = self._rng("weight", day)
        if rng.random() > 0.28:
            return None
        trend = 3.5 * ramp((day - self.plan.whole.first).days / 365)
        return round(bell(rng, 86.0 - trend + 0.8 * wave(_season(day)), 0.35), 1)

    def oxygen(self, day: date) -> list[tuple[int, int]]:
        """(UTC second, percent) of the night's samples; 0 where the sensor lost the skin."""
        night, rng = self.night(day), self._rng("oxygen", day)
        if night is None:
            return []
        times = (night.start + (night.end - night.start) * k // 3 // 60 * 60 for k in (1, 2))
        return [(t, 0 if rng.random() < 0.02 else min(100, round(bell(rng, 96.2, 1.1)))) for t in times]

    def readings(self, day: date) -> list[Reading]:
        """The day's cuff readings: two in the morning, two in the evening, when he thought of it."""
        if self.plan.is_holiday(day) or self.plan.is_travel(day):
            return []
        rng, night = self._rng("cuff", day), self.night(day)
        found: list[Reading] = []
        for morning in (True, False):
            minute = between(rng, 415, 455) if morning else between(rng, 1200, 1305)
            if morning and day.weekday() >= 5:
                minute += 110
            asleep = (night.end - night.start) / 60 if night else 400
            if rng.random() < (0.08 if morning else 0.17):
                continue
            tired = (430 - asleep) / 60 * 1.5 if morning else 0.0
            found += self._sitting(rng, day, minute, morning, tired)
        return found

    def _sitting(self, rng: Random, day: date, minute: int, morning: bool, tired: float) -> Iterator[Reading]:
        """Two inflations two minutes apart, the second a little lower."""
        treated = ramp((day - self.plan.medication).days / 21)  # full effect after three weeks
        winter, monday = wave(_season(day)), (2 if day.weekday() == 0 else -2 if day.weekday() >= 5 else 0)
        usual = 142 + 2.5 * winter + monday + tired - 12 * treated + (0 if morning else -3)
        systolic = bell(rng, usual, 5.5)
        diastolic = bell(rng, 89 + 1.2 * winter - 7 * treated + (0 if morning else -2) + 0.45 * (systolic - usual), 2.8)
        pulse = self.resting_heart_rate(day) + bell(rng, 6, 3)
        local = datetime.combine(day, time()) + timedelta(minutes=minute)
        for n in range(2):
            high, low = round(systolic - 2.5 * n + bell(rng, 0, 2)), round(diastolic - n + bell(rng, 0, 1.5))
            moved, irregular = rng.random() < 0.03, rng.random() < 0.01
            yield Reading(
                local + n * timedelta(minutes=2), high, low, round(pulse + bell(rng, 0, 1.5)), moved, irregular, morning
            )

    def _at(self, day: date, minute: float) -> int:
        """The UTC second of a local minute counted from midnight of this day, on the clock the person lives by that morning."""
        tz = self.plan.zones.on(day - DAY if day == self.plan.trip.first else day)
        return int(to_utc(datetime.combine(day, time()) + timedelta(minutes=int(minute)), tz).utc.timestamp())

    def _asleep(self, day: date) -> list[tuple[int, int]]:
        """Spans of sleep that touch the day; the coming night begins on it."""
        spans = (self.night(day), self.nap(day), self.night(day + DAY))
        return [(s.start, s.end) for s in spans if s]

    def _is_ill(self, day: date) -> bool:
        return self.plan.illness.covers(day)


def _season(day: date) -> float:
    """Turns of the year since the middle of January, the coldest days."""
    return (day.timetuple().tm_yday - 15) / 365.25


def _stages(rng: Random, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Cycles of about 90 minutes: deep sleep early, dreams late, short awakenings."""
    at, cycle = start, 0
    while at < end:
        awake = between(rng, 3, 12) if rng.random() < 0.35 else 0
        parts = (
            (LIGHT, bell(rng, 26, 6)),
            (DEEP, bell(rng, 36 - 9 * cycle, 5)),
            (LIGHT, bell(rng, 22, 5)),
            (REM, bell(rng, 9 + 7 * cycle, 4)),
            (AWAKE, awake),
        )
        for state, minutes in parts:
            to = min(end, at + 60 * int(minutes))
            if minutes >= 3 and at < to:
                yield at, to, state
                at = to
        cycle += 1
