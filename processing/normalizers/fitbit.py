"""Fitbit records → readings: samples, minutes, daily figures, body and sleep, each told once although the export tells it up to thrice.

A heart rate of confidence 0 is a guess and not used. SpO2 minutes of exactly 50 mean "not measured". A resting heart rate of 0.0 fills the
days without one. Distance is in cm in JSON and in m in CSV; weight is in grams in CSV and in a unit the JSON does not say, so that one
gives no weight. Total calories and skin temperature are no metric here and not read. Rules and their sources: `docs/sources.md`, fitbit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple

from config.stage import Inputs, Outputs, Report
from config.timezones import PersonZones
from processing.normalizers import bulk
from processing.normalizers.building import Normalized
from processing.normalizers.fitbit_columns import Columns
from processing.normalizers.fitbit_sleep import SCORES, Nights
from processing.normalizers.fitbit_sleep import TABLES as SLEEP
from processing.normalizers.fitbit_twins import Twins
from processing.normalizers.moments import SECOND, instant, whole_day
from processing.normalizers.months import Months
from processing.normalizers.newest import Row
from processing.normalizers.outcome import Outcome, written

_MINUTE = 60 * SECOND
_FLOOR = 50
"""What the wrist's SpO2 minutes say instead of nothing."""


class _Series(NamedTuple):
    """How a table's records are read."""

    metric: str
    fields: tuple[str, ...]
    """The first of them that is there."""
    length: int = 0
    """Microseconds a record stands for; 0: an instant."""
    factor: float = 1
    day: bool = False


_SERIES = {
    "json.heart_rate": _Series("heart_rate", ("bpm",)),
    "json.steps": _Series("steps", ("value",), _MINUTE),
    "json.distance": _Series("distance", ("value",), _MINUTE, 0.01),
    "json.resting_heart_rate": _Series("resting_heart_rate", ("value",), day=True),
    "json.weight": _Series("body_fat", ("fat",)),
    "csv.heart_rate": _Series("heart_rate", ("beats per minute",)),
    "csv.steps": _Series("steps", ("steps",), _MINUTE),
    "csv.distance": _Series("distance", ("distance",), _MINUTE),
    "csv.active_energy_burned": _Series("active_energy", ("calories", "kcal", "active energy burned"), _MINUTE),
    "csv.daily_resting_heart_rate": _Series("resting_heart_rate", ("beats per minute",), day=True),
    "csv.weight": _Series("weight", ("weight grams",), factor=0.001),
    "csv.body_fat": _Series("body_fat", ("body fat percentage", "fat percentage")),
    "csv.core_body_temperature": _Series("body_temperature", ("temperature celsius",)),
    "csv.heart_rate_variability": _Series("hrv_rmssd", ("root mean square of successive differences milliseconds",)),
    "csv.daily_heart_rate_variability": _Series("hrv_rmssd", ("average heart rate variability milliseconds",), day=True),
    "csv.oxygen_saturation": _Series("spo2", ("oxygen saturation percentage",)),
    "csv.daily_oxygen_saturation": _Series("spo2", ("average percentage",), day=True),
    "csv.daily_respiratory_rate": _Series("respiratory_rate", ("breaths per minute",), day=True),
    "csv.minute_spo2": _Series("spo2", ("value",)),
    "csv.daily_spo2": _Series("spo2", ("average_value",), day=True),
    "csv.hrv_details": _Series("hrv_rmssd", ("rmssd",)),
    "csv.daily_hrv_summary": _Series("hrv_rmssd", ("rmssd",), day=True),
    "csv.daily_respiratory_rate_summary": _Series("respiratory_rate", ("daily_respiratory_rate",), day=True),
}

_PLAIN = frozenset(name for name, series in _SERIES.items() if not series.day and name != "json.weight")
"""Tables of which a record says one instant or minute and depends on no other, but for which twin is believed that day."""


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Roles `records`, `months` → roles `readings`, `rejected`, `months`. Settings: timezone, timezone_overrides, own_users (not asked)."""
    records = inputs.one("records").path
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    run = _Run(zones, Twins(records, zones))
    months = Months(inputs, outputs, run.twins.of_month)
    columns = Columns(_PLAIN, run.twins, zones, run.series)
    told = bulk.road(records, columns, zones, run.out, run.take, months.kept)
    months.take_over(run.out, columns)
    run.nights.finish()
    return months.written(run.out.write(outputs), told)


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones, twins: Twins) -> None:
        self.zones, self.twins = zones, twins
        self.out = Normalized("fitbit")
        self.nights = Nights(zones, self.out)

    def take(self, row: Row) -> None:
        """One valid record."""
        raw = json.loads(row.text)
        table = raw["table"]
        if table in SLEEP:
            self.nights.take(row, raw)
        elif self.twins.again(row, table):
            self.out.fates["duplicate"] += 1
        else:
            self.series(self.out, row, raw)

    def series(self, out: Normalized, row: Row, raw: Mapping[str, Any]) -> None:
        """The readings and the fate of a record of a series."""
        how = _SERIES[raw["table"]]
        outcome = Outcome(out, row, str(raw.get("data source", "")))
        value = raw.get("value")
        fields: Mapping[str, Any] = value if isinstance(value, dict) else raw
        name = next((name for name in how.fields if name in fields), how.fields[0])
        if raw["table"] == "json.heart_rate" and fields.get("confidence") == 0:
            out.fates["unused:low_confidence"] += 1  # too many to list one by one
            return
        if how.metric == "spo2" and written(fields.get(name)) == _FLOOR:
            out.drop(row, "sentinel", name)
            return
        start = row.stamp or 0
        when = whole_day(self.zones, self._day(start)) if how.day else instant(self.zones, start, how.length)
        scope = "day" if how.day else "interval" if how.length else "instant"
        outcome.add(how.metric, outcome.value(fields, name, how.metric, how.factor), when, scope)
        if raw["table"] == "json.weight" and "weight" in raw:
            outcome.refuse("unknown_unit", "weight")
        outcome.settle()

    def _day(self, start: int) -> date:
        return self.zones.local_date(start / SECOND)


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:
    """Which metrics a record (or the part of it that was refused) speaks of; nothing for a record without any."""
    if raw.get("table") == "json.weight":
        return {"weight"} if part == "weight" else {"weight", "body_fat"} if part is None else {"body_fat"}
    if raw.get("table") in SCORES:
        return {"sleep_score"}
    if raw.get("table") in SLEEP:
        return {"sleep_duration", "sleep_deep", "sleep_light", "sleep_rem", "sleep_awake"}
    series = _SERIES.get(str(raw.get("table")))
    return {series.metric} if series else set()
