"""Health Connect records → readings, where the person was: each day and metric of one app, each night once.

Units are Health Connect's own: grams, calories (a thousandth of a kcal), watts, metres, seconds of zone offset. `local_date` is not
used: for a night it is the day it began. The records are read twice, first to learn what each app wrote on which day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from config.epoch import epoch_micros
from config.stage import Inputs, Outputs, Report
from config.timezones import PersonZones
from processing.normalizers.building import Normalized, When
from processing.normalizers.health_connect_apps import ACTIVITY, SLEEP, VITALS, Apps
from processing.normalizers.health_connect_sleep import Session, minutes_of, told_once
from processing.normalizers.moments import SECOND, instant, night, whole_day
from processing.normalizers.newest import Row, read_newest
from processing.normalizers.numbers import number

KCAL_PER_WATT_DAY = 20.65
"""A watt for a day: 86,400 J / 4,184."""
_MILLI = 1_000
_MOST_OFFSET = 18 * 3_600
"""Seconds; java.time.ZoneOffset takes no more."""
_DAY = 86_400_000


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: timezone, timezone_overrides."""
    run = _Run(PersonZones(settings["timezone"], settings["timezone_overrides"]))
    path = inputs.one("records").path
    for row, standing in read_newest(path):
        if standing == "newest":
            run.learn(row)
    for row in run.out.newest(path):
        run.take(row)
    run.finish()
    return run.out.write(outputs, run.labels)


class _Field(NamedTuple):
    """A column that is a metric."""

    column: str
    metric: str
    factor: float = 1.0


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones) -> None:
        self.zones = zones
        self.out = Normalized("health_connect")
        self.labels: dict[str, str] = {}
        self._apps = Apps()
        self._seen: set[tuple[Any, ...]] = set()
        self._nights: list[Session] = []

    def learn(self, row: Row) -> None:
        """First reading: the person's order of apps, and how much each app wrote."""
        table = row.raw_id.partition("/")[0]
        if table == _PRIORITIES:
            self._apps.prefer(json.loads(row.text))
        elif table in _ONE_APP:
            raw = json.loads(row.text)
            field = _FIELDS[table][0] if table in _FIELDS else None
            amount = number(raw.get(field.column)) if table in _SUMMED and field else float(len(raw.get("samples") or (1,)))
            self._apps.note(table, self._day(row, raw), _app(raw), amount or 0.0)

    def take(self, row: Row) -> None:
        """Second reading: one valid record."""
        raw = json.loads(row.text)
        table = raw["table"]
        device = self._device(raw)
        if table == _PRIORITIES:
            self.out.fates["order_of_apps"] += 1
        elif table in _ONE_APP and self._apps.chosen(table, _ONE_APP[table], self._day(row, raw)) != _app(raw):
            self.out.pass_over(row, "other_app", "other_app")
        elif table == "sleep_session_record_table":
            self._night(row, raw, device)
        elif table == "heart_rate_record_table":
            self._settle(row, list(self._samples(row, raw)), device, "instant")
        elif table == "basal_metabolic_rate_record_table":
            when = whole_day(self.zones, self.zones.local_date((row.stamp or 0) / SECOND, _offset(raw.get("zone_offset"))))
            self._settle(row, [(f, when, number(raw.get(f.column))) for f in _FIELDS[table]], device, "day")
        else:
            self._plain(row, raw, device)

    def finish(self) -> None:
        """Nights, once all apps' are known."""
        kept, again = told_once(self._nights)
        for session in kept:
            when = night(self.zones, session.start * _MILLI, session.end * _MILLI, session.offsets)
            for metric, value in session.minutes.items():
                self.out.add(metric, value, when, scope="session", device=session.device, raw_id=session.row.raw_id)
            self.out.fates["accepted"] += 1
        for session in again:
            self.out.pass_over(session.row, "told_twice", "told_twice")

    def _plain(self, row: Row, raw: dict[str, Any], device: str) -> None:
        """A row of single values; the same values at the same moment by another app are a copy."""
        table = raw["table"]
        stated = _offset(raw.get("zone_offset", raw.get("start_zone_offset")))
        start = row.stamp or 0
        end = epoch_micros(raw["end_time"]) if "end_time" in raw else start
        if end is None or end < start:
            self.out.drop(row, "bad_time" if end is None else "end_before_start", "end_time")
            return
        values = [number(raw.get(field.column)) for field in _FIELDS[table]]
        said = (table, start, end, *values)
        if said in self._seen:
            self.out.fates["duplicate"] += 1
            return
        if table not in _ONE_APP:
            self._seen.add(said)
        when = instant(self.zones, start, end - start, stated)
        told = [(field, when, value) for field, value in zip(_FIELDS[table], values, strict=True)]
        self._settle(row, told, device, "interval" if "end_time" in raw else "instant")

    def _samples(self, row: Row, raw: dict[str, Any]) -> Iterator[tuple[_Field, When, float | None]]:
        """The samples of a series; one that is not of its time has none that can be used."""
        stated = _offset(raw.get("start_zone_offset"))
        first, last = ((number(raw.get(name)) or 0) + way * _DAY for name, way in (("start_time", -1), ("end_time", 1)))
        for sample in raw.get("samples") or ():
            if type(sample[0]) is int and first <= sample[0] <= last:
                yield _HEART_RATE, instant(self.zones, sample[0] * _MILLI, stated=stated), number(sample[1])
            else:
                self.out.reject(row, "bad_time", "epoch_millis")

    def _settle(self, row: Row, told: list[tuple[_Field, When, float | None]], device: str, scope: str) -> None:
        """Readings of what was measured; one fate for the record."""
        refused = ""
        given = 0
        for field, when, value in told:
            if value is None or (value == 0 and field.metric not in _MAY_BE_ZERO):
                refused = "no_measurement" if value is None else "zero"
                self.out.reject(row, refused, field.column)
                continue
            self.out.add(field.metric, value * field.factor, when, scope=scope, device=device, raw_id=row.raw_id)
            given += 1
        if given:
            self.out.fates["accepted"] += 1
        elif refused:
            self.out.fates[f"rejected:{refused}"] += 1
        else:
            self.out.drop(row, "no_measurement")

    def _night(self, row: Row, raw: dict[str, Any], device: str) -> None:
        start, end = raw.get("start_time"), raw.get("end_time")
        if type(start) is not int or type(end) is not int or not 0 < end - start <= _DAY:
            self.out.drop(row, "bad_sleep_window")
            return
        minutes = minutes_of(raw.get("stages"), start, end)
        if minutes is None:
            self.out.drop(row, "no_sleep")
            return
        offsets = _offset(raw.get("start_zone_offset")), _offset(raw.get("end_zone_offset"))
        app = _app(raw)
        self._nights.append(Session(row, app, device, self._apps.rank(SLEEP, app), start, end, offsets, minutes))

    def _day(self, row: Row, raw: Mapping[str, Any]) -> int:
        stated = _offset(raw.get("zone_offset", raw.get("start_zone_offset")))
        return instant(self.zones, row.stamp or 0, stated=stated).day

    def _device(self, raw: Mapping[str, Any]) -> str:
        """Who wrote it and what measured it: two devices of one app are two."""
        app, device = _app(raw), raw.get("device")
        key = f"{app}/{device}" if device else app
        self.labels[key] = f"{device} ({app})" if app and device else app or device or ""
        return key


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:
    """Which metrics a record, or the column of it that was refused, speaks of."""
    table = raw.get("table")
    if table == "sleep_session_record_table":
        return {"sleep_duration", "sleep_deep", "sleep_light", "sleep_rem", "sleep_awake"}
    fields = (_HEART_RATE,) if table == "heart_rate_record_table" else _FIELDS.get(str(table), ())
    return {field.metric for field in fields if part in (None, field.column)}


def _app(raw: Mapping[str, Any]) -> str:
    return raw.get("app") or ""


def _offset(value: Any) -> int | None:
    """Seconds east of UTC; None for what can be none, such as milliseconds."""
    return value if type(value) is int and abs(value) <= _MOST_OFFSET else None


_PRIORITIES = "health_data_category_priority_table"
_HEART_RATE = _Field("beats_per_minute", "heart_rate")
_FIELDS: Mapping[str, tuple[_Field, ...]] = {
    "active_calories_burned_record_table": (_Field("energy", "active_energy", 0.001),),
    "basal_metabolic_rate_record_table": (_Field("basal_metabolic_rate", "basal_energy", KCAL_PER_WATT_DAY),),
    "blood_pressure_record_table": (_Field("systolic", "systolic"), _Field("diastolic", "diastolic")),
    "body_fat_record_table": (_Field("percentage", "body_fat"),),
    "body_temperature_record_table": (_Field("temperature", "body_temperature"),),
    "distance_record_table": (_Field("distance", "distance"),),
    "heart_rate_variability_rmssd_record_table": (_Field("heart_rate_variability_millis", "hrv_rmssd"),),
    "oxygen_saturation_record_table": (_Field("percentage", "spo2"),),
    "respiratory_rate_record_table": (_Field("rate", "respiratory_rate"),),
    "resting_heart_rate_record_table": (_Field("beats_per_minute", "resting_heart_rate"),),
    "steps_record_table": (_Field("count", "steps"),),
    "weight_record_table": (_Field("weight", "weight", 0.001),),
}
_SUMMED = {"steps_record_table", "distance_record_table", "active_calories_burned_record_table"}
_MAY_BE_ZERO = {"steps", "distance", "active_energy"}
_ONE_APP: Mapping[str, int] = {
    **dict.fromkeys(_SUMMED, ACTIVITY),
    "heart_rate_record_table": VITALS,
    "heart_rate_variability_rmssd_record_table": VITALS,
    "oxygen_saturation_record_table": VITALS,
    "respiratory_rate_record_table": VITALS,
}
"""Table → category, where of several apps one is believed a day. A weight or a blood pressure of another app is another measurement."""
