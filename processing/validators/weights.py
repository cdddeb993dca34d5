"""Body weight changes slowly: a jump of more than a tenth within a week is flagged, on the reading that made it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from processing.readings import codes, is_word, numbers
from processing.validators.verdicts import Verdicts

JUMP = 0.10
WEEK = 7 * 86_400_000_000


def judge_weights(verdicts: Verdicts) -> None:
    """Compare each weight with the one before it of the same source, when that is at most a week old."""
    table = verdicts.table
    rows = np.flatnonzero(is_word(table, "metric", "weight") & verdicts.accepted)
    frame = pd.DataFrame({name: numbers(table, name)[rows] for name in ("value", "start")}, index=rows)
    frame["source"] = codes(table, "source")[0][rows]
    before = frame.groupby("source").shift(1)  # the table lies in order of time
    jump = ((frame["value"] / before["value"] - 1).abs() > JUMP) & (frame["start"] - before["start"] <= WEEK)
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[rows[jump.to_numpy()]] = True
    verdicts.flag(mask, "weight_jump")
