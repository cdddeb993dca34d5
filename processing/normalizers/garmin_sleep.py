"""Garmin sleep: nights and naps, each once, for the day of waking; stages as Garmin totals them.

`…GMT` is the instant; `…Local` is the wall clock written as if it were GMT, so the difference of the two is the UTC offset of that
night. The account export has no `sleepTimeSeconds`: asleep is deep + light + REM; awake and unmeasurable minutes are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from config.epoch import epoch_micros
from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.fate import Fate
from processing.normalizers.mi_fitness_sleep import Session, choose
from processing.normalizers.moments import SECOND, night
from processing.normalizers.numbers import number

_STAGES = {
    "sleep_deep": "deepSleepSeconds",
    "sleep_light": "lightSleepSeconds",
    "sleep_rem": "remSleepSeconds",
    "sleep_awake": "awakeSleepSeconds",
}
_ASLEEP = ("sleep_deep", "sleep_light", "sleep_rem")
_LONGEST = 24 * 3600 * SECOND
_NAP, _NIGHT = 1, 2


class Nights:
    """Collects nights and naps, then gives each once."""

    def __init__(self, zones: PersonZones, out: Normalized) -> None:
        self._zones, self._out = zones, out
        self._sessions: list[Session] = []
        self._tellers: list[tuple[Fate, tuple[int | None, int | None]]] = []

    def take(self, fate: Fate, raw: Mapping[str, Any], *, nap: bool) -> None:
        """A record of a night or a nap; its fate is settled by `finish`'s caller."""
        prefix = "nap" if nap else "sleep"
        start, end = instant_of(raw[f"{prefix}StartTimestampGMT"]), instant_of(raw[f"{prefix}EndTimestampGMT"])
        if start is None or end is None or not 0 < end - start <= _LONGEST:
            fate.refuse("bad_sleep_window")
            return
        minutes = _minutes(raw, end - start, nap=nap)
        if minutes.get("sleep_duration", 0.0) <= 0:
            fate.refuse("no_sleep")
            return
        stated = (_offset(start, raw.get(f"{prefix}StartTimestampLocal")), _offset(end, raw.get(f"{prefix}EndTimestampLocal")))
        self._tellers.append((fate, stated))
        rank = _NAP if nap else _NIGHT
        self._sessions.append(Session(len(self._tellers) - 1, start, end, minutes, rank, nap, score=None if nap else _score(raw)))

    def finish(self) -> None:
        """Write the sessions, once all records are known."""
        kept, again = choose(self._sessions)
        for session in kept:
            fate, stated = self._tellers[session.owner]
            when = night(self._zones, session.start, session.end, stated)
            readings = session.minutes | ({"sleep_score": session.score} if session.score else {})
            flags = ["nap"] if session.nap else []
            for metric, value in readings.items():
                self._out.add(metric, value, when, scope="session", device="", raw_id=fate.row.raw_id, flags=flags)
            fate.given += 1
        for session in again:
            self._tellers[session.owner][0].again += 1


def instant_of(value: Any) -> int | None:
    """Microseconds since 1970 of a `…GMT` field: epoch, or text that is UTC unless it says otherwise."""
    micros = epoch_micros(value)
    if micros is not None or not isinstance(value, str):
        return micros
    try:
        found = datetime.fromisoformat(value)
        aware = found.replace(tzinfo=UTC) if found.tzinfo is None else found
        return epoch_micros((aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
    except (ValueError, OverflowError):
        return None


def _minutes(raw: Mapping[str, Any], window: int, *, nap: bool) -> dict[str, float]:
    if nap:
        seconds = number(raw.get("napTimeSec"))
        return {"sleep_duration": (window / SECOND if seconds is None else seconds) / 60}
    found = {metric: value / 60 for metric, key in _STAGES.items() if (value := number(raw.get(key))) is not None and value >= 0}
    staged = sum(found.get(stage, 0.0) for stage in _ASLEEP)
    if staged <= 0:  # stages that are all 0 are unknown
        found = {metric: value for metric, value in found.items() if metric not in _ASLEEP}
    stated = number(raw.get("sleepTimeSeconds"))
    found["sleep_duration"] = stated / 60 if stated is not None and stated > 0 else staged
    return found


def _score(raw: Mapping[str, Any]) -> float | None:
    """`sleepScores.overall.value` of Garmin Connect, `sleepScores.overallScore` of the account export."""
    scores = raw.get("sleepScores")
    if not isinstance(scores, dict):
        return None
    overall = scores.get("overall")
    value = number(overall.get("value") if isinstance(overall, dict) else scores.get("overallScore"))
    return value if value is not None and value > 0 else None


def _offset(micros: int, local: Any) -> int | None:
    """The UTC offset in seconds between an instant and its wall clock, if it is one that exists."""
    clock = instant_of(local)
    if clock is None:
        return None
    offset = round((clock - micros) / SECOND / 900) * 900
    return offset if -14 * 3600 <= offset <= 14 * 3600 and abs((clock - micros) - offset * SECOND) < 60 * SECOND else None
