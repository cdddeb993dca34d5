"""Blood pressure of a day: the mean of its measurements, each counted once whoever recorded it.

Measurements are single events, so those of several sources are brought together; only daily totals are never summed. What a
person wrote down *and* the cuff stored is one measurement: same values within two minutes are twins, and count for the source
believed first. `docs/domain.md`, blood pressure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from processing.aggregators.categories import categories
from processing.aggregators.choice import Priority, source_ranks
from processing.aggregators.fates import ACCEPTED, DUPLICATE, NOT_DAILY
from processing.readings import Array

TWIN_SECONDS = 120
"""How far apart two sources may time the same measurement: both round to minutes."""

SAME = 1.0
"""Values of twins differ by less (mmHg, beats): whole numbers are equal, converted or halved ones may be rounded."""

_SECOND = 1_000_000


def choose(table: pa.Table, frame: pd.DataFrame, priority: Priority, morning: Sequence[str], evening: Sequence[str]) -> None:
    """Set fate, part (morning, evening) and `event` (the measurement it belongs to) of each reading.

    `morning` and `evening`: local clock from–to, as `["04:00", "12:00"]`.
    """
    single = frame["scope"] != "day"  # a vendor's average of the day is no measurement
    measured = frame[single]
    measured = measured.assign(rank=source_ranks(measured, priority, "systolic"))
    raw_ids = np.asarray(table["raw_id"].to_pylist(), dtype=object)[single.to_numpy()]
    event = measured.assign(raw_id=raw_ids).groupby(["source", "raw_id", "start"], observed=True).ngroup()
    twins, keep_pulse = _twins(_events(measured, event))
    duplicate = event.isin(twins) & ~(event.isin(keep_pulse) & (measured["metric"] == "pulse"))
    frame["event"] = event.reindex(frame.index, fill_value=-1)
    frame.loc[~single, "fate"] = NOT_DAILY
    frame.loc[measured.index, "fate"] = np.where(duplicate, DUPLICATE, ACCEPTED)
    clock = (frame["start"] // _SECOND + frame["utc_offset"]) % 86_400
    frame.loc[_within(clock, evening), "part"] = "evening"
    frame.loc[_within(clock, morning), "part"] = "morning"


def measurements(frame: pd.DataFrame) -> pd.DataFrame:
    """The accepted measurements in order of time: day, start (s), part, systolic, diastolic, pulse (nan where there is none).

    A pulse taken over from a twin stands as a row of its own.
    """
    used = frame[frame["fate"] == ACCEPTED]
    by_event = used.groupby("event")
    found = by_event[["day", "start"]].first()
    found["start"] //= _SECOND
    found["part"] = by_event["part"].first().astype(object)
    for metric in ("systolic", "diastolic", "pulse"):
        found[metric] = used[used["metric"] == metric].groupby("event")["value"].first()
    return found.reset_index().sort_values(["start", "event"]).drop(columns="event").reset_index(drop=True)


def daily(frame: pd.DataFrame, scheme_name: str) -> pd.DataFrame:
    """The day's columns, by day."""
    used = frame[frame["fate"] == ACCEPTED]
    found = pd.DataFrame(index=pd.Index(sorted(used["day"].unique()), name="day"))
    for metric in ("systolic", "diastolic", "pulse"):
        values = used[used["metric"] == metric].groupby("day")["value"]
        found[metric] = values.mean()
        if metric != "pulse":
            found[f"{metric}_min"], found[f"{metric}_max"] = values.min(), values.max()
            for part in ("morning", "evening"):
                found[f"{metric}_{part}"] = (
                    used[(used["metric"] == metric) & (used["part"] == part)].groupby("day")["value"].mean()
                )
    found["bp_readings"] = used[used["metric"] == "systolic"].groupby("day").size()
    found["map"] = found["diastolic"] + (found["systolic"] - found["diastolic"]) / 3
    found["pulse_pressure"] = found["systolic"] - found["diastolic"]
    written = found[["systolic", "diastolic"]].to_numpy(dtype=float).round(2)  # the category is that of the mean as it is written
    found["bp_category"] = np.array(categories(written[:, 0], written[:, 1], scheme_name), dtype=object)
    found["bp_scheme"] = np.array([None if name is None else scheme_name for name in found["bp_category"]], dtype=object)
    return found


@dataclass
class _Kept:
    """A measurement that counts, while twins of it are sought."""

    matched: int
    """Rank of the latest source that has a twin of it, at first its own: each source has at most one."""
    start: int
    systolic: float
    diastolic: float
    pulse: float

    def is_twin(self, other: _Kept) -> bool:
        """Whether the other, of a source believed less, may be the same measurement."""
        return (
            self.matched < other.matched
            and abs(self.start - other.start) <= TWIN_SECONDS * _SECOND
            and abs(self.systolic - other.systolic) < SAME
            and abs(self.diastolic - other.diastolic) < SAME
            and not abs(self.pulse - other.pulse) >= SAME  # so that a missing pulse (nan) does not matter
        )


def _events(measured: pd.DataFrame, event: pd.Series[int]) -> pd.DataFrame:
    """One row per measurement: day, rank of its source, start, values (nan where there is none)."""
    facts = measured.groupby(event)[["day", "rank", "start"]].first()
    for metric in ("systolic", "diastolic", "pulse"):
        mine = measured["metric"] == metric
        facts[metric] = measured["value"][mine].groupby(event[mine]).first().reindex(facts.index)
    return facts


def _twins(events: pd.DataFrame) -> tuple[set[int], set[int]]:
    """(measurements that repeat one of a source believed more, those of them whose pulse the kept one lacks)."""
    twins: set[int] = set()
    keep_pulse: set[int] = set()
    pairs = events.dropna(subset=["systolic", "diastolic"])
    several = pairs[pairs.groupby("day")["rank"].transform("nunique") > 1]
    for _, of_day in several.groupby("day"):
        kept: list[_Kept] = []
        rows = of_day.reset_index(names="event").sort_values(["rank", "start", "event"])
        columns = ["event", "rank", "start", "systolic", "diastolic", "pulse"]
        for event, *facts in rows[columns].itertuples(index=False, name=None):
            mine = _Kept(*facts)
            twin = min((k for k in kept if k.is_twin(mine)), key=lambda k: (abs(k.start - mine.start), k.start), default=None)
            if twin is None:
                kept.append(mine)
                continue
            twins.add(int(event))
            twin.matched = mine.matched
            if np.isnan(twin.pulse) and not np.isnan(mine.pulse):
                keep_pulse.add(int(event))
                twin.pulse = mine.pulse
    return twins, keep_pulse


def _within(clock: pd.Series[int], hours: Sequence[str]) -> Array:
    """Which local clock times (s) lie in [from, to); a window may cross midnight."""
    first, last = (int(h) * 3600 + int(m) * 60 for h, m in (text.split(":") for text in hours))
    inside = (clock >= first) & (clock < last) if first <= last else (clock >= first) | (clock < last)
    return inside.to_numpy()
