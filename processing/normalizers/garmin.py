"""Garmin records → readings: daily summaries, all-day curves, nights, naps, cuff, scale and FIT files, each thing told once.

A day is Garmin's `calendarDate`; curves and measurements count by their GMT instant in the person's zone. 0, -1, -2 and 255 mean
"nothing measured" where a metric knows no zero. Of figures for one day the summary's is believed before a curve's, a curve's before
one added up from FIT. Rules and their sources: `docs/sources.md`, garmin.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from config.metrics import METRICS
from config.stage import Inputs, Outputs, Report
from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.fate import Fate
from processing.normalizers.garmin_days import Days, measured
from processing.normalizers.garmin_fit import Curve, Fit, speaks_of
from processing.normalizers.garmin_sleep import Nights, instant_of
from processing.normalizers.marks import Marks
from processing.normalizers.moments import SECOND, instant
from processing.normalizers.newest import Row, read_newest
from processing.normalizers.owners import OTHER, guessed, mine

_ACTIVITY, _MONITORING = '{"table":"fit_record"', '{"table":"fit_monitoring"'
_LATER = (_MONITORING, _ACTIVITY)
"""How the records begin that wait until the curves are known."""


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: timezone, timezone_overrides, own_users. Records of other accounts,
    and of a scale's other users, are refused (`other_user`)."""
    path, named = inputs.one("records").path, list(settings["own_users"].get("garmin", ()))
    accounts = {"garmin": [name for name in named if len(name) > 2]}
    run = _Run(PersonZones(settings["timezone"], settings["timezone_overrides"]), named)
    own = mine("garmin", path, accounts)
    waiting: set[str] = set()
    for row in run.out.newest(path):
        if row.text.startswith(_LATER):
            waiting.add(_ACTIVITY if row.text.startswith(_ACTIVITY) else _MONITORING)
        else:
            run.take(row, own)
    for beginning in _LATER:
        for row in _beginning(path, beginning) if beginning in waiting else ():
            run.take(row, own)
        run.fit.monitored()
    run.finish()
    return run.out.write(outputs, findings=guessed("garmin", settings["own_users"], run.out.fates[f"rejected:{OTHER}"]))


def _beginning(path: str, text: str) -> Iterator[Row]:
    return (row for row, standing in read_newest(path) if standing == "newest" and row.text.startswith(text))


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones, own: Iterable[str]) -> None:
        self.zones = zones
        self.out = Normalized("garmin")
        self._days = Days(zones, self.out)
        self._curve = Curve()
        self.fit = Fit(zones, self.out, self._days, self._curve, own)
        self._nights = Nights(zones, self.out)
        self._waiting: list[Fate] = []
        self._told = Marks()

    def take(self, row: Row, own: Any) -> None:
        """One valid record."""
        raw, fate = json.loads(row.text), Fate(row)
        table = raw["table"]
        if not own(raw):
            fate.refuse(OTHER, "userProfilePK")
        elif table.startswith("fit_"):
            if not self.fit.take(fate, raw):
                self._waiting.append(fate)
                return
        elif table in ("sleep", "nap"):
            self._sleep(fate, raw, nap=table == "nap")
        elif table in _FIGURES:
            self._figures(fate, raw, table)
        elif table == "steps":
            self._interval(fate, raw)
        else:
            self._points(fate, raw, table)
        if table in _FIGURES or table in ("sleep", "nap"):
            self._waiting.append(fate)
        else:
            fate.settle(self.out)

    def finish(self) -> None:
        """What had to wait for all records: nights, figures for a day."""
        self._nights.finish()
        self.fit.finish()
        self._days.finish()
        for fate in self._waiting:
            fate.settle(self.out, "unused:running_count" if fate.row.raw_id.startswith("fit/") else "unused:no_measurement")

    def _sleep(self, fate: Fate, raw: Mapping[str, Any], *, nap: bool) -> None:
        self._nights.take(fate, raw, nap=nap)
        day = _date(raw.get("calendarDate"))
        if nap or day is None or fate.refused:
            return
        for name, metric in _OF_NIGHT.items():
            self._days.add(fate, metric, day, raw.get(name), 4, name)

    def _figures(self, fate: Fate, raw: Mapping[str, Any], table: str) -> None:
        """What speaks of a calendar day: its figures, and its curve if it has one."""
        rank, fields = _FIGURES[table]
        about = raw["hrvSummary"] if table == "hrv" and isinstance(raw.get("hrvSummary"), dict) else raw
        day = _date(about.get("calendarDate"))
        if day is None:
            fate.refuse("bad_time")
            return
        for name, metric in fields:
            self._days.add(fate, metric, day, _under(about, name), rank, name)
        if table == "health_status":
            for entry in raw["metrics"]:
                if isinstance(entry, dict) and (of := _STATUS.get(str(entry.get("type")))):
                    self._days.add(fate, of, day, entry.get("value"), rank, str(entry["type"]))
        if table in _CURVES:
            self._curve_of(fate, raw.get(_CURVES[table][0]), _CURVES[table][1])
        elif table == "hrv":
            readings = raw.get("hrvReadings")
            for reading in readings if isinstance(readings, list) else ():
                if isinstance(reading, dict):
                    self._sample(
                        fate, "hrv_rmssd", instant_of(reading.get("readingTimeGMT")), reading.get("hrvValue"), "hrvReadings"
                    )

    def _curve_of(self, fate: Fate, pairs: Any, metric: str) -> None:
        """`[[epoch ms, value or null], …]`; a null is a gap, not a refusal."""
        for pair in pairs if isinstance(pairs, list) else ():
            if isinstance(pair, list) and len(pair) >= 2 and pair[1] is not None:
                start = instant_of(pair[0])
                if self._sample(fate, metric, start, pair[1], "curve") and metric == "heart_rate":
                    self._curve.cover(start or 0)

    def _sample(self, fate: Fate, metric: str, start: int | None, raw: Any, part: str) -> bool:
        """One value of a moment, unless that moment was told already. Whether it is a reading."""
        value = measured(fate, metric, raw, part)
        if value is None:
            return False
        if start is None:
            fate.refuse("bad_time", part)
            return False
        if not self._told.mark(metric, start):
            fate.again += 1
            return False
        self.out.add(metric, value, instant(self.zones, start), scope="instant", device="", raw_id=fate.row.raw_id)
        fate.given += 1
        return True

    def _interval(self, fate: Fate, raw: Mapping[str, Any]) -> None:
        start, end = fate.row.stamp or 0, instant_of(raw["endGMT"])
        value = measured(fate, "steps", raw["steps"], "steps")
        if end is None or not 0 < end - start <= 86_400 * SECOND:
            fate.refuse("bad_time", "endGMT")
        elif value is not None:
            when = instant(self.zones, start, end - start)
            self.out.add("steps", value, when, scope="interval", device="", raw_id=fate.row.raw_id)
            fate.given += 1

    def _points(self, fate: Fate, raw: Mapping[str, Any], table: str) -> None:
        """A measurement at a moment; weights are in grams."""
        if table == "biometrics":
            raw = raw["weight"] if isinstance(raw.get("weight"), dict) else {}
        for name, metric, divisor in _POINTS.get(table, ()):
            value = measured(fate, metric, raw.get(name), name)
            if value is not None:
                self._sample(fate, metric, fate.row.stamp, value / divisor, name)


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:
    """Which metrics a record (or the part of it that was refused) speaks of."""
    table = str(raw["table"])
    if table in ("sleep", "nap"):
        return {_OF_NIGHT[part]} if part in _OF_NIGHT else {name for name, metric in METRICS.items() if metric.kind == "sleep"}
    if table.startswith("fit_"):
        return speaks_of(table)
    if table == "steps":
        return {"steps"}
    if table == "health_status":
        return {_STATUS[part]} if part in _STATUS else set(_STATUS.values())
    if table == "hrv":
        return {"hrv_rmssd"}
    if part == "curve":
        return {_CURVES[table][1]}
    fields = [(name, metric) for name, metric, _ in _POINTS.get(table, ())] + list(_FIGURES.get(table, (0, ()))[1])
    return {metric for name, metric in fields if part in (None, name)} or set(METRICS)


def _date(value: Any) -> date | None:
    """A `calendarDate` as its record's check let it pass."""
    from datetime import datetime

    text = value.get("date") if isinstance(value, dict) else value
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        pass
    try:
        return datetime.strptime(str(text), "%b %d, %Y %I:%M:%S %p").date()  # noqa: DTZ007  a local day
    except ValueError:
        return None


def _under(raw: Mapping[str, Any], name: str) -> Any:
    """`respiration.avgWakingRespirationValue` of nested objects."""
    value: Any = raw
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


_Fields = tuple[tuple[str, str], ...]
_SUMMARY: _Fields = (
    ("totalSteps", "steps"),
    ("totalDistanceMeters", "distance"),
    ("activeKilocalories", "active_energy"),
    ("bmrKilocalories", "basal_energy"),
    ("minHeartRate", "heart_rate_min"),
    ("maxHeartRate", "heart_rate_max"),
    ("restingHeartRate", "resting_heart_rate"),
    ("averageSpo2", "spo2"),
    ("averageSpo2Value", "spo2"),
    ("avgWakingRespirationValue", "respiratory_rate"),
    ("respiration.avgWakingRespirationValue", "respiratory_rate"),
)
_FIGURES: Mapping[str, tuple[int, _Fields]] = {
    "daily": (0, _SUMMARY),
    "daily_steps": (1, (("totalSteps", "steps"), ("totalDistance", "distance"))),
    "heart_rate": (
        2,
        (("minHeartRate", "heart_rate_min"), ("maxHeartRate", "heart_rate_max"), ("restingHeartRate", "resting_heart_rate")),
    ),
    "resting_heart_rate": (2, (("value", "resting_heart_rate"),)),
    "spo2": (2, (("averageSpO2", "spo2"),)),
    "respiration": (2, (("avgWakingRespirationValue", "respiratory_rate"),)),
    "hrv": (2, (("lastNightAvg", "hrv_rmssd"),)),
    "health_status": (3, ()),
}
"""Table → rank among those that tell the same figure, and its fields."""
_OF_NIGHT = {"averageSpO2Value": "spo2", "avgOvernightHrv": "hrv_rmssd", "averageRespirationValue": "respiratory_rate"}
_STATUS = {"HRV": "hrv_rmssd", "SPO2": "spo2", "RESPIRATION": "respiratory_rate"}
"""The account export's health status; its HR is the night's mean, its skin temperature not the body's."""
_CURVES = {
    "heart_rate": ("heartRateValues", "heart_rate"),
    "spo2": ("spO2HourlyAverages", "spo2"),
    "respiration": ("respirationValuesArray", "respiratory_rate"),
}
_POINTS: Mapping[str, tuple[tuple[str, str, float], ...]] = {
    "blood_pressure": (("systolic", "systolic", 1), ("diastolic", "diastolic", 1), ("pulse", "pulse", 1)),
    "weight": (("weight", "weight", 1000), ("bodyFat", "body_fat", 1)),
    "biometrics": (("weight", "weight", 1000),),
}
