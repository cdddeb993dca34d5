"""Body of a day: the last weight, the mean oxygen saturation; of the source believed first. `docs/domain.md`, body."""

from __future__ import annotations

import numpy as np
import pandas as pd

from processing.aggregators.choice import Priority, last_of_day, of_best_source
from processing.aggregators.fates import ACCEPTED, LATER, LOWER_PRIORITY, SAMPLES


def choose(frame: pd.DataFrame, priority: Priority) -> None:
    """Set the fate of each reading."""
    weights = frame[frame["metric"] == "weight"]
    best = of_best_source(weights, priority, "weight")
    frame.loc[weights.index[~best], "fate"] = LOWER_PRIORITY
    weights = weights[best]
    frame.loc[weights.index, "fate"] = np.where(last_of_day(weights), ACCEPTED, LATER)

    saturations = frame[frame["metric"] == "spo2"]
    best = of_best_source(saturations, priority, "spo2")
    frame.loc[saturations.index[~best], "fate"] = LOWER_PRIORITY
    saturations = saturations[best]
    sample = saturations["scope"] != "day"
    sampled = sample.groupby(saturations["day"]).transform("any")
    frame.loc[saturations.index, "fate"] = np.where(sampled & ~sample, SAMPLES, ACCEPTED)


def daily(frame: pd.DataFrame) -> pd.DataFrame:
    """The day's columns, by day."""
    used = frame[frame["fate"] == ACCEPTED]
    found = pd.DataFrame(index=pd.Index(sorted(used["day"].unique()), name="day"))
    found["weight"] = used[used["metric"] == "weight"].groupby("day")["value"].first()
    found["spo2_avg"] = used[used["metric"] == "spo2"].groupby("day")["value"].mean()
    return found
