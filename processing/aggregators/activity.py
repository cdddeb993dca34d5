"""Activity of a day: the source's own daily total, else its raw rows with every half hour counted by one device only.

Sources and devices are never summed: a phone and a band count the same steps. `docs/domain.md`, activity.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from processing.aggregators.choice import Priority, of_best_source
from processing.aggregators.fates import ACCEPTED, DAILY_TOTAL, LOWER_PRIORITY, NOT_WORN, OTHER_DEVICE

METRICS = ("steps", "distance", "active_energy", "basal_energy")
_MOVED = ("steps", "distance", "active_energy")
_UNWORN = ("weight", "body_fat", "body_temperature", "basal_energy")
"""What a scale, a thermometer or a formula gives without a device on the body."""
_HALF_HOUR = 1800 * 1_000_000
_LONGEST = 52 * _HALF_HOUR
"""A row longer than any local day is not cut; it stands in its first half hour."""

Worn = set[tuple[int, str]]
"""(day, source) pairs with a sign that a device was on the body."""


def worn(*frames: pd.DataFrame) -> Worn:
    """Days on which a source measured something only a worn device can: heart rate, sleep, oxygen saturation, movement."""
    found: Worn = set()
    for frame in frames:
        moved = frame["metric"].isin(_MOVED)
        sign = frame[~(frame["metric"].isin(_UNWORN) | moved) | (moved & (frame["value"] > 0))]
        days = sign[["day", "source"]].drop_duplicates()
        found |= set(zip(days["day"].tolist(), days["source"].tolist(), strict=True))
    return found


def choose(frame: pd.DataFrame, priority: Priority, signs: Worn) -> None:
    """Set the fate of each reading."""
    for metric in METRICS:
        rows = frame[frame["metric"] == metric]
        on_body = [pair in signs for pair in zip(rows["day"].tolist(), rows["source"].tolist(), strict=True)]
        idle = ((rows["value"] == 0) & ~np.array(on_body, dtype=bool)).to_numpy()
        frame.loc[rows.index[idle], "fate"] = NOT_WORN
        rows = rows[~idle]
        best = of_best_source(rows, priority, metric)
        frame.loc[rows.index[~best], "fate"] = LOWER_PRIORITY
        rows = rows[best]
        total = rows["scope"] == "day"
        has_total = total.groupby(rows["day"]).transform("any")
        frame.loc[rows.index[has_total & ~total], "fate"] = DAILY_TOTAL
        _choose_total(frame, rows[total])
        _choose_raw(frame, rows[~has_total])


def daily(frame: pd.DataFrame) -> pd.DataFrame:
    """The day's columns, by day. Steps are whole."""
    used = frame[frame["fate"] == ACCEPTED]
    found = pd.DataFrame(index=pd.Index(sorted(used["day"].unique()), name="day"))
    for metric in METRICS:
        rows = used[used["metric"] == metric]
        total = rows["scope"] == "day"
        leading = _by_device(_pieces(rows[~total])).groupby(["day", "bin"]).max()
        found[metric] = rows[total].groupby("day")["value"].first().combine_first(leading.groupby("day").sum())
    found["steps"] = np.floor(found["steps"] + 0.5)
    return found


def _choose_total(frame: pd.DataFrame, totals: pd.DataFrame) -> None:
    """Of several totals of one day (one per device) the largest."""
    largest = totals.sort_values(["day", "value"], ascending=[True, False], kind="stable").drop_duplicates("day").index
    frame.loc[totals.index, "fate"] = np.where(totals.index.isin(largest), ACCEPTED, OTHER_DEVICE)


def _choose_raw(frame: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Of each half hour the device with the maximum; a row counts when its device leads in any half hour it touches."""
    pieces = _pieces(rows)
    sums = _by_device(pieces).reset_index()
    leads = sums.sort_values(["day", "bin", "value", "device"], ascending=[True, True, False, True]).drop_duplicates(
        ["day", "bin"]
    )
    leading = pieces.merge(leads[["day", "bin", "device"]], on=["day", "bin", "device"])["row"]
    frame.loc[rows.index, "fate"] = np.where(rows.index.isin(leading), ACCEPTED, OTHER_DEVICE)


def _by_device(pieces: pd.DataFrame) -> pd.Series[float]:
    """Sum of the pieces by day, half hour and device."""
    return pieces.groupby(["day", "bin", "device"])["value"].sum()


def _pieces(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows cut at the half hours (UTC, so that the hour told twice in autumn is two), the value shared by time: row, day, bin,
    device, value."""
    start, end = rows["start"].to_numpy(), rows["end"].to_numpy()
    first, length = start // _HALF_HOUR, end - start
    last = np.where((length > 0) & (length <= _LONGEST), (end - 1) // _HALF_HOUR, first)
    count = (last - first + 1).astype(np.int64)
    source = np.repeat(np.arange(len(rows)), count)
    bins = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count) + first[source]
    inside = np.minimum(end[source], (bins + 1) * _HALF_HOUR) - np.maximum(start[source], bins * _HALF_HOUR)
    share = np.where(count[source] == 1, 1.0, inside / np.maximum(length[source], 1))
    return pd.DataFrame(
        {
            "row": rows.index.to_numpy()[source],
            "day": rows["day"].to_numpy()[source],
            "bin": bins,
            "device": rows["device"].cat.codes.to_numpy()[source],
            "value": rows["value"].to_numpy()[source] * share,
        }
    )
