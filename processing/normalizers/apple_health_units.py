"""The Health app's numbers in the catalogue's units. The app exports in the unit a person prefers, so the same weight comes in kg or lb.

`Cal` is a kilocalorie and `cal` a thousandth of it. Saturation and body fat stand as a fraction beside the unit `%` (0.97), but for
some apps that wrote 97. Sources: `docs/sources.md`, Apple Health.
"""

from __future__ import annotations

from typing import NamedTuple


class Quantity(NamedTuple):
    """What a type of the export means."""

    metric: str
    scope: str
    units: dict[str, float]
    """Unit → factor to the catalogue's unit."""


class UnknownUnitError(ValueError):
    """The record's unit is none that its type comes in."""


_RATE = {"count/min": 1.0, "bpm": 1.0, "count/s": 60.0}
_MASS = {"kg": 1.0, "g": 0.001, "lb": 0.45359237, "st": 6.35029318, "oz": 0.028349523125}
_LENGTH = {"m": 1.0, "km": 1000.0, "mi": 1609.344, "ft": 0.3048, "yd": 0.9144, "cm": 0.01}
_ENERGY = {"kcal": 1.0, "Cal": 1.0, "cal": 0.001, "kJ": 1 / 4.184, "J": 1 / 4184}
_SHARE = {"%": 100.0}
_TEMPERATURE = {"degC": 1.0, "degF": 5 / 9, "K": 1.0}
ZERO = {"degF": 32.0, "K": 273.15}
"""What is taken off before the factor."""
PRESSURE = {"mmHg": 1.0, "kPa": 7.50062}
ENERGY = _ENERGY

QUANTITIES: dict[str, Quantity] = {
    "ActiveEnergyBurned": Quantity("active_energy", "interval", _ENERGY),
    "BasalEnergyBurned": Quantity("basal_energy", "interval", _ENERGY),
    "BodyFatPercentage": Quantity("body_fat", "instant", _SHARE),
    "BodyMass": Quantity("weight", "instant", _MASS),
    "BodyTemperature": Quantity("body_temperature", "instant", _TEMPERATURE),
    "DistanceWalkingRunning": Quantity("distance", "interval", _LENGTH),
    "HeartRate": Quantity("heart_rate", "instant", _RATE),
    "HeartRateVariabilitySDNN": Quantity("hrv_sdnn", "instant", {"ms": 1.0, "s": 1000.0}),
    "OxygenSaturation": Quantity("spo2", "instant", _SHARE),
    "RespiratoryRate": Quantity("respiratory_rate", "instant", _RATE),
    "RestingHeartRate": Quantity("resting_heart_rate", "day", _RATE),
    "StepCount": Quantity("steps", "interval", {"count": 1.0}),
}
"""Type, without its prefix → what it means."""
PRESSURES = {"BloodPressureSystolic": "systolic", "BloodPressureDiastolic": "diastolic"}


def converted(value: float, unit: str | None, units: dict[str, float]) -> float:
    """The value in the catalogue's unit. Raises UnknownUnitError."""
    factor = units.get(unit or "")
    if factor is None:
        raise UnknownUnitError
    if unit == "%" and value > 1:
        return value
    if factor == 1 and unit not in ZERO:
        return value
    return round((value - ZERO.get(unit or "", 0.0)) * factor, 6)
