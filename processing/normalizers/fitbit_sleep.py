"""Fitbit sleep: a night told by `sleep.json` and again by `UserSleeps.csv` (other ids) comes out once, for the day of waking.

The CSV is believed first where its stages are there too, for it states the offsets; what is the main sleep only the JSON knows, and that
is taken over. `efficiency` is the vendor's own number, not minutes asleep in bed, and is not read. A classic log has no stages: minutes
`restless` are awake minutes, not light sleep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from config.stamps import Stamps, offset_of
from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.mi_fitness_sleep import MINUTE, Session, choose
from processing.normalizers.moments import SECOND, night, whole_day
from processing.normalizers.newest import Row
from processing.normalizers.outcome import Outcome, written

SCORES = {"csv.sleep_score": "sleep_log_entry_id", "csv.user_sleep_scores": "sleep_id"}
"""Table of scores → which of its columns names the night."""
TABLES = frozenset({"json.sleep", "csv.user_sleeps", "csv.user_sleep_stages", *SCORES})
_STAGES = {"deep": "sleep_deep", "light": "sleep_light", "rem": "sleep_rem", "wake": "sleep_awake", "awake": "sleep_awake"}
_LONGEST = 24 * 60 * MINUTE
_EPOCH = date(1970, 1, 1)


@dataclass
class _Teller:
    """A record that tells a session."""

    outcome: Outcome
    log: str
    """The vendor's id."""
    session: Session
    stated: tuple[int | None, int | None] = (None, None)


class Nights:
    """Collects what tells of sleep, then gives every night once."""

    def __init__(self, zones: PersonZones, out: Normalized) -> None:
        self._zones, self._out = zones, out
        self._tellers: list[_Teller] = []
        self._stages: dict[str, Counter[str]] = {}
        self._stage_rows: Counter[str] = Counter()
        self._scores: list[tuple[Row, Mapping[str, Any]]] = []

    def take(self, row: Row, raw: Mapping[str, Any]) -> None:
        """A record of one of TABLES."""
        table = raw["table"]
        if table in SCORES:
            self._scores.append((row, raw))
        elif table == "csv.user_sleep_stages":
            self._stage(row, raw)
        else:
            self._session(row, raw, table)

    def finish(self) -> None:
        """Every night once; stages and scores go with their session."""
        for teller in self._tellers:
            if teller.session.rank == _CSV:
                teller.session.minutes |= self._stages.get(teller.log, {})
        self._tellers.sort(key=lambda t: t.outcome.row.raw_id)
        for owner, teller in enumerate(self._tellers):
            teller.session.owner = owner
        kept, again = choose(t.session for t in self._tellers)
        for session in again:
            self._tellers[session.owner].outcome.again += 1
            for other in kept if "main" in session.flags else ():
                if other.start < session.end and session.start < other.end and "main" not in other.flags:
                    other.flags.append("main")
        days = self._give(kept)
        logs = {t.log for t in self._tellers}
        for log, rows in self._stage_rows.items():
            self._out.fates["accepted" if log in logs else "unused:stage_without_session"] += rows
        self._score({t.log: (t, days.get(t.session.owner)) for t in self._tellers})
        for teller in self._tellers:
            teller.outcome.settle()

    def _session(self, row: Row, raw: Mapping[str, Any], table: str) -> None:
        outcome = Outcome(self._out, row, str(raw.get("data_source", "")))
        start = row.stamp or 0
        end = self._end(raw, start)
        if end is None or not 0 < end - start <= _LONGEST:
            self._out.drop(row, "no_sleep_window" if end is None else "bad_sleep_window")
            return
        if table == "json.sleep":
            minutes = _of_json(raw)
            stated: tuple[int | None, int | None] = (None, None)
            session = Session(0, start, end, minutes, _JSON, nap=raw.get("mainSleep") is False)
            session.flags = ["main"] if raw.get("mainSleep") is True else []
        else:
            minutes = _minutes(raw, "minutes_asleep", "minutes_awake")
            stated = offset_of(raw.get("start_utc_offset")), offset_of(raw.get("end_utc_offset"))
            session = Session(0, start, end, minutes, _CSV)
        if minutes.get("sleep_duration", 0) <= 0:
            self._out.drop(row, "no_sleep")
            return
        self._tellers.append(_Teller(outcome, str(raw.get("logId", raw.get("sleep_id"))), session, stated))

    def _end(self, raw: Mapping[str, Any], start: int) -> int | None:
        """By the length where it is said: on a night clocks change, local start and end lie further apart or closer."""
        length = written(raw.get("duration"))
        if length is not None:
            return start + round(length) * 1000
        stamp = Stamps(self._zones).read(raw.get("endTime", raw.get("sleep_end")))
        return None if stamp.utc is None else round(stamp.utc.timestamp() * SECOND)

    def _stage(self, row: Row, raw: Mapping[str, Any]) -> None:
        stage = _STAGES.get(str(raw.get("sleep_stage_type", "")).lower())
        end = Stamps(self._zones).read(raw.get("sleep_stage_end")).utc
        log = str(raw["sleep_id"])
        if stage is None:
            self._out.fates["unused:no_sleep_stage"] += 1
        elif end is None or end.timestamp() * SECOND < (row.stamp or 0):
            self._out.drop(row, "bad_sleep_window")
        else:
            self._stages.setdefault(log, Counter())[stage] += (round(end.timestamp() * SECOND) - (row.stamp or 0)) / MINUTE  # type: ignore[assignment]
            self._stage_rows[log] += 1

    def _give(self, kept: list[Session]) -> dict[int, int]:
        """Write the sessions; gives the day of each, by its teller."""
        days = {}
        for session in kept:
            teller = self._tellers[session.owner]
            when = night(self._zones, session.start, session.end, teller.stated)
            flags = (*(["nap"] if session.nap and "main" not in session.flags else []), *session.flags)
            for metric, value in session.minutes.items():
                teller.outcome.add(metric, float(value), when, "session", flags)
            days[session.owner] = when.day
        return days

    def _score(self, logs: Mapping[str, tuple[_Teller, int | None]]) -> None:
        """The vendor's score of a night is a figure of the day it ended on, told once; that of a nap is not."""
        told: set[date] = set()
        for row, raw in sorted(self._scores, key=lambda score: (score[1]["table"], score[0].raw_id)):
            outcome = Outcome(self._out, row)
            teller, day = logs.get(str(raw.get(SCORES[raw["table"]])), (None, None))
            if teller is not None and teller.session.nap:
                self._out.fates["unused:nap_score"] += 1
                continue
            on = self._zones.local_date((row.stamp or 0) / SECOND) if day is None else _EPOCH + timedelta(days=day)
            if on in told:
                outcome.again += 1
            else:
                score = outcome.value(raw, "overall_score", "sleep_score")
                outcome.add("sleep_score", score, whole_day(self._zones, on), "day")
                told |= {on} if score is not None else set()
            outcome.settle()


_JSON, _CSV = 2, 3


def _of_json(raw: Mapping[str, Any]) -> dict[str, float]:
    found = _minutes(raw, "minutesAsleep", "minutesAwake")
    levels = raw.get("levels")
    summary = levels.get("summary") if isinstance(levels, dict) else None
    if raw.get("type") == "stages" and isinstance(summary, dict):
        for name, stage in _STAGES.items():
            entry = summary.get(name)
            minutes = written(entry.get("minutes")) if isinstance(entry, dict) else None
            if minutes is not None and minutes >= 0:
                found[stage] = minutes
    return found


def _minutes(raw: Mapping[str, Any], asleep: str, awake: str) -> dict[str, float]:
    given = {"sleep_duration": written(raw.get(asleep)), "sleep_awake": written(raw.get(awake))}
    return {metric: value for metric, value in given.items() if value is not None and value >= 0}
