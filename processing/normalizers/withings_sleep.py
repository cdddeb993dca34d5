"""Withings sleep: one night told by sleep.csv, by the API's summary and by its single states comes out once, for the day of waking.

The summary is believed first, then the row of sleep.csv, then sessions put together from states (0 awake, 1 light, 2 deep, 3 REM),
which a longer gap than an hour ends. Asleep is light + deep + REM; awake minutes are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from config.errors import SettingsError
from config.timezones import PersonZones, zone
from processing.normalizers.building import Normalized
from processing.normalizers.mi_fitness_sleep import MINUTE, Session, choose
from processing.normalizers.moments import SECOND, night
from processing.normalizers.newest import Row
from processing.normalizers.numbers import number

_RANK = {"sleep_summary": 2, "sleep": 1, "sleep_state": 0}
_GAP = 60 * MINUTE
_LONGEST = 24 * 60 * MINUTE
_CSV = {"sleep_light": "light (s)", "sleep_deep": "deep (s)", "sleep_rem": "rem (s)", "sleep_awake": "awake (s)"}
_SUMMARY = {
    "sleep_light": "lightsleepduration",
    "sleep_deep": "deepsleepduration",
    "sleep_rem": "remsleepduration",
    "sleep_awake": "wakeupduration",
}
_STATES = {0: "sleep_awake", 1: "sleep_light", 2: "sleep_deep", 3: "sleep_rem"}
_ASLEEP = ("sleep_light", "sleep_deep", "sleep_rem")


@dataclass
class _Teller:
    """The records that tell one session."""

    rows: list[Row]
    stated: tuple[int | None, int | None]
    rate: float | None = None
    """Breaths per minute of the night."""


class _NoSessionError(ValueError):
    """The record tells no usable session; the message is the reason code."""


class Nights:
    """Collects what tells of sleep, then gives every night once."""

    def __init__(self, zones: PersonZones, out: Normalized) -> None:
        self._zones, self._out = zones, out
        self._tellers: list[_Teller] = []
        self._sessions: list[Session] = []
        self._states: list[tuple[int, int, str, Row]] = []

    def take(self, row: Row, raw: Mapping[str, Any]) -> None:
        """A record of one of the three tables."""
        try:
            if raw["table"] == "sleep_state":
                start, end, state = row.stamp or 0, _epoch(raw["enddate"]), _STATES.get(raw["state"])
                if state is None:
                    self._out.fates["unused:sleep_state_unknown"] += 1
                    return
                _check(start, end)
                self._states.append((start, end, state, row))
            elif raw["table"] == "sleep":
                self._row(row, raw)
            else:
                self._summary(row, raw)
        except _NoSessionError as none:
            self._out.drop(row, str(none))

    def finish(self) -> None:
        """Write the sessions, once all records are known."""
        self._from_states()
        kept, again = choose(self._sessions)
        for session in kept:
            self._give(session, self._tellers[session.owner])
        for session in again:
            self._out.fates["duplicate"] += len(self._tellers[session.owner].rows)

    def _row(self, row: Row, raw: Mapping[str, Any]) -> None:
        start, ends = row.stamp or 0, _written(raw["to"])
        if ends is None:
            raise _NoSessionError("no_sleep_window")
        end, offset = ends
        begins = _written(raw["from"])
        _check(start, end)
        minutes = {metric: seconds / 60 for metric, key in _CSV.items() if (seconds := _number(raw.get(key))) is not None}
        stated = (begins[1] if begins else None, offset)
        self._tell(_Teller([row], stated), start, end, minutes, _RANK["sleep"])

    def _summary(self, row: Row, raw: Mapping[str, Any]) -> None:
        start, end, data = row.stamp or 0, _epoch(raw["enddate"]), raw["data"]
        _check(start, end)
        minutes = {metric: seconds / 60 for metric, key in _SUMMARY.items() if (seconds := _number(data.get(key))) is not None}
        stated = _offset(raw.get("timezone"), start), _offset(raw.get("timezone"), end)
        rate = _number(data.get("rr_average")) or None
        score = _number(data.get("sleep_score")) or None
        self._tell(_Teller([row], stated, rate), start, end, minutes, _RANK["sleep_summary"], score)

    def _from_states(self) -> None:
        run: list[tuple[int, int, str, Row]] = []
        for state in sorted(self._states, key=lambda s: (s[0], s[1], s[3].raw_id)):
            if run and state[0] - max(s[1] for s in run[-1:]) > _GAP:
                self._tell_run(run)
                run = []
            run.append(state)
        if run:
            self._tell_run(run)

    def _tell_run(self, run: list[tuple[int, int, str, Row]]) -> None:
        minutes: dict[str, float] = {}
        until = 0
        for start, end, state, _ in run:  # states of two devices may overlap: time is told once
            minutes[state] = minutes.get(state, 0.0) + max(0, end - max(start, until)) / MINUTE
            until = max(until, end)
        rows = [row for *_, row in run]
        try:
            _check(run[0][0], until)
            self._tell(_Teller(rows, (None, None)), run[0][0], until, minutes, _RANK["sleep_state"])
        except _NoSessionError as none:
            for row in rows:
                self._out.drop(row, str(none))

    def _tell(
        self, teller: _Teller, start: int, end: int, minutes: dict[str, float], rank: int, score: float | None = None
    ) -> None:
        asleep = sum(minutes.get(stage, 0.0) for stage in _ASLEEP)
        if asleep <= 0:
            raise _NoSessionError("no_sleep")
        self._tellers.append(teller)
        self._sessions.append(
            Session(len(self._tellers) - 1, start, end, minutes | {"sleep_duration": asleep}, rank, score=score)
        )

    def _give(self, session: Session, teller: _Teller) -> None:
        when = night(self._zones, session.start, session.end, teller.stated)
        readings = dict(session.minutes)
        if session.score is not None:
            readings["sleep_score"] = session.score
        if teller.rate is not None:
            readings["respiratory_rate"] = teller.rate
        for metric, value in readings.items():
            self._out.add(metric, value, when, scope="session", device="", raw_id=teller.rows[0].raw_id)
        self._out.fates["accepted"] += len(teller.rows)


def _check(start: int, end: int) -> None:
    if not 0 < end - start <= _LONGEST:
        raise _NoSessionError("bad_sleep_window")


def _epoch(seconds: Any) -> int:
    return seconds * SECOND if type(seconds) is int and 0 <= seconds < 1 << 33 else 0


def _number(value: Any) -> float | None:
    """A number, also as a CSV writes it; None for what is none or below zero."""
    try:
        found = number(float(value) if isinstance(value, str) else value)
    except ValueError:
        return None
    return found if found is not None and found >= 0 else None


def _written(text: str) -> tuple[int, int | None] | None:
    """(microseconds since 1970, UTC offset in seconds) of a time with an offset; None for anything else."""
    try:
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            return None
        micros = (found.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None
    offset = found.utcoffset()
    return micros, None if offset is None else int(offset.total_seconds())


def _offset(name: Any, micros: int) -> int | None:
    """The UTC offset in seconds of a named zone at a moment; None where the record names none that exists."""
    if not isinstance(name, str):
        return None
    try:
        found = datetime.fromtimestamp(micros / SECOND, UTC).astimezone(zone(name)).utcoffset()
    except SettingsError:
        return None
    return None if found is None else int(found.total_seconds())
