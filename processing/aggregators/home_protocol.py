"""The home blood pressure protocol: the averages of a measuring week as guidelines ask for them, by named presets.

Guidelines: measure for 7 days, morning and evening, twice each; leave the first day out; average the rest if it is enough.
Sources of every number: `docs/domain.md`, home protocol. Not medical advice.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from config.errors import SettingsError
from config.home_protocols import PRESETS, SITTING, Preset
from processing.aggregators.categories import category

PAUSE = 2
"""Days in a row without a reading that end a measuring week early."""

PROTOCOL = pa.schema(
    [
        pa.field("protocol", pa.string(), nullable=False),
        pa.field("start", pa.date32(), nullable=False),
        pa.field("end", pa.date32(), nullable=False),
        pa.field("n_readings", pa.int64(), nullable=False),  # averaged
        pa.field(
            "n_discarded", pa.int64(), nullable=False
        ),  # left out: first days, first of a sitting, neither morning nor evening
        pa.field("n_sittings", pa.int64(), nullable=False),
        pa.field("n_days", pa.int64(), nullable=False),
        pa.field("n_full_days", pa.int64(), nullable=False),  # with a morning and an evening reading
        *(
            pa.field(f"{metric}{of}", pa.float64())
            for of in ("", "_of_days", "_morning", "_evening")  # mean of readings, mean of daily means, means by part of the day
            for metric in ("systolic", "diastolic", "pulse")
        ),
        pa.field("category", pa.string()),  # only of a valid week
        pa.field("valid", pa.bool_(), nullable=False),
        pa.field("reason", pa.string()),  # why not valid
    ]
)
"""One row per measuring week."""

_EPOCH = date(1970, 1, 1)


def preset(name: str) -> Preset:
    """The preset of this name; a SettingsError lists the names there are."""
    try:
        return PRESETS[name]
    except KeyError:
        raise SettingsError(f"There is no home protocol named {name!r}.", f"Use one of: {', '.join(PRESETS)}.") from None


def protocol_weeks(measured: pd.DataFrame, name: str) -> pa.Table:
    """All measuring weeks in measurements (`blood_pressure.measurements`: day, start in seconds, part, values)."""
    rules = preset(name)
    pairs = measured.dropna(subset=["systolic", "diastolic"]).reset_index(drop=True)
    sitting = (pairs["start"].diff() > SITTING).cumsum()
    order = pairs.groupby(sitting).cumcount()
    size = pairs.groupby(sitting)["start"].transform("size")
    first = (order == 0) & (size >= (rules.drop_first_of or len(pairs) + 1))
    pairs = pairs.assign(sitting=sitting, left_out=first | ~pairs["part"].isin(("morning", "evening")))
    weeks = pairs["day"].map(_weeks(sorted(pairs["day"].unique().tolist()), rules.days))
    rows = [_week(name, rules, week) for _, week in pairs.groupby(weeks)]
    return pa.Table.from_pylist(rows, schema=PROTOCOL)


def _weeks(days: list[int], length: int) -> dict[int, int]:
    """Day → first day of its measuring week: it starts on a day with readings that is in no earlier week."""
    weeks: dict[int, int] = {}
    start = previous = None
    for day in days:
        if start is None or previous is None or day - start >= length or day - previous > PAUSE:
            start = day
        weeks[day], previous = start, day
    return weeks


def _week(name: str, rules: Preset, week: pd.DataFrame) -> dict[str, Any]:
    first, last = int(week["day"].min()), int(week["day"].max())
    used = week[~week["left_out"] & (week["day"] >= first + rules.discard_days)]
    full_days = int((used.groupby("day")["part"].nunique() == 2).sum())
    row: dict[str, Any] = {
        "protocol": name,
        "start": _EPOCH + timedelta(days=first),
        "end": _EPOCH + timedelta(days=last),
        "n_readings": len(used),
        "n_discarded": len(week) - len(used),
        "n_sittings": used["sitting"].nunique(),
        "n_days": used["day"].nunique(),
        "n_full_days": full_days,
    }
    for metric in ("systolic", "diastolic", "pulse"):
        row[metric] = _written(used[metric].mean())
        row[f"{metric}_of_days"] = _written(used.groupby("day")[metric].mean().mean())
        for part in ("morning", "evening"):
            row[f"{metric}_{part}"] = _written(used.loc[used["part"] == part, metric].mean())
    reason = _reason(rules, row)
    row["valid"], row["reason"] = reason is None, reason
    row["category"] = None if reason else category(row["systolic"], row["diastolic"], rules.scheme)
    return row


def _reason(rules: Preset, row: dict[str, Any]) -> str | None:
    if row["n_days"] < rules.least_days:
        return "too_few_days"
    if row["n_full_days"] < rules.least_days:
        return "too_few_days_with_morning_and_evening"
    return "too_few_readings" if row["n_readings"] < rules.least_readings else None


def _written(value: float) -> float | None:
    """Two decimals, as everywhere in the results; None for a mean of nothing."""
    return None if pd.isna(value) else round(float(value), 2)
