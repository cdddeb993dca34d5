"""Mi Fitness sleep: one night is told by up to four rows (`sleep`, `watch_night_sleep`, the daily report); it comes out once.

Shapes: `docs/sources.md`, Mi Fitness. `duration` is minutes asleep (awake minutes not in it); stages that are all 0 beside a
positive duration are unknown, not nought; `bedtime` 0 means the times are in `items` only, one nap per run of items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.epoch import epoch_micros
from processing.normalizers.numbers import number

MINUTE = 60_000_000
_STAGE_OF_STATE = {2: "sleep_deep", 3: "sleep_light", 4: "sleep_rem", 5: "sleep_awake"}
_STAGE_FIELDS = {
    "sleep_deep": "sleep_deep_duration",
    "sleep_light": "sleep_light_duration",
    "sleep_rem": "sleep_rem_duration",
    "sleep_awake": "sleep_awake_duration",
}
_ASLEEP = ("sleep_deep", "sleep_light", "sleep_rem")
_MAX_SESSION = 24 * 60 * MINUTE
_NAP_GAP = 30 * MINUTE
"""Items of a nap row further apart than this are two naps."""
_TOUCH = 5 * MINUTE
"""Two sessions of one person that share more than this are one told twice."""


@dataclass
class Session:
    """One sleep session as one record tells it."""

    owner: int
    """Which record told it."""
    start: int
    """Microseconds since 1970, UTC."""
    end: int
    minutes: dict[str, float]
    """Sleep metric → minutes; stages only where they are known."""
    rank: int
    """Between equally rich tellers the higher is believed."""
    nap: bool = False
    stated: int | None = None
    """UTC offset in seconds the record states."""
    score: float | None = None
    flags: list[str] = field(default_factory=list)

    @property
    def staged(self) -> bool:
        """Whether any sleep stage is known."""
        return any(stage in self.minutes for stage in _ASLEEP)


class NoSessionError(ValueError):
    """The row tells no usable session; the message is the reason code."""


def sessions_of(value: Mapping[str, Any], owner: int, rank: int, nap: bool) -> list[Session]:
    """The sessions a sleep row or a segment of a daily report tells. Raises NoSessionError(reason)."""
    items = [i for i in value.get("items") or () if isinstance(i, dict)] if isinstance(value.get("items"), list) else []
    spans = sorted(span for span in map(_span, items) if span is not None)
    start, end = epoch_micros(value.get("bedtime")), epoch_micros(value.get("wake_up_time"))
    nap = nap or value.get("is_nap") is True
    stated = stated_offset(value.get("timezone"))
    if start is not None and end is not None:
        _check_window(start, end)
        score = next((number(value[k]) for k in ("score", "total_score") if value.get(k)), None)
        return [Session(owner, start, end, _minutes(value, spans, start, end), rank, nap, stated, score)]
    if not spans:
        raise NoSessionError("no_sleep_window")
    return [_from_items(run, owner, rank, nap, stated) for run in _runs(spans)]


def stated_offset(value: Any) -> int | None:
    """Seconds east of UTC of a `timezone` field: quarter hours (-48 to 56), else minutes (-840 to 840)."""
    if type(value) is not int:
        return None
    if -48 <= value <= 56:
        return value * 900
    return value * 60 if -840 <= value <= 840 else None


def choose(sessions: Iterable[Session]) -> tuple[list[Session], list[Session]]:
    """(told once, told again): the richest teller of each session wins, whatever the order of arrival."""
    kept: list[Session] = []
    again: list[Session] = []
    for session in sorted(sessions, key=_richness):
        rivals = [k for k in kept if _clash(k, session)]
        if not rivals:
            kept.append(session)
            continue
        again.append(session)
        for rival in rivals:  # that it was a nap may be known to the poorer teller only
            rival.nap = rival.nap or (session.nap and 2 * _shared(rival, session) >= rival.end - rival.start)
    return kept, again


def day_minutes(report: Mapping[str, Any]) -> dict[str, float]:
    """Sleep metric → minutes of a daily report's totals; what is 0 throughout is unknown."""
    return _totals(report, "total_duration")


def _span(item: Mapping[str, Any]) -> tuple[int, int, int] | None:
    start = epoch_micros(item.get("start_time", item.get("start")))
    end = epoch_micros(item.get("end_time", item.get("end")))
    state = item.get("state")
    if start is None or end is None or end <= start or type(state) is not int:
        return None
    return start, end, state


def _runs(spans: list[tuple[int, int, int]]) -> Iterable[list[tuple[int, int, int]]]:
    run, until = [spans[0]], spans[0][1]
    for span in spans[1:]:
        if span[0] - until > _NAP_GAP:
            yield run
            run = []
        run.append(span)
        until = max(until, span[1])
    yield run


def _from_items(run: list[tuple[int, int, int]], owner: int, rank: int, nap: bool, stated: int | None) -> Session:
    start, end = run[0][0], max(s[1] for s in run)
    _check_window(start, end)
    return Session(owner, start, end, _minutes({}, run, start, end), rank, nap, stated)


def _check_window(start: int, end: int) -> None:
    if not 0 < end - start <= _MAX_SESSION:
        raise NoSessionError("bad_sleep_window")


def _minutes(value: Mapping[str, Any], spans: list[tuple[int, int, int]], start: int, end: int) -> dict[str, float]:
    """Minutes by metric: the row's own totals, else what its items add up to; asleep is what the stages add up to, if known."""
    found = _totals(value, "duration")
    in_items = _item_minutes(spans)
    if not any(stage in found for stage in _ASLEEP) and any(stage in in_items for stage in _ASLEEP):
        awake = found.get("sleep_awake")
        found = in_items if awake is None else in_items | {"sleep_awake": awake}
    if "sleep_duration" not in found:
        found["sleep_duration"] = sum(end - start for start, end, state in spans if state != 5) / MINUTE
        if not spans and "duration" not in value:
            found["sleep_duration"] = (end - start) / MINUTE - found.get("sleep_awake", 0.0)
    if found["sleep_duration"] <= 0:
        raise NoSessionError("no_sleep")
    return found


def _totals(value: Mapping[str, Any], duration: str) -> dict[str, float]:
    given = {metric: number(value.get(name)) for metric, name in _STAGE_FIELDS.items()}
    known = {metric: minutes for metric, minutes in given.items() if minutes is not None and minutes >= 0}
    asleep = sum(known.get(stage, 0.0) for stage in _ASLEEP)
    if asleep <= 0:
        known = {metric: minutes for metric, minutes in known.items() if metric not in _ASLEEP}
        asleep = number(value.get(duration)) or 0.0
    if asleep > 0:
        known["sleep_duration"] = asleep
    return known


def _item_minutes(spans: list[tuple[int, int, int]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for start, end, state in spans:
        if stage := _STAGE_OF_STATE.get(state):
            found[stage] = found.get(stage, 0.0) + (end - start) / MINUTE
    asleep = sum(found.get(stage, 0.0) for stage in _ASLEEP)
    return found | ({"sleep_duration": asleep} if asleep else {})


def _richness(session: Session) -> tuple[bool, int, int, int, int, float]:
    """Sort key: stages known first, then the better teller, then the longer; never the order of arrival."""
    asleep = session.minutes.get("sleep_duration", 0.0)
    return not session.staged, -session.rank, session.start - session.end, session.start, session.end, asleep


def _shared(one: Session, other: Session) -> int:
    return min(one.end, other.end) - max(one.start, other.start)


def _clash(one: Session, other: Session) -> bool:
    shared = _shared(one, other)
    return shared > _TOUCH or 2 * shared > min(one.end - one.start, other.end - other.start)
