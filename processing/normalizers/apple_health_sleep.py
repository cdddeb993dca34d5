"""Apple Health sleep: segments of several apps and devices become sessions, and of one night only the fullest telling counts.

Segments of one source less than an hour apart, or within one time in bed, are one session. Time in bed (an iPhone's schedule) is no
sleep; where it surrounds a session it says how long the person was in bed. Stages that overlap within a source count once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from processing.normalizers.mi_fitness_sleep import MINUTE, Session

IN_BED = "in_bed"
_ASLEEP = "asleep"
STAGES = {
    "InBed": IN_BED,
    "0": IN_BED,
    "Asleep": _ASLEEP,
    "AsleepUnspecified": _ASLEEP,
    "1": _ASLEEP,
    "Awake": "sleep_awake",
    "2": "sleep_awake",
    "AsleepCore": "sleep_light",
    "3": "sleep_light",
    "AsleepDeep": "sleep_deep",
    "4": "sleep_deep",
    "AsleepREM": "sleep_rem",
    "5": "sleep_rem",
}
"""`value` without its prefix, or its number in early exports → what it means."""
VALUE_PREFIX = "HKCategoryValueSleepAnalysis"
_BELIEVED = ("sleep_deep", "sleep_rem", "sleep_light", _ASLEEP, "sleep_awake")
"""Which of two overlapping segments of one source is believed first."""
_STAGED = _BELIEVED[:3]
_GAP = 60 * MINUTE
_DAY = 1440 * MINUTE

Span = tuple[int, int]


class Segment(NamedTuple):
    """One record of sleep."""

    start: int
    """Microseconds since 1970, UTC."""
    end: int
    stage: str
    source: str
    stated: int | None
    """UTC offset in seconds where the person was, if the record says."""
    number: int
    """Which record it is."""


class Night(NamedTuple):
    """A session and the segments that tell it."""

    session: Session
    segments: list[Segment]


def nights(segments: Iterable[Segment]) -> list[Night]:
    """The sessions every source tells; those of several sources may be the same night."""
    told = sorted(segments)
    beds = [(s.start, s.end) for s in told if s.stage == IN_BED]
    by_source: dict[str, list[Segment]] = {}
    for segment in told:
        if segment.stage != IN_BED:
            by_source.setdefault(segment.source, []).append(segment)
    runs = [run for source in sorted(by_source) for run in _runs(by_source[source], beds)]
    return [Night(_session(run, beds, owner), run) for owner, run in enumerate(runs)]


def _runs(told: list[Segment], beds: list[Span]) -> list[list[Segment]]:
    runs: list[list[Segment]] = []
    until = 0
    for segment in told:
        near = segment.start - until <= _GAP or any(a <= until and segment.start <= b for a, b in beds)
        if runs and near:
            runs[-1].append(segment)
        else:
            runs.append([segment])
            until = 0
        until = max(until, segment.end)
    return [run for run in runs if any(s.stage != "sleep_awake" for s in run)]


def _session(run: list[Segment], beds: list[Span], owner: int) -> Session:
    start, end = run[0].start, max(s.end for s in run)
    around = [bed for bed in beds if 2 * (min(bed[1], end) - max(bed[0], start)) > end - start]
    first, last = min([start, *(a for a, _ in around)]), max([end, *(b for _, b in around)])
    if last - first <= _DAY:
        start, end = first, last
    stated = next((s.stated for s in run if s.stated is not None), None)
    return Session(owner, start, end, _minutes(run), rank=0, stated=stated)


def _minutes(run: list[Segment]) -> dict[str, float]:
    """Minutes by metric; a minute told twice counts for the stage believed first."""
    taken: list[Span] = []
    found: dict[str, float] = {}
    for stage in _BELIEVED:
        mine = [(s.start, s.end) for s in run if s.stage == stage]
        if mine:
            both = _union([*taken, *mine])
            found[stage] = (_length(both) - _length(taken)) / MINUTE
            taken = both
    asleep = sum(found.get(stage, 0.0) for stage in (*_STAGED, _ASLEEP))
    return {stage: minutes for stage, minutes in found.items() if stage != _ASLEEP} | {"sleep_duration": asleep}


def _union(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _length(spans: list[Span]) -> int:
    return sum(end - start for start, end in spans)
