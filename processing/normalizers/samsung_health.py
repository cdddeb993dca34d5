"""Samsung Health records → readings: blood pressure, heart, oxygen, respiration, steps, energy, body and sleep, each told once.

Steps of a day stand once per device and once merged (`source_type` -2): the merged row counts, and only where there is none the others.
A blood pressure of 0/0 is a failed measurement. Where a row's values stand minute by minute in a JSON file, those are read and the row's
mean is not. Times are UTC; `time_offset` says where the person was. Rules and their sources: `docs/sources.md`, samsung_health.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import pyarrow.compute as pc

from config.epoch import epoch_micros
from config.stage import Inputs, Outputs, Report
from config.stamps import Stamps, offset_of
from config.tables import read_batches
from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.moments import SECOND, instant, whole_day
from processing.normalizers.newest import Row
from processing.normalizers.outcome import Outcome, written
from processing.normalizers.samsung_sleep import Nights

_MINUTE = 60 * SECOND
_MERGED = -2
_DAY_FIELDS = {
    "step_daily_trend": (("count", "steps"), ("distance", "distance")),
    "tracker.pedometer_day_summary": (("step_count", "steps"), ("distance", "distance")),
    "calories_burned.details": (("active_calorie", "active_energy"), ("rest_calorie", "basal_energy")),
}
_FIELDS = {
    "tracker.heart_rate": (("heart_rate", "heart_rate"),),
    "tracker.oxygen_saturation": (("spo2", "spo2"),),
    "respiratory_rate": (("average", "respiratory_rate"),),
    "weight": (("weight", "weight"), ("body_fat", "body_fat")),
    "body_temperature": (("temperature", "body_temperature"),),
    "tracker.pedometer_step_count": (("count", "steps"), ("distance", "distance")),
    "bins.heart_rate": (("heart_rate", "heart_rate"),),
    "bins.spo2": (("spo2", "spo2"),),
    "bins.hrv": (("sdnn", "hrv_sdnn"), ("rmssd", "hrv_rmssd")),
    "bins.respiratory_rate": (("respiratory_rate", "respiratory_rate"),),
}
_BY_HAND = frozenset({"weight", "body_temperature", "blood_pressure"})
"""What several apps write into Samsung Health: one measurement of one minute counts once."""


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: timezone, timezone_overrides, own_users (one account: not asked)."""
    records = inputs.one("records").path
    run = _Run(PersonZones(settings["timezone"], settings["timezone_overrides"]), _binned(records))
    for row in run.out.newest(records):
        run.take(row)
    run.finish()
    return run.out.write(outputs)


def _binned(records: str) -> set[str]:
    """The JSON files whose minutes are there."""
    found: set[str] = set()
    for batch in read_batches(records, ["raw_id"]):
        ids = batch.column("raw_id")
        parts = pc.split_pattern(ids.filter(pc.starts_with(ids, "bins.")), "/", max_splits=2)
        found |= set(pc.unique(pc.list_element(parts, 1)).to_pylist()) if len(parts) else set()
    return found


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones, binned: set[str]) -> None:
        self.zones, self._binned = zones, binned
        self.out = Normalized("samsung_health")
        self._stamps = Stamps(zones)
        self._nights = Nights(zones, self.out)
        self._days: dict[tuple[str, date], list[tuple[int, Row, dict[str, Any]]]] = {}
        self._told: set[tuple[str, int, tuple[Any, ...]]] = set()

    def take(self, row: Row) -> None:
        """One valid record."""
        raw = json.loads(row.text)
        table = raw["table"]
        if table in ("sleep", "sleep_stage"):
            self._nights.take(row, raw, _stated(raw))
        elif table in _DAY_FIELDS:
            kind = "energy" if table == "calories_burned.details" else "steps"
            day = self.zones.local_date((row.stamp or 0) / SECOND)
            self._days.setdefault((kind, day), []).append((_rank(table, raw), row, raw))
        elif any(str(raw.get(name) or "-") in self._binned for name in ("binning_data", "binning")):
            self.out.fates["duplicate"] += 1
        elif table == "blood_pressure":
            self._pressure(row, raw)
        else:
            self._sample(row, raw, table)

    def finish(self) -> None:
        """What had to wait for all records: days and nights."""
        for (_, day), told in sorted(self._days.items(), key=lambda item: item[0]):
            best = min(rank for rank, _, _ in told)
            for rank, row, raw in told:
                self._day(row, raw, day, again=rank != best)
        self._nights.finish()

    def _day(self, row: Row, raw: dict[str, Any], day: date, *, again: bool) -> None:
        if again:
            self.out.fates["duplicate"] += 1
            return
        outcome = Outcome(self.out, row, "" if _rank(raw["table"], raw) == 0 else str(raw.get("deviceuuid", "")))
        when = whole_day(self.zones, day)
        for name, metric in _DAY_FIELDS[raw["table"]]:
            outcome.add(metric, outcome.value(raw, name, metric), when, "day")
        outcome.settle()

    def _pressure(self, row: Row, raw: dict[str, Any]) -> None:
        outcome = Outcome(self.out, row, str(raw.get("deviceuuid", "")))
        pair = [outcome.value(raw, name, name) for name in ("systolic", "diastolic")]
        if None not in pair and not self._again(row, raw, ("systolic", "diastolic"), outcome):
            when = instant(self.zones, row.stamp or 0, stated=_stated(raw))
            for name, value in (
                *zip(("systolic", "diastolic"), pair, strict=True),
                ("pulse", outcome.value(raw, "pulse", "pulse")),
            ):
                outcome.add(name, value, when, "instant")
        outcome.settle()

    def _sample(self, row: Row, raw: dict[str, Any], table: str) -> None:
        outcome = Outcome(self.out, row, str(raw.get("deviceuuid", "")))
        fields = _FIELDS[table]
        if table in _BY_HAND and self._again(row, raw, [name for name, _ in fields], outcome):
            outcome.settle()
            return
        start = row.stamp or 0
        length = max(self._end(raw, start) - start, 0)
        if not length and table == "tracker.pedometer_step_count":
            length = _MINUTE
        when = instant(self.zones, start, length, _stated(raw))
        for name, metric in fields:
            outcome.add(metric, outcome.value(raw, name, metric), when, "interval" if length else "instant")
        outcome.settle()

    def _end(self, raw: Mapping[str, Any], start: int) -> int:
        end = raw.get("end_time")
        if isinstance(end, int):
            return epoch_micros(end) or start
        utc = self._stamps.read(f"{end.strip()}Z").utc if isinstance(end, str) and end.strip() else None
        return start if utc is None else round(utc.timestamp() * SECOND)

    def _again(self, row: Row, raw: Mapping[str, Any], names: Any, outcome: Outcome) -> bool:
        """Whether this measurement of this minute was told before, by another app."""
        key = raw["table"], (row.stamp or 0) // _MINUTE, tuple(written(raw.get(name)) for name in names)
        outcome.again = int(key in self._told)
        self._told.add(key)
        return bool(outcome.again)


def _rank(table: str, raw: Mapping[str, Any]) -> int:
    """Whose word for a day's steps counts: 0 the merged row, 1 a device's, 2 the older summary."""
    if table != "step_daily_trend":
        return 2
    return 0 if written(raw.get("source_type")) == _MERGED else 1


def _stated(raw: Mapping[str, Any]) -> int | None:
    """Seconds east of UTC of `UTC+0200`."""
    text = raw.get("time_offset")
    found = re.fullmatch(r"UTC([+-]\d\d:?\d\d)", text.strip()) if isinstance(text, str) else None
    return offset_of(found[1]) if found else None


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:
    """Which metrics a record (or the part of it that was refused) speaks of; nothing for a record without any."""
    table = str(raw.get("table"))
    if table == "blood_pressure":
        return {"pulse"} if part == "pulse" else {"systolic", "diastolic"} | ({"pulse"} if part is None else set())
    if table in ("sleep", "sleep_stage"):
        return (
            {"sleep_score"}
            if part == "sleep_score"
            else {"sleep_duration", "sleep_deep", "sleep_light", "sleep_rem", "sleep_awake"}
        )
    fields = (*_FIELDS.get(table, ()), *_DAY_FIELDS.get(table, ()))
    return {metric for name, metric in fields if part in (None, name)}
