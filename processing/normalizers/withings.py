"""Withings records → readings: cuff, scale, thermometer, tracker and sleep, from the archive and from the API, each told once.

A pulse without pressures is a heart rate, no blood pressure. `value × 10^unit` of the API; -1000 × 10^-3 means nothing was measured;
goals (`category` 2) and what may be somebody else's (`attrib` 1) give no reading. What the archive and the API both hold, at the
same second, counts once. Rules and their sources: `docs/sources.md`, withings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from config.metrics import METRICS
from config.stage import Inputs, Outputs, Report
from config.timezones import PersonZones
from processing.normalizers.building import Normalized, When
from processing.normalizers.fate import Fate
from processing.normalizers.marks import Marks
from processing.normalizers.moments import SECOND, instant, whole_day
from processing.normalizers.newest import Row
from processing.normalizers.numbers import number
from processing.normalizers.withings_sleep import Nights

_POUND = 0.45359237
_LARGEST = 10**12
_LONGEST = 7 * 86_400
_FLAGS = ("dst_gap", "dst_overlap")


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: timezone, timezone_overrides, own_users (one account: not asked)."""
    run = _Run(PersonZones(settings["timezone"], settings["timezone_overrides"]))
    for row in run.out.newest(inputs.one("records").path):
        run.take(row)
    run.nights.finish()
    return run.out.write(outputs)


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones) -> None:
        self.zones = zones
        self.out = Normalized("withings")
        self.nights = Nights(zones, self.out)
        self._told = Marks()

    def take(self, row: Row) -> None:
        """One valid record."""
        raw = json.loads(row.text)
        table = raw["table"]
        fate = Fate(row)
        if table in ("sleep", "sleep_summary", "sleep_state"):
            self.nights.take(row, raw)
            return
        if table.startswith("raw_"):
            self._raw(fate, raw, table)
        elif table.startswith("aggregates_"):
            self._days(fate, raw, raw["date"], {"value": _AGGREGATES[table]})
        elif table == "activity":
            self._days(fate, raw, raw["date"], _ACTIVITY)
        elif table == "measure":
            if (why := _not_mine(raw)) is not None:
                self._not_counted(row, why)
                return
            self._measures(fate, raw)
        elif table == "intraday":
            self._intraday(fate, raw)
        else:
            self._measured(fate, raw, table)
        fate.settle(self.out)

    def _measured(self, fate: Fate, raw: Mapping[str, Any], table: str) -> None:
        """A row of bp.csv or weight.csv."""
        found = {name: value for name, key in _CELLS[table] if (value := self._cell(fate, raw, key)) is not None}
        if table == "weight" and "fat" in found:
            fat = found.pop("fat")
            if "weight" in found:
                found["body_fat"] = 100 * fat / found["weight"]
        self._together(fate, {metric: value * _unit(raw, metric) for metric, value in found.items()})

    def _cell(self, fate: Fate, raw: Mapping[str, Any], key: str) -> float | None:
        text = next((raw[k].strip() for k in (key, key.replace("(kg)", "(lb)")) if k in raw), "")
        if not text:
            return None
        try:
            value = number(float(text))
        except ValueError:
            value = None
        if value is None or value == 0:
            fate.refuse("not_a_number" if value is None else "zero", key)
            return None
        return value

    def _measures(self, fate: Fate, raw: Mapping[str, Any]) -> None:
        """A measure group of the API."""
        found: dict[str, float] = {}
        for measure in raw["measures"]:
            kind = measure.get("type") if isinstance(measure, dict) else None
            if type(kind) is not int or kind not in _TYPES:
                continue
            metric = _TYPES[kind]
            value, unit = measure.get("value"), measure.get("unit", 0)
            if type(value) is not int or type(unit) is not int or not -12 <= unit <= 12 or abs(value) > _LARGEST:
                fate.refuse("not_a_number", metric)
            elif (value, unit) == (-1000, -3) or value == 0:
                fate.refuse("zero" if value == 0 else "device_sentinel", metric)
            else:
                found[metric] = value / 10**-unit if unit < 0 else float(value * 10**unit)
        said = ("ambiguous_user",) if raw.get("attrib") == 8 else ()  # some clients say that it is the user's own after all
        self._together(fate, found, str(raw.get("model") or ""), said)

    def _together(self, fate: Fate, found: dict[str, float], device: str = "", said: Sequence[str] = ()) -> None:
        """What was measured at one moment; a pulse is the cuff's only beside pressures. `said`: flags of all its readings."""
        if "pulse" in found and not found.keys() & {"systolic", "diastolic"}:
            found["heart_rate"] = found.pop("pulse")
        when = instant(self.zones, fate.row.stamp or 0)
        flags = [code for code in fate.row.codes or () if code in _FLAGS] + list(said)
        key = "systolic" if "systolic" in found else ""
        again = {metric for metric in found if not self._is_new(metric, when)}
        if key in again:  # a pair and its pulse are one measurement
            again |= {"diastolic", "pulse"}
        for metric, value in found.items():
            if metric in again:
                fate.again += 1
            else:
                self._add(fate, metric, value, when, "instant", device, flags)

    def _raw(self, fate: Fate, raw: Mapping[str, Any], table: str) -> None:
        """A row of a raw_* file: value i begins where the durations before it end."""
        durations, values = raw["duration"], raw["value"]
        if len(durations) != len(values):
            fate.refuse("bad_array", None)
            return
        metric, device = _RAW[table], table.split("_")[1]
        at = fate.row.stamp or 0
        for seconds, value in zip(durations, values, strict=True):
            if not 0 <= seconds <= _LONGEST:
                fate.refuse("bad_array", None)
                return
            length = int(seconds * SECOND)
            if METRICS[metric].kind == "activity":
                self._sample(fate, metric, value, instant(self.zones, at, length), "interval", device)
            else:
                self._sample(fate, metric, value, instant(self.zones, at), "instant", device)
            at += length

    def _intraday(self, fate: Fate, raw: Mapping[str, Any]) -> None:
        start = fate.row.stamp or 0
        seconds = number(raw.get("duration")) or 0.0
        device = str(raw.get("model") or "")
        for name, metric in _INTRADAY.items():
            if raw.get(name) is None:
                continue
            length = int(seconds * SECOND) if METRICS[metric].kind == "activity" and 0 < seconds <= 86_400 else 0
            scope = "interval" if length else "instant"
            self._sample(fate, metric, raw[name], instant(self.zones, start, length), scope, device)

    def _sample(self, fate: Fate, metric: str, raw: Any, when: When, scope: str, device: str) -> None:
        value = number(raw)
        if value is None or (value == 0 and METRICS[metric].zero_is_missing):
            fate.refuse("not_a_number" if value is None else "zero", metric)
        elif self._is_new(metric, when):
            self._add(fate, metric, value, when, scope, device)
        else:
            fate.again += 1

    def _days(self, fate: Fate, raw: Mapping[str, Any], day: str, fields: Mapping[str, str]) -> None:
        """A vendor's figures for a local day, whichever zone it was in."""
        for name, metric in fields.items():
            given = raw.get(name)
            if given is None or given == "":
                continue
            try:
                value = number(float(given) if isinstance(given, str) else given)
            except ValueError:
                value = None
            if value is None or (value == 0 and METRICS[metric].zero_is_missing):
                fate.refuse("not_a_number" if value is None else "zero", name)
            else:
                when = whole_day(self.zones, date.fromisoformat(day.strip()))
                self._add(fate, metric, value, when, "day", str(raw.get("deviceid") or ""))

    def _is_new(self, metric: str, when: When) -> bool:
        """Whether nobody has told this metric of this second yet."""
        return self._told.mark(metric, when.start)

    def _add(
        self, fate: Fate, metric: str, value: float, when: When, scope: str, device: str, flags: list[str] | None = None
    ) -> None:
        self.out.add(metric, value, when, scope=scope, device=device, raw_id=fate.row.raw_id, flags=flags or ())
        fate.given += 1

    def _not_counted(self, row: Row, why: str) -> None:
        if why == "goal":
            self.out.fates["unused:goal"] += 1
        else:
            self.out.drop(row, why, "attrib")


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:
    """Which metrics a record (or the part of it that was refused) speaks of."""
    table = str(raw["table"])
    if part in METRICS:
        return {part}
    if table.startswith("sleep"):
        return {name for name, metric in METRICS.items() if metric.kind == "sleep"}
    if table.startswith("raw_"):
        return {_RAW[table]}
    if table.startswith("aggregates_"):
        return {_AGGREGATES[table]}
    if table in ("activity", "intraday"):
        fields = _ACTIVITY if table == "activity" else _INTRADAY
        return {metric for name, metric in fields.items() if part in (None, name)}
    if table == "weight":
        return {"weight", "body_fat"}
    return {"systolic", "diastolic", "pulse", "heart_rate"} if table == "bp" else {*_TYPES.values(), "heart_rate"}


def _not_mine(raw: Mapping[str, Any]) -> str | None:
    """`category` 2 is a goal; `attrib` 1 may be another user of the scale."""
    if raw.get("category") == 2:
        return "goal"
    return "ambiguous_user" if raw.get("attrib") == 1 else None


def _unit(raw: Mapping[str, Any], metric: str) -> float:
    return _POUND if metric == "weight" and "Weight (lb)" in raw else 1.0


_CELLS = {
    "bp": (("systolic", "Systolic"), ("diastolic", "Diastolic"), ("pulse", "Heart rate")),
    "weight": (("weight", "Weight (kg)"), ("fat", "Fat mass (kg)")),
}
_TYPES = {
    1: "weight",
    6: "body_fat",
    9: "diastolic",
    10: "systolic",
    11: "pulse",
    54: "spo2",
    71: "body_temperature",
}
"""Type of a measure → metric. 12 is a room's or a skin's temperature, 73 the skin's."""
_AGGREGATES = {
    "aggregates_steps": "steps",
    "aggregates_distance": "distance",
    "aggregates_calories_earned": "active_energy",
    "aggregates_calories_passive": "basal_energy",
}
_ACTIVITY = {
    "steps": "steps",
    "distance": "distance",
    "calories": "active_energy",
    "hr_average": "heart_rate_mean",
    "hr_min": "heart_rate_min",
    "hr_max": "heart_rate_max",
}
_INTRADAY = {
    "steps": "steps",
    "distance": "distance",
    "calories": "active_energy",
    "heart_rate": "heart_rate",
    "spo2_auto": "spo2",
    "rmssd": "hrv_rmssd",
    "sdnn1": "hrv_sdnn",
}
_RAW = {
    "raw_tracker_hr": "heart_rate",
    "raw_hr_hr": "heart_rate",
    "raw_bed_hr": "heart_rate",
    "raw_sleep-monitor_hr": "heart_rate",
    "raw_tracker_steps": "steps",
    "raw_tracker_distance": "distance",
    "raw_tracker_calories-earned": "active_energy",
    "raw_spo2_auto_spo2": "spo2",
    "raw_bed_respiratory-rate": "respiratory_rate",
    "raw_sleep-monitor_respiratory-rate": "respiratory_rate",
}
