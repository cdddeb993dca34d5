"""Which readings made a cell of the daily table: the rules of `config.daily` applied to one day's readings, as `trace` does.

Pages show it for data that has only its gold tables (the shipped example, a sealed copy); the merge's own code is not at hand there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from config.daily import COLUMNS

Reading = Mapping[str, Any]
Readings = Sequence[Reading]
"""One day's readings; keys: metric value start end scope source device raw_id fate part, times in microseconds."""

_STAGES = ("sleep_deep", "sleep_light", "sleep_rem")
_BEST = {"systolic_min": min, "diastolic_min": min, "min_hr": min, "systolic_max": max, "diastolic_max": max, "max_hr": max}
"""Columns that are one reading of many."""
_MEANS = ("systolic", "diastolic", "pulse", "spo2_avg", "hrv_sdnn", "hrv_rmssd", "respiration_avg", "body_temperature")
_FIRST = ("resting_hr", "weight", "body_fat", "sleep_score")
_SUMS = ("sleep_deep_duration", "sleep_light_duration", "sleep_rem_duration", "sleep_awake_duration")


def made(column: str, readings: Readings) -> tuple[Readings, float | None]:
    """(the readings that made the cell, the number they give); None for what takes more than one day's readings to tell."""
    told = COLUMNS[column]
    counted = [r for r in readings if r["fate"] == "accepted" and r["metric"] in told.metrics]
    of_part = [r for r in counted if told.part in (None, r["part"])]
    if column in _BEST:
        return _best(column, of_part)
    if column in ("total_duration", "nap_duration", "sleep_efficiency", "bed_time", "wake_time"):
        return _slept(column, counted, of_part)
    rule = _RULES.get(column) or (_mean if column in _MEANS or told.part else _all)
    return rule(of_part)


def decides(column: str, value: object, reading: Reading) -> bool | None:
    """Whether the reading itself is the lowest or highest the column asks for; None for other columns."""
    return (
        math.isclose(reading["value"], float(str(value)), abs_tol=0.005 + 1e-9) if column in _BEST and value is not None else None
    )


def _all(readings: Readings) -> tuple[Readings, None]:
    return readings, None


def _mean(readings: Readings) -> tuple[Readings, float | None]:
    return readings, math.fsum(r["value"] for r in readings) / len(readings) if readings else None


def _count(readings: Readings) -> tuple[Readings, float | None]:
    return readings, float(len(readings)) or None


def _first(readings: Readings) -> tuple[Readings, float | None]:
    return readings[:1], readings[0]["value"] if readings else None


def _best(column: str, readings: Readings) -> tuple[Readings, float | None]:
    """Of the first of the column's metrics that has readings."""
    used = _leading(COLUMNS[column].metrics, readings)
    return used, _BEST[column](r["value"] for r in used) if used else None


def _leading(metrics: Iterable[str], readings: Readings) -> Readings:
    return next(filter(None, ([r for r in readings if r["metric"] == metric] for metric in metrics)), [])


def _samples(readings: Readings) -> tuple[Readings, None]:
    return _leading(COLUMNS["avg_hr"].metrics, readings), None


def _total(readings: Readings) -> tuple[Readings, float | None]:
    """The source's own total of the day, else all; how half hours add up is the merge's to tell."""
    totals = [r for r in readings if r["scope"] == "day"][:1]
    return (totals, totals[0]["value"]) if totals else (readings, None)


def _sum(readings: Readings) -> tuple[Readings, float | None]:
    used = _told_once(readings)
    return used, math.fsum(r["value"] for r in used) if used else None


def _told_once(readings: Readings) -> Readings:
    """Of what one record says twice of the same time and metric, the last."""
    return list({(*_session(r), r["metric"]): r for r in readings}.values())


def _session(reading: Reading) -> tuple[Any, ...]:
    return tuple(reading[name] for name in ("source", "raw_id", "start", "end", "scope", "device"))


def _slept(column: str, counted: Readings, of_part: Readings) -> tuple[Readings, float | None]:
    """A session's minutes asleep: as stated, else its stages."""
    sessions = _sessions(of_part)
    if column == "total_duration" and not sessions:
        return _first([r for r in counted if r["metric"] == "sleep_duration"])
    if column in ("total_duration", "nap_duration"):
        used = [r for session in sessions for r in session]
        return used, math.fsum(r["value"] for r in used) if _sessions(counted) else None
    main = sessions[0] if sessions else []
    window = (main[0]["end"] // 1_000_000 - main[0]["start"] // 1_000_000) / 60 if main else 0
    share = min(math.fsum(r["value"] for r in main) / window * 100, 100.0) if window else None
    return main, share if column == "sleep_efficiency" else None


def _sessions(readings: Readings) -> list[Readings]:
    told: dict[tuple[Any, ...], list[Reading]] = {}
    for reading in _told_once(readings):
        if reading["scope"] != "day":
            told.setdefault(_session(reading), []).append(reading)
    return [[r for r in session if r["metric"] == "sleep_duration"] or session for session in told.values()]


_RULES: Mapping[str, Callable[[Readings], tuple[Readings, float | None]]] = {
    "bp_readings": _count,
    "hr_samples": _count,
    "avg_hr": _samples,
    **dict.fromkeys(("steps", "distance", "active_energy", "basal_energy"), _total),
    **dict.fromkeys(_FIRST, _first),
    **dict.fromkeys(_SUMS, _sum),
}
"""Columns that are not simply made of all their readings."""
