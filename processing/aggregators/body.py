"""Body of a day: the last weight and body fat; the mean oxygen saturation, respiration and temperature; each of the source believed
first. `docs/domain.md`, body."""

from __future__ import annotations

import pandas as pd

from processing.aggregators.choice import Priority, choose_last, choose_samples
from processing.aggregators.fates import ACCEPTED

_LAST = ("weight", "body_fat")
_MEANS = {"spo2_avg": "spo2", "respiration_avg": "respiratory_rate", "body_temperature": "body_temperature"}


def choose(frame: pd.DataFrame, priority: Priority) -> None:
    """Set the fate of each reading."""
    for metric in _LAST:
        choose_last(frame, priority, metric)
    for metric in _MEANS.values():
        choose_samples(frame, priority, metric)


def daily(frame: pd.DataFrame) -> pd.DataFrame:
    """The day's columns, by day."""
    used = frame[frame["fate"] == ACCEPTED]
    found = pd.DataFrame(index=pd.Index(sorted(used["day"].unique()), name="day"))
    for metric in _LAST:
        found[metric] = used[used["metric"] == metric].groupby("day")["value"].first()
    for column, metric in _MEANS.items():
        found[column] = used[used["metric"] == metric].groupby("day")["value"].mean()
    return found
