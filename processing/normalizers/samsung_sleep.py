"""Samsung Health sleep: sessions with the stages that name them; of sessions that overlap (watch and app, two apps) one counts.

Stages: 40001 awake, 40002 light, 40003 deep, 40004 REM, as Samsung's own interface documents them. `sleep_duration` is minutes asleep.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.stamps import Stamps
from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.mi_fitness_sleep import MINUTE, Session, choose
from processing.normalizers.moments import SECOND, night
from processing.normalizers.newest import Row
from processing.normalizers.outcome import Outcome

_STAGES = {"40001": "sleep_awake", "40002": "sleep_light", "40003": "sleep_deep", "40004": "sleep_rem"}
_ASLEEP = ("sleep_light", "sleep_deep", "sleep_rem")
_OWN_APP = "com.sec.android.app.shealth"
_LONGEST = 24 * 60 * MINUTE


@dataclass
class _Teller:
    """A record that tells a session."""

    outcome: Outcome
    raw: Mapping[str, Any]
    start: int
    end: int
    stated: int | None


class Nights:
    """Collects sessions and stages, then gives every night once."""

    def __init__(self, zones: PersonZones, out: Normalized) -> None:
        self._zones, self._out = zones, out
        self._stamps = Stamps(zones)
        self._tellers: list[_Teller] = []
        self._stages: dict[str, dict[str, float]] = {}
        self._stage_rows: Counter[str] = Counter()

    def take(self, row: Row, raw: Mapping[str, Any], stated: int | None) -> None:
        """A session or a stage of one. `stated`: the UTC offset the record says."""
        start, end = row.stamp or 0, self._stamps.read(f"{str(raw['end_time']).strip()}Z").utc
        until = start if end is None else round(end.timestamp() * SECOND)
        if not 0 < until - start <= _LONGEST:
            self._out.drop(row, "bad_sleep_window")
        elif raw["table"] == "sleep":
            self._tellers.append(_Teller(Outcome(self._out, row, str(raw.get("deviceuuid", ""))), raw, start, until, stated))
        elif (stage := _STAGES.get(str(raw["stage"]).strip())) is None:
            self._out.fates["unused:no_sleep_stage"] += 1
        else:
            minutes = self._stages.setdefault(str(raw["sleep_id"]), {})
            minutes[stage] = minutes.get(stage, 0.0) + (until - start) / MINUTE
            self._stage_rows[str(raw["sleep_id"])] += 1

    def finish(self) -> None:
        """Every night once."""
        self._tellers.sort(key=lambda t: t.outcome.row.raw_id)
        sessions = [self._session(owner, teller) for owner, teller in enumerate(self._tellers)]
        kept, again = choose(s for s in sessions if s is not None)
        for session in again:
            self._tellers[session.owner].outcome.again += 1
        for session in kept:
            teller = self._tellers[session.owner]
            when = night(self._zones, session.start, session.end, (teller.stated, teller.stated))
            for metric, value in session.minutes.items():
                teller.outcome.add(metric, value, when, "session")
            score = teller.outcome.value(teller.raw, "sleep_score", "sleep_score")
            teller.outcome.add("sleep_score", score, when, "session")
        for teller in self._tellers:
            teller.outcome.settle("no_sleep")
        known = {str(t.raw.get("datauuid", "")) for t in self._tellers}
        for sleep_id, rows in self._stage_rows.items():
            self._out.fates["accepted" if sleep_id in known else "unused:stage_without_session"] += rows

    def _session(self, owner: int, teller: _Teller) -> Session | None:
        raw, outcome = teller.raw, teller.outcome
        minutes = dict(self._stages.get(str(raw.get("datauuid", "")), {}))
        asleep = sum(minutes.get(stage, 0.0) for stage in _ASLEEP)
        said = outcome.value(raw, "sleep_duration", "sleep_duration")
        if not asleep:
            light, rem = (outcome.value(raw, f"total_{name}_duration", f"sleep_{name}") for name in ("light", "rem"))
            minutes |= {f"sleep_{name}": v for name, v in (("light", light), ("rem", rem)) if v and said}
        minutes["sleep_duration"] = asleep or said or (teller.end - teller.start) / MINUTE - minutes.get("sleep_awake", 0.0)
        if minutes["sleep_duration"] <= 0:
            return None
        own = str(raw.get("pkg_name", _OWN_APP)) in ("", _OWN_APP)
        return Session(owner, teller.start, teller.end, minutes, 1 if own else 0, stated=teller.stated)
