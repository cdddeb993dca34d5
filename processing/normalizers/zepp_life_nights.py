"""All sleep of a Zepp Life export: nights and naps of SLEEP, days without a window, and what only the minutes of SLEEP_MINUTE tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import date
from typing import Any, NamedTuple

from processing.normalizers.mi_fitness_sleep import NoSessionError, Session, choose
from processing.normalizers.newest import Row
from processing.normalizers.zepp_life_minutes import Minutes, local_nights
from processing.normalizers.zepp_life_sleep import day_minutes, naps, night
from processing.normalizers.zepp_life_writing import SECOND, SENTINELS, Writing, micros, plain_number

HOUR = 3600 * SECOND


class _Told(NamedTuple):
    """A row of SLEEP."""

    row: Row
    raw: dict[str, Any]
    day: date


class Nights:
    """Collects the rows and writes them when all are there."""

    def __init__(self, writing: Writing) -> None:
        self._writing, self._out, self._zones = writing, writing.out, writing.zones
        self._told: list[_Told] = []
        self._minutes = Minutes()

    def take(self, row: Row, raw: dict[str, Any], day: date) -> None:
        """A row of SLEEP."""
        self._told.append(_Told(row, raw, day))

    def take_minute(self, row: Row, raw: dict[str, Any]) -> None:
        """A row of SLEEP_MINUTE."""
        heart, breath = (plain_number(raw.get(name)) for name in ("hr", "respiratory_rate"))
        missing = (0, *SENTINELS)
        self._minutes.add(raw, row.raw_id, None if heart in missing else heart, None if breath in missing else breath)

    def finish(self, sampled: Collection[int]) -> None:
        """Write everything. `sampled`: hours since 1970, UTC, in which other tables hold heart rates."""
        kept, again, refused = self._sessions()
        for session in kept:
            flags = ["nap"] if session.nap else []
            when = self._writing.ended(session.start, session.end)
            for metric, value in session.minutes.items():
                self._writing.add(metric, value, when, "session", self._told[session.owner].row.raw_id, flags)
        given = {session.owner for session in kept}
        slept = {self._zones.local_date(s.end / SECOND) for s in kept if not s.nap}
        for owner, told in enumerate(self._told):
            if owner in given:
                self._out.fates["accepted"] += 1
            elif owner in refused:
                self._out.drop(told.row, refused[owner])
            elif owner in again:
                self._out.fates["duplicate"] += 1
            else:
                self._only_a_day(told, slept)
        self._by_minute(kept, sampled)

    def _sessions(self) -> tuple[list[Session], set[int], dict[int, str]]:
        """(sessions told once, rows that tell one again, rows whose window cannot be and why)."""
        found: list[Session] = []
        refused: dict[int, str] = {}
        for owner, (row, raw, day) in enumerate(self._told):
            try:
                found += [session for session in (night(raw, owner),) if session is not None]
            except NoSessionError as none:
                refused[owner] = str(none)
            short, unusable = naps(raw, owner, day, self._zones)
            found += short
            if unusable:
                self._out.reject(row, "no_sleep_window", "naps")
        kept, again = choose(found)
        return kept, {session.owner for session in again}, refused

    def _only_a_day(self, told: _Told, slept: set[date]) -> None:
        """A row without a window gives the day's minutes, where no session of that day says more."""
        minutes = day_minutes(told.raw)
        if not minutes:
            self._out.fates["unused:no_sleep"] += 1
        elif told.day in slept:
            self._out.fates["unused:told_by_session"] += 1
        else:
            for metric, value in minutes.items():
                self._writing.add(metric, value, self._writing.whole(told.day), "day", told.row.raw_id)
            self._out.fates["accepted"] += 1

    def _by_minute(self, sessions: list[Session], sampled: Collection[int]) -> None:
        """Breaths, heart beats of hours without samples of their own, nights without a row of SLEEP."""
        samples, runs, strays = self._minutes.dated(local_nights(sessions, self._zones.offset))
        used = sum(run.rows for run in runs)
        for sample in samples:
            when = self._writing.at(micros(self._zones.to_utc(sample.local).utc))
            told = {"respiratory_rate": sample.respiratory_rate}
            if when.start // HOUR not in sampled:
                told["heart_rate"] = sample.heart_rate
            told = {metric: value for metric, value in told.items() if value == value}  # noqa: PLR0124  NaN: not measured
            for metric, value in told.items():
                self._writing.add(metric, value, when, "instant", sample.raw_id)
            used += bool(told) and not sample.used
            strays -= bool(told) and not (sample.told or sample.used)
        for run in runs:
            start, end = (micros(self._zones.to_utc(at).utc) for at in (run.first, run.last))
            for metric, value in run.minutes.items():
                self._writing.add(metric, value, self._writing.ended(start, end), "session", run.raw_id)
        fates = Counter({"accepted": used, "unused:stray_minute": strays})
        fates["unused:told_by_session"] = len(self._minutes) - used - strays
        self._out.fates.update(+fates)
