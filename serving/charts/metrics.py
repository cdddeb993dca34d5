"""The names of metrics on charts: words for people, the unit, and how many decimals are worth showing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Named(NamedTuple):
    """How a column of the daily table is called."""

    words: str
    unit: str
    digits: int = 0

    @property
    def titled(self) -> str:
        """`Systolic pressure (mmHg)`: the title of an axis or a column."""
        return f"{self.words} ({self.unit})"

    @property
    def within(self) -> str:
        """The words inside a sentence."""
        return self.words if self.words[1:2].isupper() or self.words.startswith("SpO") else self.words[0].lower() + self.words[1:]


METRICS: Mapping[str, Named] = {
    "systolic": Named("Systolic pressure", "mmHg"),
    "diastolic": Named("Diastolic pressure", "mmHg"),
    "pulse": Named("Pulse at the cuff", "beats/min"),
    "systolic_morning": Named("Morning systolic pressure", "mmHg"),
    "diastolic_morning": Named("Morning diastolic pressure", "mmHg"),
    "systolic_evening": Named("Evening systolic pressure", "mmHg"),
    "diastolic_evening": Named("Evening diastolic pressure", "mmHg"),
    "avg_hr": Named("Mean heart rate", "beats/min"),
    "resting_hr": Named("Resting heart rate", "beats/min"),
    "total_duration": Named("Sleep", "hours", 1),
    "sleep_efficiency": Named("Sleep efficiency", "%"),
    "steps": Named("Steps", "steps"),
    "distance": Named("Distance", "km", 1),
    "active_energy": Named("Active energy", "kcal"),
    "weight": Named("Weight", "kg", 1),
    "spo2_avg": Named("Oxygen saturation", "%", 1),
    "hrv_sdnn": Named("Heart rate variability (SDNN)", "ms"),
    "hrv_rmssd": Named("Heart rate variability (RMSSD)", "ms"),
    "basal_energy": Named("Resting energy", "kcal"),
    "body_fat": Named("Body fat", "%", 1),
    "respiration_avg": Named("Respiration", "breaths/min", 1),
    "body_temperature": Named("Body temperature", "°C", 1),
}
"""Column → its name. Durations are stored in minutes and shown in hours, distances in metres and shown in kilometres."""

TOLD_BY_FEW = ("hrv_sdnn", "hrv_rmssd", "respiration_avg", "body_temperature", "body_fat", "basal_energy")
"""Columns that few devices tell: where none does, what would show them stays away."""

_SCALE = {"total_duration": 60.0, "distance": 1000.0}


def named(metric: str) -> Named:
    """The name of a metric; an unknown one by its own word."""
    return METRICS.get(metric) or Named(metric.replace("_", " ").capitalize(), "")


def scale(metric: str) -> float:
    """What a stored value is divided by before it is shown."""
    return _SCALE.get(metric, 1.0)
