"""How each metric is said in LOINC, UCUM and FHIR R4's vital signs: codes, their names, categories and profiles."""

from __future__ import annotations

from typing import NamedTuple

from config.metrics import METRICS
from scripts.export.readings import BLOOD_PRESSURE

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
OWN = "urn:personal-data-platform:metric"
"""The system of codes that are ours: metrics LOINC has no code for."""
_PROFILES = "http://hl7.org/fhir/StructureDefinition/"

LOINC_NAMES = {
    "85354-9": "Blood pressure panel with all children optional",
    "8480-6": "Systolic blood pressure",
    "8462-4": "Diastolic blood pressure",
    "8867-4": "Heart rate",
    "40443-4": "Heart rate --resting",
    "93832-4": "Sleep duration",
    "93831-6": "Deep sleep duration",
    "93830-8": "Light sleep duration",
    "93829-0": "REM sleep duration",
    "55423-8": "Number of steps in unspecified time Pedometer",
    "41950-7": "Number of steps in 24 hour Measured",
    "55430-3": "Walking distance unspecified time Pedometer",
    "41981-2": "Calories burned",
    "29463-7": "Body weight",
    "2708-6": "Oxygen saturation in Arterial blood",
    "80404-7": "R-R interval.standard deviation (Heart rate variability)",
    "9279-1": "Respiratory rate",
    "8310-5": "Body temperature",
    "41982-0": "Percentage of body fat Measured",
    "59408-5": "Oxygen saturation in Arterial blood by Pulse oximetry",
}
"""Code → the name LOINC gives it."""
_UNITS = {"mm[Hg]": "mmHg", "/min": "beats/minute", "{steps}": "steps", "{score}": "score", "Cel": "°C"}
"""UCUM code → the unit as people write it, where that is not the code."""
_OWN_UNITS = {"respiratory_rate": "breaths/minute"}
_PROFILE = {
    "85354-9": "bp",
    "8867-4": "heartrate",
    "2708-6": "oxygensat",
    "29463-7": "bodyweight",
    "9279-1": "resprate",
    "8310-5": "bodytemp",
}
"""LOINC code → the profile of FHIR's vital signs that its observations keep to."""
_DAILY = {"steps": ("41950-7",)}
_BESIDES = {"spo2": ("59408-5",)}
"""Codes besides the catalogue's: a wrist or a fingertip measures by pulse oximetry."""
_TEXT = {
    "heart_rate_mean": "Mean heart rate",
    "heart_rate_min": "Lowest heart rate",
    "heart_rate_max": "Highest heart rate",
    "hrv_rmssd": "Heart rate variability as RMSSD",
    "basal_energy": "Energy spent at rest",
    "sleep_awake": "Time awake during sleep",
    "sleep_score": "Sleep score of the device",
}
_CATEGORIES = {"vital-signs": "Vital Signs", "activity": "Activity"}
_ACTIVE = ("sleep", "activity")
"""Kinds that are no vital signs."""


class Category(NamedTuple):
    """A code of FHIR's observation categories."""

    code: str
    name: str


def loinc(metric: str, scope: str) -> tuple[str, ...]:
    """The metric's LOINC codes, most telling first; none for some. A day's steps have a code of their own."""
    if metric == BLOOD_PRESSURE:
        return ("85354-9",)
    if scope == "day" and metric in _DAILY:
        return _DAILY[metric]
    code = METRICS[metric].loinc
    return (code, *_BESIDES.get(metric, ())) if code else ()


def unit(metric: str) -> str:
    """The metric's unit as people write it."""
    code = METRICS[metric].unit
    return _OWN_UNITS.get(metric, _UNITS.get(code, code))


def text(metric: str, scope: str) -> str:
    """The metric in words."""
    codes = loinc(metric, scope)
    return LOINC_NAMES[codes[0]] if codes else _TEXT.get(metric, metric.replace("_", " ").capitalize())


def category(metric: str) -> Category:
    """The category of the metric's observations."""
    kind = metric if metric == BLOOD_PRESSURE else METRICS[metric].kind
    code = "activity" if kind in _ACTIVE else "vital-signs"
    return Category(code, _CATEGORIES[code])


def profile(metric: str, scope: str) -> str | None:
    """The canonical address of the profile the metric's observations keep to."""
    codes = loinc(metric, scope)
    found = _PROFILE.get(codes[0]) if codes else None
    return f"{_PROFILES}{found}" if found else None
