"""The JSON of Garmin, recognised by what it holds: the account export's files, and what python-garminconnect or garth saved.

Answers are lists of objects, objects that wrap lists, or a day's answers under names of the person's own; an object is known by its
keys wherever it stands. What is not known is counted by the name it stands under.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ingestion.records import Layout

_MOST_NESTED = 3
_NAPS = ("dailyNapDTOS", "dailyNapDTOList", "napList")


class Unit(NamedTuple):
    """An object that is a record."""

    table: str
    object: dict[str, Any]


_MARKS: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (table, frozenset(marks.split()))
    for table, marks in (
        ("heart_rate", "heartRateValues"),
        ("respiration", "respirationValuesArray calendarDate"),
        ("spo2", "averageSpO2 calendarDate"),
        ("hrv", "hrvSummary"),
        ("sleep", "sleepStartTimestampGMT sleepEndTimestampGMT"),
        ("nap", "napStartTimestampGMT napEndTimestampGMT"),
        ("blood_pressure", "systolic diastolic"),
        ("steps", "startGMT endGMT steps"),
        ("weight", "weight calendarDate samplePk"),
        ("biometrics", "weight metaData"),
        ("health_status", "calendarDate metrics"),
        ("daily", "calendarDate wellnessStartTimeGmt"),
        ("daily", "calendarDate totalKilocalories"),
        ("daily", "calendarDate restingHeartRate totalSteps"),
        ("daily_steps", "calendarDate totalSteps"),
    )
)
"""Table → keys that tell it; the first whose keys are all there."""
_NIGHT_ONLY = frozenset({"calendarDate", "sleepWindowConfirmationType"})
"""A night of the account export on which nothing was recorded."""
_WRAPS = frozenset({"measurementSummaries", "measurements", "dateWeightList", "dailyWeightSummaries", "allWeightMetrics"})
"""Names of lists whose elements are looked at; the object around them says nothing else that is read."""


def units(value: Any, name: str, depth: int = 0) -> Iterator[Unit | Layout]:
    """What one JSON value holds. `name`: what it stands under, for what is not known."""
    if isinstance(value, list):
        for entry in value:
            yield from units(entry, name, depth)
    elif not isinstance(value, dict):
        yield Layout("type_not_read", 1, name)
    elif "dailySleepDTO" in value:
        yield from _sleep(value)
    elif table := _table(value):
        yield Unit(table, value)
        for nap_list in _NAPS:
            yield from units(value.get(nap_list) or [], nap_list, depth + 1)
    elif value.keys() >= _NIGHT_ONLY:
        yield Layout("night_without_sleep")
        for nap_list in _NAPS:
            yield from units(value.get(nap_list) or [], nap_list, depth + 1)
    elif "allMetrics" in value:
        yield from _metrics(value["allMetrics"], name)
    else:
        yield from _below(value, name, depth)


def _table(value: Mapping[str, Any]) -> str | None:
    return next((table for table, marks in _MARKS if marks <= value.keys()), None)


def _sleep(value: dict[str, Any]) -> Iterator[Unit | Layout]:
    """get_sleep_data: the night, what is said beside it in single numbers, and naps; curves are not read."""
    night = value["dailySleepDTO"]
    beside = {key: found for key, found in value.items() if isinstance(found, int | float | str) and not isinstance(found, bool)}
    if isinstance(night, dict) and night.get("sleepStartTimestampGMT") is not None:
        yield Unit("sleep", {**beside, **night})
    else:
        yield Layout("night_without_sleep")
    for key, found in value.items():
        if key in _NAPS:
            yield from units(found or [], key, 1)
        elif key != "dailySleepDTO" and isinstance(found, list | dict) and found:
            yield Layout("type_not_read", 1, key)


def _metrics(value: Any, name: str) -> Iterator[Unit | Layout]:
    """get_rhr_day: `{"metricsMap": {"WELLNESS_RESTING_HEART_RATE": [{"value", "calendarDate"}]}}`."""
    found = value.get("metricsMap") if isinstance(value, dict) else None
    for metric, entries in (found if isinstance(found, dict) else {name: value}).items():
        for entry in entries if isinstance(entries, list) else [entries]:
            if metric == "WELLNESS_RESTING_HEART_RATE" and isinstance(entry, dict):
                yield Unit("resting_heart_rate", entry)
            else:
                yield Layout("type_not_read", 1, str(metric))


def _below(value: Mapping[str, Any], name: str, depth: int) -> Iterator[Unit | Layout]:
    """An object nobody knows: what it wraps may be known."""
    inner = {key: found for key, found in value.items() if isinstance(found, list | dict) and found and _may_hold(found)}
    if not inner or depth >= _MOST_NESTED:
        yield Layout("type_not_read", 1, name)
        return
    for key, found in inner.items():
        yield from units(found, name if key in _WRAPS else key, depth + 1)


def _may_hold(found: Any) -> bool:
    """Whether objects are in it: a list of numbers holds none."""
    return isinstance(found, dict) or any(isinstance(entry, dict) for entry in found[:10])
