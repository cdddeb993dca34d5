"""What the columns of the daily table are called on a page: words, unit, group and how many decimals are worth showing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from serving.charts import words


class Label(NamedTuple):
    """How a column is called."""

    words: str
    unit: str = ""
    digits: int = 0


GROUPS: Mapping[str, Mapping[str, Label]] = {
    "Blood pressure": {
        "systolic": Label("Systolic", "mmHg", 1),
        "diastolic": Label("Diastolic", "mmHg", 1),
        "pulse": Label("Pulse at the cuff", "/min", 1),
        "bp_category": Label("Category"),
        "bp_readings": Label("Readings"),
        "systolic_min": Label("Lowest systolic", "mmHg"),
        "systolic_max": Label("Highest systolic", "mmHg"),
        "diastolic_min": Label("Lowest diastolic", "mmHg"),
        "diastolic_max": Label("Highest diastolic", "mmHg"),
        "systolic_morning": Label("Systolic, morning", "mmHg", 1),
        "diastolic_morning": Label("Diastolic, morning", "mmHg", 1),
        "systolic_evening": Label("Systolic, evening", "mmHg", 1),
        "diastolic_evening": Label("Diastolic, evening", "mmHg", 1),
        "map": Label("Mean arterial pressure", "mmHg", 1),
        "pulse_pressure": Label("Pulse pressure", "mmHg", 1),
        "bp_scheme": Label("Scheme of the category"),
    },
    "Heart": {
        "avg_hr": Label("Mean heart rate", "/min", 1),
        "resting_hr": Label("Resting heart rate", "/min"),
        "min_hr": Label("Lowest heart rate", "/min"),
        "max_hr": Label("Highest heart rate", "/min"),
        "hrv_sdnn": Label("Variability (SDNN)", "ms", 1),
        "hrv_rmssd": Label("Variability (RMSSD)", "ms", 1),
        "hr_samples": Label("Samples"),
        "hr_coverage_minutes": Label("Time covered", "span"),
    },
    "Sleep": {
        "total_duration": Label("Asleep", "span"),
        "nap_duration": Label("Of that in naps", "span"),
        "sleep_deep_duration": Label("Deep", "span"),
        "sleep_light_duration": Label("Light", "span"),
        "sleep_rem_duration": Label("REM", "span"),
        "sleep_awake_duration": Label("Awake within sleep", "span"),
        "sleep_efficiency": Label("Efficiency", "%", 1),
        "sleep_score": Label("Vendor's score"),
        "bed_time": Label("Fell asleep", "clock"),
        "wake_time": Label("Woke up", "clock"),
    },
    "Activity and body": {
        "steps": Label("Steps"),
        "distance": Label("Distance", "m"),
        "active_energy": Label("Active energy", "kcal"),
        "basal_energy": Label("Resting energy", "kcal"),
        "weight": Label("Weight", "kg", 1),
        "body_fat": Label("Body fat", "%", 1),
        "spo2_avg": Label("Oxygen saturation", "%", 1),
        "respiration_avg": Label("Respiration", "/min", 1),
        "body_temperature": Label("Body temperature", "°C", 1),
    },
    "The day itself": {
        "date": Label("Date"),
        "sources": Label("Sources"),
        "missing_data_flag": Label("Something is missing"),
        "event": Label("Events"),
    },
}
"""Group → column → label; every column of the daily table has one."""

LABELS: Mapping[str, Label] = {name: label for group in GROUPS.values() for name, label in group.items()}


def shown(column: str, value: Any) -> str:
    """A cell as a person reads it, with its unit; an empty one is a dash."""
    label = LABELS[column]
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if label.unit == "clock":
        return f"{datetime.fromisoformat(value):%H:%M}"
    if column == "bp_category":
        from serving.charts.theme import look

        return look(value).label
    if column == "bp_scheme":
        from serving.view import SCHEMES

        return SCHEMES.get(value, str(value))
    if not isinstance(value, int | float):
        return str(value)
    return words.span(value) if label.unit == "span" else f"{words.figure(value, label.digits)} {label.unit}".rstrip()
