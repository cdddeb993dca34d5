"""The columns of the daily table: their order, type, meaning, and which readings stand behind a cell."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

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
_PAIR = ("systolic", "diastolic")
_HR = ("heart_rate", "heart_rate_mean")
_STAGES = ("sleep_deep", "sleep_light", "sleep_rem")
_ASLEEP = ("sleep_duration", *_STAGES)  # a session without a stated duration slept the sum of its stages

COLUMNS: tuple[Column, ...] = (
    Column("date", pa.date32(), "Local calendar day."),
    Column("systolic", _REAL, "Mean of the day's measurements, mmHg.", ("systolic",)),
    Column("diastolic", _REAL, "Mean of the day's measurements, mmHg.", ("diastolic",)),
    Column("pulse", _REAL, "Mean of the cuff's pulse, beats per minute.", ("pulse",)),
    Column("systolic_min", _REAL, "Lowest of the day, mmHg.", ("systolic",)),
    Column("systolic_max", _REAL, "Highest of the day, mmHg.", ("systolic",)),
    Column("systolic_morning", _REAL, "Mean of the morning's measurements, mmHg.", ("systolic",), "morning"),
    Column("diastolic_morning", _REAL, "Mean of the morning's measurements, mmHg.", ("diastolic",), "morning"),
    Column("systolic_evening", _REAL, "Mean of the evening's measurements, mmHg.", ("systolic",), "evening"),
    Column("diastolic_evening", _REAL, "Mean of the evening's measurements, mmHg.", ("diastolic",), "evening"),
    Column("bp_readings", _WHOLE, "Blood pressure measurements of the day.", ("systolic",)),
    Column("map", _REAL, "Mean arterial pressure of the day's means: diastolic + pulse pressure / 3, mmHg.", _PAIR),
    Column("pulse_pressure", _REAL, "Systolic minus diastolic of the day's means, mmHg.", _PAIR),
    Column("bp_category", _TEXT, "Category of the day's mean by `bp_scheme`; no diagnosis.", _PAIR),
    Column("avg_hr", _REAL, "Mean heart rate, beats per minute.", _HR),
    Column("min_hr", _REAL, "Lowest heart rate; not the resting one.", ("heart_rate", "heart_rate_min")),
    Column("max_hr", _REAL, "Highest heart rate.", ("heart_rate", "heart_rate_max")),
    Column(
        "hr_samples",
        _WHOLE,
        "Heart-rate samples behind the mean; empty when the source gave daily figures only.",
        ("heart_rate",),
    ),
    Column("resting_hr", _REAL, "Resting heart rate as a device reported it.", ("resting_heart_rate",)),
    Column("total_duration", _REAL, "Minutes asleep, main sleep and naps.", _ASLEEP),
    Column("nap_duration", _REAL, "Minutes asleep in naps.", _ASLEEP, "nap"),
    Column("sleep_deep_duration", _REAL, "Minutes of deep sleep, naps included.", ("sleep_deep",)),
    Column("sleep_light_duration", _REAL, "Minutes of light sleep, naps included.", ("sleep_light",)),
    Column("sleep_rem_duration", _REAL, "Minutes of REM sleep, naps included.", ("sleep_rem",)),
    Column("sleep_awake_duration", _REAL, "Minutes awake within sleep, naps included.", ("sleep_awake",)),
    Column("sleep_efficiency", _REAL, "Minutes asleep of the main sleep per minutes of its window, percent.", _ASLEEP, "main"),
    Column("sleep_score", _REAL, "The vendor's own score of the main sleep.", ("sleep_score",)),
    Column("bed_time", _TEXT, "Start of the main sleep on the local clock, with offset.", _ASLEEP, "main"),
    Column("wake_time", _TEXT, "End of the main sleep on the local clock, with offset.", _ASLEEP, "main"),
    Column("steps", _WHOLE, "Steps.", ("steps",)),
    Column("distance", _REAL, "Distance, metres.", ("distance",)),
    Column("active_energy", _REAL, "Energy spent by moving, kcal.", ("active_energy",)),
    Column("weight", _REAL, "Last weight of the day, kg.", ("weight",)),
    Column("spo2_avg", _REAL, "Mean oxygen saturation, percent.", ("spo2",)),
    Column("sources", _TEXT, "Which source gave what: `group=source/scope`, several joined by `+`, groups by `;`."),
    Column("missing_data_flag", pa.bool_(), "True when blood pressure, heart rate, sleep or steps are missing."),
    Column("diastolic_min", _REAL, "Lowest of the day, mmHg.", ("diastolic",)),
    Column("diastolic_max", _REAL, "Highest of the day, mmHg.", ("diastolic",)),
    Column("bp_scheme", _TEXT, "The scheme `bp_category` follows."),
    Column(
        "hr_coverage_minutes",
        _REAL,
        "Minutes of the day the heart-rate samples stand for, five to either side at most.",
        ("heart_rate",),
    ),
    Column("event", _TEXT, "Labels of the person's own events and of the medication start on this day."),
)
"""In the order of the files. New columns go to the end."""

SCHEMA = pa.schema([pa.field(c.name, c.type, nullable=c.name not in ("date", "sources", "missing_data_flag")) for c in COLUMNS])

EXPECTED = ("systolic", "avg_hr", "total_duration", "steps")
"""The columns `missing_data_flag` asks for."""

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
