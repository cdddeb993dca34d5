"""Sleep sessions of Health Connect: minutes by stage, and one telling of each night where several apps wrote it.

Stages (SleepSessionRecord): 1 awake, 2 sleeping, 3 out of bed, 4 light, 5 deep, 6 REM, 7 awake in bed; 0 says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from processing.normalizers.newest import Row

_MINUTE = 60_000
_DAY = 86_400_000
_STAGES = {1: "sleep_awake", 3: "sleep_awake", 7: "sleep_awake", 4: "sleep_light", 5: "sleep_deep", 6: "sleep_rem"}
_ASLEEP = (2, 4, 5, 6)
_SHARED = 0.1
"""Two sessions that share more than this part of the shorter one are one told twice."""


class Session(NamedTuple):
    """One session as one app wrote it; times in milliseconds since 1970."""

    row: Row
    app: str
    device: str
    rank: int
    start: int
    end: int
    offsets: tuple[int | None, int | None]
    minutes: dict[str, float]


def minutes_of(stages: Any, start: int, end: int) -> dict[str, float] | None:
    """Sleep metric → minutes; the whole session when there are no stages, None when nobody slept in any of them.

    Stages are cut to the session, and where two overlap to the end of the earlier one.
    """
    if not stages or not isinstance(stages, list):
        return {"sleep_duration": (end - start) / _MINUTE}
    spans = sorted(stage for stage in map(_span, stages) if stage is not None)
    found: dict[str, float] = {}
    asleep, until = 0.0, start
    for begins, ends, kind in spans:
        lasted = (min(ends, end) - max(begins, until)) / _MINUTE
        if lasted <= 0:
            continue
        until = min(ends, end)
        asleep += lasted if kind in _ASLEEP else 0
        if metric := _STAGES.get(kind):
            found[metric] = found.get(metric, 0.0) + lasted
    return found | {"sleep_duration": asleep} if asleep else None


def told_once(sessions: Iterable[Session]) -> tuple[list[Session], list[Session]]:
    """(kept, told by another): the app believed first, then stages, then the longer one; never the order of arrival."""
    kept: list[Session] = []
    again: list[Session] = []
    near: dict[int, list[Session]] = {}  # day → those kept that touch it
    for session in sorted(sessions, key=_best_first):
        days = range(session.start // _DAY, session.end // _DAY + 1)
        if any(_same(session, other) for day in days for other in near.get(day, ())):
            again.append(session)
            continue
        kept.append(session)
        for day in days:
            near.setdefault(day, []).append(session)
    return kept, again


def _span(stage: Any) -> tuple[int, int, int] | None:
    if isinstance(stage, list) and len(stage) == 3 and all(type(cell) is int for cell in stage):
        return stage[0], stage[1], stage[2]
    return None


def _best_first(session: Session) -> tuple[int, bool, int, int, str]:
    return session.rank, len(session.minutes) == 1, session.start - session.end, session.start, session.row.raw_id


def _same(one: Session, other: Session) -> bool:
    shared = min(one.end, other.end) - max(one.start, other.start)
    return shared > _SHARED * min(one.end - one.start, other.end - other.start)
