"""A cell of the daily table made again from its readings, by the rules of `docs/domain.md` and without the merge's code.

Two ways that agree are worth more than one: the merge works on columns of all days with pandas, this works on one day's readings as
a person would with pen and paper. `trace` shows the rule, the readings it used and whether both come to the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from config.daily import COLUMNS, EXPECTED, why_not
from processing.aggregators.clock import iso_local
from processing.aggregators.columns import GROUPS, Column
from processing.aggregators.fates import ACCEPTED

_SECOND = 1_000_000
_HALF_HOUR = 1800 * _SECOND
_DAY = 86_400
_SIDE = 300
"""Seconds a heart-rate sample stands for to either side, at most."""
_GAP = 600
_STAGES = ("sleep_deep", "sleep_light", "sleep_rem")


class Choice(NamedTuple):
    """One row of the choices table; times in microseconds since 1970, UTC."""

    local_date: date
    metric: str
    start: int
    end: int
    scope: str
    value: float
    unit: str
    utc_offset: int
    source: str
    device: str | None
    raw_id: str
    fate: str
    part: str | None


class Made(NamedTuple):
    """A value and the readings it was made of."""

    value: Any
    used: Sequence[Choice] = ()


Readings = Sequence[Choice]


class Rule(NamedTuple):
    """How a column is made of a day's accepted readings."""

    says: str
    make: Callable[[Readings, Mapping[str, Any]], Made]
    """(accepted readings, the day's row of the table) → what the cell should be."""


def remake(column: str, choices: Readings, row: Mapping[str, Any]) -> Made:
    """The cell of this column made again. `choices`: the day's readings of the column's metrics, of whatever fate."""
    return RULES[column].make([c for c in choices if c.fate == ACCEPTED], row)


def agrees(value: Any, made: Any) -> bool:
    """Whether a cell says what was made again: numbers to the two decimals that are written, moments whatever their offset."""
    if value is None or made is None:
        return value is made
    if isinstance(value, int | float) and not isinstance(value, bool):
        return math.isclose(value, made, rel_tol=1e-12, abs_tol=0.005 + 1e-9)
    if isinstance(made, datetime):
        return datetime.fromisoformat(value) == made
    return bool(value == made)


def why(choice: Choice, column: Column) -> str:
    """Why a reading did not make the cell, a sentence."""
    return why_not(column.name, choice.metric, choice.fate, choice.part)


def mean(values: Iterable[float]) -> float | None:
    """The plain mean; None of nothing."""
    numbers = list(values)
    return math.fsum(numbers) / len(numbers) if numbers else None


def _of(readings: Readings, *metrics: str, part: str | None = None) -> list[Choice]:
    return [r for r in readings if r.metric in metrics and part in (None, r.part)]


def _mean(metric: str, part: str | None = None) -> Callable[[Readings, Mapping[str, Any]], Made]:
    def make(readings: Readings, _: Mapping[str, Any]) -> Made:
        used = _of(readings, metric, part=part)
        return Made(mean(r.value for r in used), used)

    return make


def _best(pick: Callable[[Iterable[float]], float], *metrics: str) -> Callable[[Readings, Mapping[str, Any]], Made]:
    """Of the first of these metrics that has readings."""

    def make(readings: Readings, _: Mapping[str, Any]) -> Made:
        used = next(filter(None, (_of(readings, metric) for metric in metrics)), [])
        return Made(pick(r.value for r in used) if used else None, used)

    return make


def _count(metric: str) -> Callable[[Readings, Mapping[str, Any]], Made]:
    def make(readings: Readings, _: Mapping[str, Any]) -> Made:
        used = _of(readings, metric)
        return Made(len(used) or None, used)

    return make


def _sum(metric: str) -> Callable[[Readings, Mapping[str, Any]], Made]:
    def make(readings: Readings, _: Mapping[str, Any]) -> Made:
        used = _told_once(_of(readings, metric))
        return Made(math.fsum(r.value for r in used) if used else None, used)

    return make


def _told_once(rows: Readings) -> list[Choice]:
    """Of what one record says twice of the same time and metric, the last."""
    return list({(r.source, r.raw_id, r.start, r.end, r.scope, r.device, r.metric): r for r in rows}.values())


def _pressures(combine: Callable[[float, float], float]) -> Callable[[Readings, Mapping[str, Any]], Made]:
    def make(readings: Readings, _: Mapping[str, Any]) -> Made:
        high, low = (mean(r.value for r in _of(readings, metric)) for metric in ("systolic", "diastolic"))
        return Made(None if high is None or low is None else combine(high, low), _of(readings, "systolic", "diastolic"))

    return make


def _category(readings: Readings, row: Mapping[str, Any]) -> Made:
    from processing.aggregators.categories import category

    high, low, scheme = row["systolic"], row["diastolic"], row["bp_scheme"]
    value = None if high is None or low is None or scheme is None else category(high, low, scheme)
    return Made(value, _of(readings, "systolic", "diastolic"))


def _heart_rate(readings: Readings, _: Mapping[str, Any]) -> Made:
    samples = sorted(_of(readings, "heart_rate"), key=lambda r: r.start)
    if not samples:
        used = _of(readings, "heart_rate_mean")
        return Made(mean(r.value for r in used), used)
    if all(b.start - a.start <= _GAP * _SECOND for a, b in pairwise(samples)):
        return Made(mean(r.value for r in samples), samples)
    shares = _shares(samples)
    return Made(math.fsum(r.value * share for r, share in zip(samples, shares, strict=True)) / math.fsum(shares), samples)


def _coverage(readings: Readings, _: Mapping[str, Any]) -> Made:
    samples = sorted(_of(readings, "heart_rate"), key=lambda r: r.start)
    return Made(math.fsum(_shares(samples)) / 60 if samples else None, samples)


def _shares(samples: Readings) -> list[float]:
    """Seconds each sample stands for: half way to its neighbours, `_SIDE` at most; the day's ends are ends."""
    shares = []
    for at, sample in enumerate(samples):
        clock = sample.start / _SECOND + sample.utc_offset - (sample.local_date - date(1970, 1, 1)).days * _DAY
        before = (sample.start - samples[at - 1].start) / _SECOND / 2 if at else clock
        after = (samples[at + 1].start - sample.start) / _SECOND / 2 if at + 1 < len(samples) else _DAY - clock
        shares.append(sum(min(max(side, 0.0), _SIDE) for side in (before, after)))
    return shares


class _Session(NamedTuple):
    """A sleep session's readings."""

    readings: list[Choice]
    minutes: float
    asleep: list[Choice]
    """Those the minutes asleep are made of: as stated, else the stages."""


def _sessions(readings: Readings, part: str | None = None) -> list[_Session]:
    told: dict[tuple[Any, ...], list[Choice]] = {}
    for r in _told_once(_of(readings, "sleep_duration", *_STAGES, part=part)):
        if r.scope != "day":
            told.setdefault((r.source, r.raw_id, r.start, r.end, r.scope, r.device), []).append(r)
    found = []
    for of_one in told.values():
        used = _of(of_one, "sleep_duration") or of_one
        found.append(_Session(of_one, math.fsum(r.value for r in used), used))
    return found


def _asleep(readings: Readings, _: Mapping[str, Any]) -> Made:
    sessions = _sessions(readings)
    if not sessions:
        used = _of(readings, "sleep_duration")
        return Made(used[0].value if used else None, used[:1])
    return Made(math.fsum(s.minutes for s in sessions), [r for s in sessions for r in s.asleep])


def _naps(readings: Readings, _: Mapping[str, Any]) -> Made:
    naps = _sessions(readings, "nap")
    return Made(math.fsum(s.minutes for s in naps) if _sessions(readings) else None, [r for s in naps for r in s.asleep])


def _efficiency(readings: Readings, _: Mapping[str, Any]) -> Made:
    for main in _sessions(readings, "main"):
        window = (main.readings[0].end // _SECOND - main.readings[0].start // _SECOND) / 60
        return Made(min(main.minutes / window * 100, 100.0) if window else None, main.asleep)
    return Made(None)


def _end_of_sleep(which: str) -> Callable[[Readings, Mapping[str, Any]], Made]:
    def make(readings: Readings, _: Mapping[str, Any]) -> Made:
        for main in _sessions(readings, "main"):
            first = main.readings[0]
            at = (first.start if which == "bed" else first.end) // _SECOND
            return Made(datetime.fromisoformat(iso_local(at, first.utc_offset)), main.asleep)
        return Made(None)

    return make


def _activity(metric: str, whole: bool = False) -> Callable[[Readings, Mapping[str, Any]], Made]:
    def make(readings: Readings, _: Mapping[str, Any]) -> Made:
        used = _of(readings, metric)
        totals = [r for r in used if r.scope == "day"]
        if totals:
            used, value = totals[:1], totals[0].value
        else:
            value = _half_hours(used)
        if not used:
            return Made(None)
        return Made(math.floor(value + 0.5) if whole else value, used)

    return make


def _half_hours(rows: Readings) -> float:
    """The sum over half hours of the device that recorded most; a row across several is shared by time."""
    bins: dict[int, dict[str | None, float]] = {}
    for r in rows:
        length = r.end - r.start
        first, last = r.start // _HALF_HOUR, max(r.start, r.end - 1) // _HALF_HOUR
        if last == first or length > 52 * _HALF_HOUR:
            first = last = r.start // _HALF_HOUR
        for at in range(first, last + 1):
            inside = min(r.end, (at + 1) * _HALF_HOUR) - max(r.start, at * _HALF_HOUR)
            share = r.value if first == last else r.value * inside / length
            of_bin = bins.setdefault(at, {})
            of_bin[r.device] = of_bin.get(r.device, 0.0) + share
    return math.fsum(max(by_device.values()) for by_device in bins.values())


def _first(metric: str) -> Callable[[Readings, Mapping[str, Any]], Made]:
    def make(readings: Readings, _: Mapping[str, Any]) -> Made:
        used = _of(readings, metric)[:1]
        return Made(used[0].value if used else None, used)

    return make


def _sources(readings: Readings, _: Mapping[str, Any]) -> Made:
    groups = []
    for group, metrics in GROUPS.items():
        gave = sorted({f"{r.source}/{r.scope}" for r in _of(readings, *metrics)})
        groups += [f"{group}={'+'.join(gave)}"] if gave else []
    return Made(";".join(groups), readings)


def _is_missing(_: Readings, row: Mapping[str, Any]) -> Made:
    return Made(any(row[name] is None for name in EXPECTED))


def _said(name: str) -> Callable[[Readings, Mapping[str, Any]], Made]:
    """What no reading makes: it stands as it is."""
    return lambda readings, row: Made(row[name], readings)


_MAKE: dict[str, Callable[[Readings, Mapping[str, Any]], Made]] = {
    "date": _said("date"),
    "systolic": _mean("systolic"),
    "diastolic": _mean("diastolic"),
    "pulse": _mean("pulse"),
    "systolic_min": _best(min, "systolic"),
    "systolic_max": _best(max, "systolic"),
    "systolic_morning": _mean("systolic", "morning"),
    "diastolic_morning": _mean("diastolic", "morning"),
    "systolic_evening": _mean("systolic", "evening"),
    "diastolic_evening": _mean("diastolic", "evening"),
    "bp_readings": _count("systolic"),
    "map": _pressures(lambda s, d: d + (s - d) / 3),
    "pulse_pressure": _pressures(lambda s, d: s - d),
    "bp_category": _category,
    "avg_hr": _heart_rate,
    "min_hr": _best(min, "heart_rate", "heart_rate_min"),
    "max_hr": _best(max, "heart_rate", "heart_rate_max"),
    "hr_samples": _count("heart_rate"),
    "resting_hr": _first("resting_heart_rate"),
    "total_duration": _asleep,
    "nap_duration": _naps,
    "sleep_deep_duration": _sum("sleep_deep"),
    "sleep_light_duration": _sum("sleep_light"),
    "sleep_rem_duration": _sum("sleep_rem"),
    "sleep_awake_duration": _sum("sleep_awake"),
    "sleep_efficiency": _efficiency,
    "sleep_score": _first("sleep_score"),
    "bed_time": _end_of_sleep("bed"),
    "wake_time": _end_of_sleep("wake"),
    "steps": _activity("steps", whole=True),
    "distance": _activity("distance"),
    "active_energy": _activity("active_energy"),
    "weight": _first("weight"),
    "spo2_avg": _mean("spo2"),
    "sources": _sources,
    "missing_data_flag": _is_missing,
    "diastolic_min": _best(min, "diastolic"),
    "diastolic_max": _best(max, "diastolic"),
    "bp_scheme": _said("bp_scheme"),
    "hr_coverage_minutes": _coverage,
    "event": _said("event"),
    "hrv_sdnn": _mean("hrv_sdnn"),
    "hrv_rmssd": _mean("hrv_rmssd"),
    "basal_energy": _activity("basal_energy"),
    "body_fat": _first("body_fat"),
    "respiration_avg": _mean("respiratory_rate"),
    "body_temperature": _mean("body_temperature"),
}

RULES: dict[str, Rule] = {name: Rule(COLUMNS[name].rule, make) for name, make in _MAKE.items()}
"""Column → its rule."""
