"""What can be judged of one reading by itself: a number, a measurement at all, possible, usual, of a believable time?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from config.metrics import METRICS, bounds
from processing.readings import Array, codes, numbers
from processing.validators.verdicts import Verdicts

DEVICE_ERA = int(datetime(2009, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
"""No source PDP knows measured before; an earlier time is an unset clock or a broken date (`docs/domain.md`, time)."""

RESET_DAY = (date(2010, 1, 1) - date(1970, 1, 1)).days
"""The day many cuffs and bands start at when their battery was out."""

_HR_SENTINELS = (-1.0, 254.0, 255.0)
SENTINELS: Mapping[str, tuple[float, ...]] = {
    "heart_rate": _HR_SENTINELS,
    "heart_rate_mean": _HR_SENTINELS,
    "heart_rate_min": _HR_SENTINELS,
    "heart_rate_max": _HR_SENTINELS,
    "resting_heart_rate": _HR_SENTINELS,
    "pulse": _HR_SENTINELS,
    "spo2": (-1.0, 255.0),
}
"""Numbers a device writes for "nothing measured"."""


def judge_each(verdicts: Verdicts, plausibility: Mapping[str, Any]) -> None:
    """Refuse what is no measurement, an impossible one or of an impossible time; flag what is unusual."""
    table = verdicts.table
    values, starts = numbers(table, "value"), numbers(table, "start")
    verdicts.reject(~np.isfinite(values), "not_a_number")
    verdicts.reject(numbers(table, "end") < starts, "end_before_start")
    verdicts.reject(starts < DEVICE_ERA, "before_device_era")
    units, unit_words = codes(table, "unit")
    for name, rows in _by_metric(verdicts):
        metric = METRICS[name]
        verdicts.reject(rows & (units != _code(unit_words, metric.unit)), "unexpected_unit")
        verdicts.reject(rows & np.isin(values, SENTINELS.get(name, ())), "device_sentinel")
        if metric.zero_is_missing:
            verdicts.reject(rows & (values == 0), "zero_is_missing")
        if metric.unit == "min":
            verdicts.reject(rows & (values < 0), "negative_duration")
        (low, high), (usual_low, usual_high) = bounds(name, plausibility)
        verdicts.reject(rows & (values < low), "below_reject")
        verdicts.reject(rows & (values > high), "above_reject")
        if name != "sleep_duration":  # judged per wake day in `sessions`: a nap is short by nature
            verdicts.flag(rows & (values < usual_low), "warn_low")
        verdicts.flag(rows & (values > usual_high), "warn_high")
    verdicts.flag(numbers(table, "local_date") == RESET_DAY, "clock_reset")


def _by_metric(verdicts: Verdicts) -> Iterator[tuple[str, Array]]:
    found, names = codes(verdicts.table, "metric")
    for code, name in enumerate(names):
        rows = found == code
        if rows.any():
            yield name, rows


def _code(words: list[str], word: str) -> int:
    return words.index(word) if word in words else -2
