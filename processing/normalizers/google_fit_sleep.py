"""Google Fit sleep: segments put together to nights, which a gap of more than an hour ends; a session in bed where there are none.

Segments: of `sleep.segment` 1 awake, 2 asleep, 3 out of bed, 4 light, 5 deep, 6 REM; of `activity.segment` 72 asleep, 109 light, 110
deep, 111 REM, 112 awake; its other activities are no sleep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from config.stamps import Stamps
from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.mi_fitness_sleep import MINUTE, Session, choose
from processing.normalizers.moments import SECOND, night
from processing.normalizers.newest import Row

_STATES = {
    "sleep": {1: "sleep_awake", 2: "asleep", 4: "sleep_light", 5: "sleep_deep", 6: "sleep_rem"},
    "activity": {72: "asleep", 109: "sleep_light", 110: "sleep_deep", 111: "sleep_rem", 112: "sleep_awake"},
}
_RANKS = {"merged": 3, "derived": 2, "raw": 1, "session": 0}
_GAP = 60 * MINUTE
_LONGEST = 24 * 60 * MINUTE


@dataclass
class _Segment:
    """A part of a night."""

    start: int
    end: int
    state: str
    row: Row


class Nights:
    """Collects what tells of sleep, then gives every night once."""

    def __init__(self, zones: PersonZones, out: Normalized) -> None:
        self._zones, self._out = zones, out
        self._segments: dict[tuple[int, str], list[_Segment]] = {}

    def segment(self, row: Row, table: str, code: float | None, end: int, origin: str) -> None:
        """A data point; `end` in microseconds, UTC."""
        rank, _, kind = table.partition(".")
        state = _STATES[kind].get(int(code)) if code is not None else None
        if state is None:
            self._out.fates["unused:no_sleep"] += 1
        elif not 0 < end - (row.stamp or 0) <= _LONGEST:
            self._out.drop(row, "bad_sleep_window")
        else:
            self._segments.setdefault((_RANKS[rank], origin), []).append(_Segment(row.stamp or 0, end, state, row))

    def session(self, row: Row, raw: Mapping[str, Any]) -> None:
        """A night in bed."""
        utc = Stamps(self._zones).read(raw.get("endTime")).utc
        end = 0 if utc is None else round(utc.timestamp() * SECOND)
        if not 0 < end - (row.stamp or 0) <= _LONGEST:
            self._out.drop(row, "bad_sleep_window")
        else:
            self._segments.setdefault((_RANKS["session"], row.raw_id), []).append(_Segment(row.stamp or 0, end, "asleep", row))

    def finish(self) -> None:
        """Every night once, for the day of waking."""
        tellers: list[list[_Segment]] = []
        sessions = []
        for (rank, _), segments in sorted(self._segments.items()):
            for run in _runs(sorted(segments, key=lambda s: (s.start, s.end, s.row.raw_id))):
                session = _session(run, len(tellers), rank)
                if session is None:
                    for segment in run:
                        self._out.drop(segment.row, "no_sleep")
                else:
                    tellers.append(run)
                    sessions.append(session)
        kept, again = choose(sessions)
        for session in kept:
            when = night(self._zones, session.start, session.end)
            for metric, value in session.minutes.items():
                raw_id = tellers[session.owner][0].row.raw_id
                self._out.add(metric, value, when, scope="session", device="", raw_id=raw_id)
            self._out.fates["accepted"] += len(tellers[session.owner])
        for session in again:
            self._out.fates["duplicate"] += len(tellers[session.owner])


def _runs(segments: list[_Segment]) -> Iterable[list[_Segment]]:
    run, until = [segments[0]], segments[0].end
    for segment in segments[1:]:
        if segment.start - until > _GAP:
            yield run
            run = []
        run.append(segment)
        until = max(until, segment.end)
    yield run


def _session(run: list[_Segment], owner: int, rank: int) -> Session | None:
    start, end = run[0].start, max(s.end for s in run)
    minutes: dict[str, float] = {}
    for segment in run:
        minutes[segment.state] = minutes.get(segment.state, 0.0) + (segment.end - segment.start) / MINUTE
    asleep = sum(value for state, value in minutes.items() if state != "sleep_awake")
    if not 0 < asleep <= (end - start) / MINUTE + 1 or end - start > _LONGEST:
        return None
    minutes.pop("asleep", None)
    return Session(owner, start, end, minutes | {"sleep_duration": asleep}, rank)
