"""Google Fit records → readings: points, quarter hours, days and sleep, each told once although several streams tell it.

A point's value stands in `fitValue[].value` (Takeout) or `value[]` (the API), as `fpVal` or `intVal`; of a blood pressure the first two.
Rules and their sources: `docs/sources.md`, google_fit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from config.metrics import METRICS
from config.stage import Inputs, Outputs, Report
from config.stamps import Stamps
from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.google_fit_sleep import Nights
from processing.normalizers.google_fit_tellings import COLUMNS, Tellings
from processing.normalizers.moments import SECOND, instant, whole_day
from processing.normalizers.newest import Row
from processing.normalizers.outcome import Outcome, written

_SLEEP = ("sleep", "activity")
_PRESSURE = ("systolic", "diastolic")


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: timezone, timezone_overrides, own_users (one account: not asked)."""
    records = inputs.one("records").path
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    run = _Run(zones, Tellings(records, zones))
    for row in run.out.newest(records):
        run.take(row)
    run.nights.finish()
    return run.out.write(outputs)


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones, tellings: Tellings) -> None:
        self._zones, self._tellings = zones, tellings
        self.out = Normalized("google_fit")
        self.nights = Nights(zones, self.out)
        self._stamps = Stamps(zones)

    def take(self, row: Row) -> None:
        """One valid record."""
        raw = json.loads(row.text)
        table = raw["table"]
        if table == "session":
            self.nights.session(row, raw)
        elif table in COLUMNS:
            self._row(row, raw, table)
        else:
            self._point(row, raw, table)

    def _point(self, row: Row, raw: Mapping[str, Any], table: str) -> None:
        kind = table.partition(".")[2]
        start, end = row.stamp or 0, int(raw["endTimeNanos"]) // 1000
        values = _values(raw)
        origin = str(raw.get("originDataSourceId") or raw.get("source") or "")
        if kind in _SLEEP:
            self.nights.segment(row, table, values[0] if values else None, end, origin)
            return
        if self._tellings.again(table, kind, start):
            self.out.fates["duplicate"] += 1
            return
        outcome = Outcome(self.out, row, origin)
        metrics = _PRESSURE if kind == "blood_pressure" else (kind,)
        fields = dict(zip(metrics, values, strict=False))
        found = [outcome.value(fields, metric, metric) for metric in metrics]
        if None not in found:
            length = end - start if METRICS[metrics[0]].kind == "activity" else 0
            when = instant(self._zones, start, length)
            for metric, value in zip(metrics, found, strict=True):
                outcome.add(metric, value, when, "interval" if length else "instant")
        outcome.settle()

    def _row(self, row: Row, raw: Mapping[str, Any], table: str) -> None:
        outcome = Outcome(self.out, row)
        start = row.stamp or 0
        for column, metric in COLUMNS[table]:
            if not str(raw.get(column, "")).strip():
                continue
            if self._tellings.again(table, metric, start):
                outcome.again += 1
                continue
            value = outcome.value(raw, column, metric)
            if table == "days":
                when = whole_day(self._zones, self._zones.local_date(start / SECOND))
                outcome.add(metric, value, when, "day")
            else:
                outcome.add(metric, value, instant(self._zones, start, self._length(raw, start)), "interval")
        outcome.settle()

    def _length(self, raw: Mapping[str, Any], start: int) -> int:
        """Of a quarter hour; the one before midnight ends at 00:00."""
        end = self._stamps.read(f"{raw['day']}T{str(raw.get('End time', '')).strip()}").utc
        if end is None:
            return 0
        length = round(end.timestamp() * SECOND) - start
        return length if length > 0 else length + timedelta(days=1) // timedelta(microseconds=1)


def _values(raw: Mapping[str, Any]) -> list[float | None]:
    """The numbers of a point, in their order."""
    given = raw.get("fitValue", raw.get("value"))
    found: list[float | None] = []
    for entry in given if isinstance(given, list) else ():
        inner = entry.get("value", entry) if isinstance(entry, dict) else {}
        inner = inner if isinstance(inner, dict) else {}
        found.append(written(inner.get("fpVal", inner.get("intVal"))))
    return found


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:
    """Which metrics a record (or the part of it that was refused) speaks of; nothing for a record without any."""
    table = str(raw.get("table"))
    kind = table.partition(".")[2]
    if table in COLUMNS:
        return {metric for column, metric in COLUMNS[table] if part in (None, column)}
    if kind == "blood_pressure":
        return set(_PRESSURE)
    if kind in _SLEEP or table == "session":
        return {"sleep_duration", "sleep_deep", "sleep_light", "sleep_rem", "sleep_awake"}
    return {kind} & set(METRICS)
