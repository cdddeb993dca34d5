"""Sleep sessions: nobody sleeps longer than the window, a session stands or falls with its duration, overlaps are flagged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from config.metrics import METRICS, bounds
from processing.readings import is_word
from processing.validators.records import find_repeated_records, record_frame
from processing.validators.verdicts import Verdicts

ROUNDING = 1.0
"""Minutes a duration may exceed its window: devices round both to whole minutes."""

_STAGES = ("sleep_deep", "sleep_light", "sleep_rem")
_MINUTES = 60_000_000
_DURATIONS = tuple(name for name, metric in METRICS.items() if metric.kind == "sleep" and metric.unit == "min")


def judge_sessions(verdicts: Verdicts, plausibility: Mapping[str, Any]) -> None:
    """Refuse sessions that contradict themselves; flag short nights, overlapping sessions and stages that do not add up."""
    frame = record_frame(verdicts.table)
    metric = frame["metric"]
    session = is_word(verdicts.table, "scope", "session")
    window = ((frame["end"] - frame["start"]) / _MINUTES).to_numpy()
    verdicts.reject(session & (window == 0), "empty_session")
    too_long = (frame["value"] > window + ROUNDING) & metric.isin(_DURATIONS)
    verdicts.reject(session & too_long.to_numpy(), "exceeds_window")
    duration = (metric == "sleep_duration").to_numpy()
    broken = pd.Series(duration & ~verdicts.accepted).groupby(frame["record"]).transform("any")
    verdicts.reject(broken.to_numpy(), "partner_rejected")
    find_repeated_records(verdicts, frame)

    accepted = verdicts.accepted
    longest = frame["value"].where(duration & accepted).groupby([frame["source"], frame["local_date"]]).transform("max")
    usual_low = bounds("sleep_duration", plausibility)[1][0]
    verdicts.flag(duration & (longest < usual_low).to_numpy(), "warn_low")
    asleep = frame["value"].where(duration & accepted).groupby(frame["record"]).transform("max")
    stages = frame["value"].where(metric.isin(_STAGES) & accepted).groupby(frame["record"]).transform("sum")
    verdicts.flag((stages > asleep + ROUNDING).to_numpy(), "stages_exceed_asleep")
    overlapping = _overlapping(frame[session & accepted])
    verdicts.flag(session & frame["record"].isin(overlapping).to_numpy(), "overlapping_session")


def _overlapping(readings: pd.DataFrame) -> set[int]:
    """Records of sessions that share time with another session of their source."""
    sessions = readings.drop_duplicates("record").sort_values(["source", "start", "end", "record"])
    source, start, end = (sessions[name].to_numpy() for name in ("source", "start", "end"))
    if len(sessions) == 0:
        return set()
    latest = sessions.groupby("source")["end"].cummax().to_numpy()
    joins_previous = np.append(False, (source[1:] == source[:-1]) & (start[1:] < latest[:-1]))
    meets_next = np.append((source[1:] == source[:-1]) & (start[1:] < end[:-1]), False)
    return set(sessions["record"].to_numpy()[joins_previous | meets_next].tolist())
