"""Sleep sessions that a device counted itself: Xiaomi's nights with their stages, Zepp OS's nights in a block of bytes.

Xiaomi: XIAOMI_SLEEP_TIME_SAMPLE, durations in minutes, and XIAOMI_SLEEP_STAGE_SAMPLE, a stage per change. Zepp OS: the DATA of
HUAMI_SLEEP_SESSION_SAMPLE, little-endian, as Gadgetbridge reads it; its minutes count from the midnight a day before the one it names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from config.epoch import epoch_micros
from processing.normalizers.mi_fitness_sleep import MINUTE, NoSessionError, Session, choose
from processing.normalizers.numbers import number

VENDOR, COUNTED = 2, 1
"""Ranks of a session: the device's own, and one counted from minutes."""
Stages = list[tuple[int, int]]
"""(microseconds, stage) of one device, in order of time."""

_ASLEEP = ("sleep_deep", "sleep_light", "sleep_rem")
_XIAOMI = {2: "sleep_deep", 3: "sleep_light", 4: "sleep_rem"}
_XIAOMI_TOTALS = {
    "sleep_deep": "DEEP_SLEEP_DURATION",
    "sleep_light": "LIGHT_SLEEP_DURATION",
    "sleep_rem": "REM_SLEEP_DURATION",
    "sleep_awake": "AWAKE_DURATION",
}
_ZEPP = {4: "sleep_light", 5: "sleep_deep", 7: "sleep_awake", 8: "sleep_rem"}
_MIDNIGHT, _START, _END, _SCORE, _COUNT, _PERIODS, _PERIOD = 0x04, 0x0A, 0x0C, 0x16, 0x54, 0x56, 5
_DAY_MINUTES = 1_440
_LONGEST = _DAY_MINUTES * MINUTE


def of_xiaomi(raw: Mapping[str, Any], stages: Stages, owner: int) -> Session:
    """The session of a XIAOMI_SLEEP_TIME_SAMPLE; where it has no durations its stages are added up. Raises NoSessionError."""
    start, end = epoch_micros(raw.get("TIMESTAMP")), epoch_micros(raw.get("WAKEUP_TIME"))
    if end is None and not raw.get("IS_AWAKE"):
        raise NoSessionError("unfinished_sleep")
    if start is None or end is None or not 0 < end - start <= _LONGEST:
        raise NoSessionError("bad_sleep_window")
    minutes = _totals(raw) or _added(stages, start, end)
    if not any(minutes.get(stage) for stage in _ASLEEP):
        total = number(raw.get("TOTAL_DURATION")) or 0.0
        minutes = {"sleep_duration": total} if total > 0 else {}
    else:
        minutes["sleep_duration"] = sum(minutes.get(stage, 0.0) for stage in _ASLEEP)
    if not minutes:
        raise NoSessionError("no_sleep")
    return Session(owner, start, end, minutes, VENDOR)


def of_zepp(raw: Mapping[str, Any], owner: int) -> Session:
    """The session of a HUAMI_SLEEP_SESSION_SAMPLE. Raises NoSessionError for bytes that are none."""
    try:
        data = bytes.fromhex(raw.get("DATA") or "")
    except (ValueError, TypeError):
        raise NoSessionError("bad_sleep_block") from None
    if len(data) < _PERIODS or len(data) < _PERIODS + _PERIOD * data[_COUNT]:
        raise NoSessionError("bad_sleep_block")
    midnight = int.from_bytes(data[_MIDNIGHT : _MIDNIGHT + 4], "little")
    first, last = (int.from_bytes(data[at : at + 2], "little") for at in (_START, _END))
    base = epoch_micros(midnight)
    if base is None or not 0 < last - first <= _DAY_MINUTES:
        raise NoSessionError("bad_sleep_window")
    minutes: dict[str, float] = {}
    for start, end, kind in _periods(data):
        if kind in _ZEPP and end > start:
            minutes[_ZEPP[kind]] = minutes.get(_ZEPP[kind], 0.0) + end - start
    asleep = sum(minutes.get(stage, 0.0) for stage in _ASLEEP)
    if not 0 < asleep <= last - first:
        raise NoSessionError("no_sleep" if not asleep else "bad_sleep_block")
    begins = base + (first - _DAY_MINUTES) * MINUTE
    score = float(data[_SCORE]) if 0 < data[_SCORE] <= 100 else None
    ends = begins + (last - first) * MINUTE
    return Session(owner, begins, ends, minutes | {"sleep_duration": asleep}, VENDOR, score=score)


def told_once(sessions: Iterable[Session]) -> tuple[list[Session], list[Session]]:
    """`choose` among those that share time; sessions that do not need not be compared."""
    kept: list[Session] = []
    again: list[Session] = []
    for together in _together(sessions):
        best, others = choose(together)
        kept += best
        again += others
    return kept, again


def _together(sessions: Iterable[Session]) -> Iterator[list[Session]]:
    run: list[Session] = []
    until = 0
    for session in sorted(sessions, key=lambda s: (s.start, s.end, s.owner)):
        if run and session.start >= until:
            yield run
            run = []
        run.append(session)
        until = max(until, session.end)
    if run:
        yield run


def _periods(data: bytes) -> Iterator[tuple[int, int, int]]:
    for index in range(data[_COUNT]):
        at = _PERIODS + _PERIOD * index
        yield int.from_bytes(data[at : at + 2], "little"), int.from_bytes(data[at + 2 : at + 4], "little"), data[at + 4]


def _totals(raw: Mapping[str, Any]) -> dict[str, float]:
    """Minutes by stage as the row says them; nothing when no stage of sleep is more than 0: unknown, not nought."""
    given = {metric: number(raw.get(name)) for metric, name in _XIAOMI_TOTALS.items()}
    known = {metric: minutes for metric, minutes in given.items() if minutes is not None and minutes >= 0}
    return known if any(known.get(stage) for stage in _ASLEEP) else {}


def _added(stages: Stages, start: int, end: int) -> dict[str, float]:
    """Minutes by stage from the changes within a session: each stage lasts to the next change, the last one to the end."""
    inside = stages[bisect_left(stages, (start,)) : bisect_left(stages, (end,))]
    found: dict[str, float] = {}
    for (at, stage), (until, _) in pairwise([*inside, (end, 0)]):
        metric = _XIAOMI.get(stage, "sleep_awake")
        found[metric] = found.get(metric, 0.0) + (until - at) / MINUTE
    return found
