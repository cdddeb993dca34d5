"""The columns of the daily table: their order, type, meaning, and which readings stand behind a cell."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from config.daily import COLUMNS as TOLD
from config.errors import UsageError


class Column(NamedTuple):
    """One column of the daily table."""

    name: str
    type: pa.DataType
    meaning: str
    metrics: tuple[str, ...] = ()
    """Accepted readings of these metrics made it."""
    part: str | None = None
    """Only those of this part of the day."""


_REAL, _WHOLE, _TEXT = pa.float64(), pa.int64(), pa.string()
_TYPES: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "systolic": _REAL,
    "diastolic": _REAL,
    "pulse": _REAL,
    "systolic_min": _REAL,
    "systolic_max": _REAL,
    "systolic_morning": _REAL,
    "diastolic_morning": _REAL,
    "systolic_evening": _REAL,
    "diastolic_evening": _REAL,
    "bp_readings": _WHOLE,
    "map": _REAL,
    "pulse_pressure": _REAL,
    "bp_category": _TEXT,
    "avg_hr": _REAL,
    "min_hr": _REAL,
    "max_hr": _REAL,
    "hr_samples": _WHOLE,
    "resting_hr": _REAL,
    "total_duration": _REAL,
    "nap_duration": _REAL,
    "sleep_deep_duration": _REAL,
    "sleep_light_duration": _REAL,
    "sleep_rem_duration": _REAL,
    "sleep_awake_duration": _REAL,
    "sleep_efficiency": _REAL,
    "sleep_score": _REAL,
    "bed_time": _TEXT,
    "wake_time": _TEXT,
    "steps": _WHOLE,
    "distance": _REAL,
    "active_energy": _REAL,
    "weight": _REAL,
    "spo2_avg": _REAL,
    "sources": _TEXT,
    "missing_data_flag": pa.bool_(),
    "diastolic_min": _REAL,
    "diastolic_max": _REAL,
    "bp_scheme": _TEXT,
    "hr_coverage_minutes": _REAL,
    "event": _TEXT,
    "hrv_sdnn": _REAL,
    "hrv_rmssd": _REAL,
    "basal_energy": _REAL,
    "body_fat": _REAL,
    "respiration_avg": _REAL,
    "body_temperature": _REAL,
}

COLUMNS: tuple[Column, ...] = tuple(
    Column(name, _TYPES[name], told.meaning, told.metrics, told.part) for name, told in TOLD.items()
)
"""In the order of the files. New columns go to the end."""

SCHEMA = pa.schema([pa.field(c.name, c.type, nullable=c.name not in ("date", "sources", "missing_data_flag")) for c in COLUMNS])
BY_SOURCE = pa.schema([pa.field("source", pa.string(), nullable=False), *SCHEMA])
"""The day as one source alone tells it."""

GROUPS: dict[str, tuple[str, ...]] = {
    "blood_pressure": ("systolic", "diastolic", "pulse"),
    "heart_rate": ("heart_rate", "heart_rate_mean", "heart_rate_min", "heart_rate_max"),
    "resting_hr": ("resting_heart_rate",),
    "sleep": ("sleep_duration", "sleep_deep", "sleep_light", "sleep_rem", "sleep_awake", "sleep_score"),
    "steps": ("steps",),
    "distance": ("distance",),
    "active_energy": ("active_energy",),
    "weight": ("weight",),
    "spo2": ("spo2",),
    "hrv": ("hrv_sdnn", "hrv_rmssd"),
    "basal_energy": ("basal_energy",),
    "body_fat": ("body_fat",),
    "respiration": ("respiratory_rate",),
    "body_temperature": ("body_temperature",),
}
"""The words of the column `sources` and the metrics each stands for."""


def named(name: str) -> Column:
    """The column of this name. Raises UsageError, which names the nearest, or the columns made of a metric of that name."""
    found = next((c for c in COLUMNS if c.name == name), None)
    if found is None:
        import difflib

        near = [c.name for c in COLUMNS if name in c.metrics] or difflib.get_close_matches(name, [c.name for c in COLUMNS], 3)
        mend = f"Did you mean {' or '.join(near)}?" if near else f"Columns are: {', '.join(c.name for c in COLUMNS)}."
        raise UsageError(f"The daily table has no column {name!r}.", mend)
    return found


def behind(name: str) -> Column:
    """The column of this name, with the metrics and the part of the day its readings have in the choices table.

    Raises UsageError for a name that is no column, and for a column that is not made of readings.
    """
    for column in COLUMNS:
        if column.name == name and column.metrics:
            return column
    made = ", ".join(c.name for c in COLUMNS if c.metrics)
    raise UsageError(f"There is no daily metric named {name!r}.", f"Use one of: {made}.")
