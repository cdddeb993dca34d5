"""A blood pressure is a pair: systolic and diastolic stand or fall together, and the diastolic lies below."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from processing.readings import Array
from processing.validators.records import find_repeated_records, record_frame
from processing.validators.verdicts import Verdicts

NARROW, WIDE = 10, 150
"""Pulse pressure (mmHg) outside which a pair is flagged; `docs/domain.md`, plausibility."""


def judge_measurements(verdicts: Verdicts) -> None:
    """Refuse contradictory and half measurements, flag odd pulse pressures, recognise repeated measurements.

    A pair whose diastolic is not below its systolic is refused with its pulse: its numbers are swapped or shifted, none can be
    trusted. Where only one of the pair is impossible, the pulse stays: a cuff counts it independently of the pressures.
    """
    frame = record_frame(verdicts.table)
    systolic, diastolic = (frame["metric"] == "systolic").to_numpy(), (frame["metric"] == "diastolic").to_numpy()
    pair = systolic | diastolic
    measured = verdicts.accepted | verdicts.has_reason("below_reject", "above_reject")
    gap = _per_record(frame, systolic & measured, "min") - _per_record(frame, diastolic & measured, "max")
    verdicts.reject((gap <= 0).to_numpy(), "dia_not_below_sys")
    broken = (pd.Series(pair & ~verdicts.accepted).groupby(frame["record"]).transform("any")).to_numpy()
    verdicts.reject(pair & broken, "partner_rejected")
    whole = _per_record(frame, systolic, "count").gt(0) & _per_record(frame, diastolic, "count").gt(0)
    verdicts.reject(pair & ~whole.to_numpy(), "partner_missing")
    verdicts.flag(pair & (gap < NARROW).to_numpy(), "pulse_pressure_low")
    verdicts.flag(pair & (gap > WIDE).to_numpy(), "pulse_pressure_high")
    find_repeated_records(verdicts, frame)


def _per_record(frame: pd.DataFrame, rows: Array, how: Literal["min", "max", "count"]) -> pd.Series[float]:
    """min, max or count of these rows' values over their record, on every row of the record."""
    found: pd.Series[float] = frame["value"].where(rows).groupby(frame["record"]).transform(how)
    return found
