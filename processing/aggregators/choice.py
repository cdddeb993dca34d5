"""Choosing: which readings of a day count, which do not and why. One fate per reading, the same for the merge and for tracing.

Every rule looks at the readings of one local day only, so the fates of a day can be asked again from that day's readings alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from config.metrics import METRICS, SOURCE_PRIORITY
from config.tables import READINGS
from processing.aggregators.fates import ACCEPTED, FATES, LATER, LOWER_PRIORITY, PARTS, SAMPLES
from processing.readings import Array, codes, numbers

CHOICES = pa.schema(
    [
        *(READINGS.field(name) for name in ("local_date", "metric", "start", "end", "scope", "value", "unit")),
        *(READINGS.field(name) for name in ("utc_offset", "source", "device", "raw_id")),
        pa.field("fate", pa.string(), nullable=False),
        pa.field("part", pa.string()),  # morning | evening | main | nap; null where the day has no parts
    ]
)
"""Every reading with its fate, by day: what a cell of the daily table was made of (`columns.behind`)."""


class Priority:
    """Who is believed first: a person's `source_priority` of the metric, else of its kind, then the catalogue's, then by name."""

    def __init__(self, source_priority: Mapping[str, Sequence[str]]) -> None:
        self._own = source_priority

    def ranks(self, metric: str, sources: Sequence[str]) -> Array:
        """The rank of each of these sources for the metric; 0 is believed first."""
        own = self._own.get(metric, self._own.get(METRICS[metric].kind, ()))
        order = list(dict.fromkeys([*own, *SOURCE_PRIORITY, *sorted(sources)]))
        return np.array([order.index(source) for source in sources], dtype=np.int32)


def frame_of(table: pa.Table) -> pd.DataFrame:
    """The readings' numbers and words, row by row of the table; `day` is days since 1970. Raw ids and flags stay in the table."""
    frame = pd.DataFrame({name: numbers(table, name) for name in ("value", "start", "end", "utc_offset")})
    frame["day"] = numbers(table, "local_date")
    for name in ("metric", "scope", "source", "device"):
        found, words = codes(table, name)
        frame[name] = pd.Categorical.from_codes(found, categories=pd.Index(words, dtype="object"))
    frame["fate"] = pd.Categorical.from_codes(np.full(len(frame), len(FATES) - 1), categories=pd.Index(FATES, dtype="object"))
    frame["part"] = pd.Categorical.from_codes(np.full(len(frame), -1), categories=pd.Index(PARTS, dtype="object"))
    return frame


def source_ranks(rows: pd.DataFrame, priority: Priority, metric: str) -> pd.Series[Any]:
    """The rank of each row's source for this metric."""
    ranks = priority.ranks(metric, list(rows["source"].cat.categories))
    return pd.Series(ranks[rows["source"].cat.codes.to_numpy()], index=rows.index)


def of_best_source(rows: pd.DataFrame, priority: Priority, metric: str) -> Array:
    """Which rows come from the source that is believed first on their day."""
    ranks = source_ranks(rows, priority, metric)
    return np.asarray(ranks == ranks.groupby(rows["day"]).transform("min"))


def last_of_day(rows: pd.DataFrame) -> Array:
    """Which row is the day's last word: a daily figure before single readings, then the latest."""
    order = rows.assign(single=rows["scope"] != "day").sort_values(["day", "single", "end", "start"], kind="stable")
    daily_first = order.groupby("day")["single"].transform("min") == order["single"]
    last = ~order[daily_first].duplicated("day", keep="last")
    return np.asarray(rows.index.isin(last[last].index))


def choose_last(frame: pd.DataFrame, priority: Priority, metric: str) -> None:
    """Set the fates of a metric whose day is its last word, of the source believed first."""
    rows = _best_rows(frame, priority, metric)
    frame.loc[rows.index, "fate"] = np.where(last_of_day(rows), ACCEPTED, LATER)


def choose_samples(frame: pd.DataFrame, priority: Priority, metric: str) -> None:
    """Set the fates of a metric whose day is the mean of its samples, else the source's own figure; of the source believed first."""
    rows = _best_rows(frame, priority, metric)
    sample = rows["scope"] != "day"
    sampled = sample.groupby(rows["day"]).transform("any")
    frame.loc[rows.index, "fate"] = np.where(sampled & ~sample, SAMPLES, ACCEPTED)


def _best_rows(frame: pd.DataFrame, priority: Priority, metric: str) -> pd.DataFrame:
    """The metric's rows of the source believed first; the others get their fate."""
    rows = frame[frame["metric"] == metric]
    best = of_best_source(rows, priority, metric)
    frame.loc[rows.index[~best], "fate"] = LOWER_PRIORITY
    return rows[best]
