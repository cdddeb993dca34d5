"""Heart rate of a day: from the samples of the source believed first, else from its own daily figures.

Resting heart rate is only what a device reported as such; the day's minimum is not it. `docs/domain.md`, heart rate.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from processing.aggregators.choice import Priority, choose_last, choose_samples, of_best_source
from processing.aggregators.fates import ACCEPTED, LOWER_PRIORITY, SAMPLES
from processing.readings import Array

GAP = 600
"""Seconds. A longer gap between samples makes a day's mean time-weighted (Gadgetbridge interpolates over no more)."""

_SECOND = 1_000_000
_GENERAL = ("heart_rate", "heart_rate_mean", "heart_rate_min", "heart_rate_max")
_VARIABILITY = ("hrv_sdnn", "hrv_rmssd")


def choose(frame: pd.DataFrame, priority: Priority) -> None:
    """Set the fate of each reading."""
    general = frame[frame["metric"].isin(_GENERAL)]
    best = of_best_source(general, priority, "heart_rate")
    frame.loc[general.index[~best], "fate"] = LOWER_PRIORITY
    chosen = general[best]
    sample = chosen["metric"] == "heart_rate"
    sampled = sample.groupby(chosen["day"]).transform("any")
    frame.loc[chosen.index, "fate"] = np.where(sampled & ~sample, SAMPLES, ACCEPTED)

    choose_last(frame, priority, "resting_heart_rate")
    for metric in _VARIABILITY:
        choose_samples(frame, priority, metric)


def daily(frame: pd.DataFrame) -> pd.DataFrame:
    """The day's columns, by day."""
    used = frame[frame["fate"] == ACCEPTED]
    by_metric = {name: used[used["metric"] == name] for name in (*_GENERAL, "resting_heart_rate")}
    samples = by_metric["heart_rate"].sort_values(["day", "start"], kind="stable")
    values = samples.groupby("day")["value"]
    found = pd.DataFrame(index=pd.Index(sorted(used["day"].unique()), name="day"))
    found["avg_hr"] = _mean(samples).combine_first(by_metric["heart_rate_mean"].groupby("day")["value"].mean())
    found["min_hr"] = values.min().combine_first(by_metric["heart_rate_min"].groupby("day")["value"].min())
    found["max_hr"] = values.max().combine_first(by_metric["heart_rate_max"].groupby("day")["value"].max())
    found["hr_samples"] = values.size()
    found["hr_coverage_minutes"] = _shares(samples).groupby(samples["day"]).sum() / 60
    found["resting_hr"] = by_metric["resting_heart_rate"].groupby("day")["value"].first()
    for metric in _VARIABILITY:  # two measures of one thing: never mixed
        found[metric] = used[used["metric"] == metric].groupby("day")["value"].mean()
    return found


def _mean(samples: pd.DataFrame) -> pd.Series[float]:
    """The plain mean of the day's samples; weighted by the time each stands for where a gap exceeds GAP."""
    shares = _shares(samples)
    weighted = (samples["value"] * shares).groupby(samples["day"]).sum() / shares.groupby(samples["day"]).sum()
    gaps = samples["start"].groupby(samples["day"]).diff().groupby(samples["day"]).max()
    return weighted.where(gaps > GAP * _SECOND, samples.groupby("day")["value"].mean())


def _shares(samples: pd.DataFrame) -> pd.Series[float]:
    """Seconds each sample stands for: the time of its day nearest to it, at most GAP / 2 to either side.

    Samples lie by day and start.
    """
    start, day = samples["start"].to_numpy() / _SECOND, samples["day"].to_numpy()
    since_midnight = start + samples["utc_offset"].to_numpy() - day * 86_400.0
    before, after = since_midnight.clip(0, GAP / 2), (86_400 - since_midnight).clip(0, GAP / 2)
    same_day = day[1:] == day[:-1]
    half: Array = np.minimum(np.diff(start), GAP) / 2
    before[1:][same_day] = half[same_day]
    after[:-1][same_day] = half[same_day]
    return pd.Series(before + after, index=samples.index)
