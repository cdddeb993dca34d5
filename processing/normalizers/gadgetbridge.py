"""Gadgetbridge records → readings: minutes, single samples, the band's own daily figures and nights, in the person's zone.

255, -1 and 0 beats are no heart rate; a minute says only what was measured in it. A night the device counted itself goes before one
counted from its minutes, and a night told twice (two bands, two tables, two exports) comes out once. Rules: `docs/sources.md`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from config.metrics import METRICS
from config.stage import Inputs, Outputs, Report
from config.timezones import PersonZones
from processing.normalizers.building import Normalized, When
from processing.normalizers.bulk import road
from processing.normalizers.gadgetbridge_bulk import Bulk, named_devices, packed, unpack
from processing.normalizers.gadgetbridge_minutes import AWAKE, BAND, FIRST_BAND, Minutes, extended
from processing.normalizers.gadgetbridge_sleep import COUNTED, Stages, of_xiaomi, of_zepp, told_once
from processing.normalizers.mi_fitness_sleep import MINUTE, NoSessionError, Session, stated_offset
from processing.normalizers.moments import SECOND, instant, night, whole_day
from processing.normalizers.months import Months
from processing.normalizers.newest import Row
from processing.normalizers.numbers import number

_EPOCH = date(1970, 1, 1)
_FIRST_BAND_TYPE = 10
_HEART_RATE = (10, 250)
"""What the app takes for a heart rate (HeartRateUtils)."""


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Roles `records`, `months` → roles `readings`, `rejected`, `months`. Settings: timezone, timezone_overrides."""
    path = inputs.one("records").path
    run, bulk, devices = _Run(PersonZones(settings["timezone"], settings["timezone_overrides"])), Bulk(), named_devices(path)
    months = Months(inputs, outputs, lambda _: devices)
    told = road(path, bulk, run.zones, run.out, run.take, months.kept)
    months.take_over(run.out, bulk)
    for notes in months.notes().values():
        unpack(notes, run.minutes)
    run.finish()
    settled = {end: records for end, records in told.items() if end[1]}  # silent minutes are counted when all are known
    return months.written(run.out.write(outputs, run.labels), settled, packed(run.minutes))


class _Run:
    """One run of the normalizer."""

    def __init__(self, zones: PersonZones) -> None:
        self.zones = zones
        self.out = Normalized("gadgetbridge")
        self.labels: dict[str, str] = {}
        self._first_bands: set[str] = set()
        self.minutes: dict[tuple[str, str], Minutes] = defaultdict(Minutes)
        self._stages: dict[str, Stages] = defaultdict(list)
        self._nights: list[tuple[Row, dict[str, Any], str]] = []
        self._makers: Mapping[str, Callable[[Row, dict[str, Any], str], None]] = {
            "DEVICE": self._device,
            "MI_BAND_ACTIVITY_SAMPLE": self._minute,
            "HUAMI_EXTENDED_ACTIVITY_SAMPLE": self._minute,
            "XIAOMI_ACTIVITY_SAMPLE": self._minute,
            "XIAOMI_DAILY_SUMMARY_SAMPLE": self._summary,
            "GENERIC_TEMPERATURE_SAMPLE": self._temperature,
            "XIAOMI_MANUAL_SAMPLE": self._manual,
            "XIAOMI_SLEEP_STAGE_SAMPLE": self._stage,
            "XIAOMI_SLEEP_TIME_SAMPLE": self._night,
            "HUAMI_SLEEP_SESSION_SAMPLE": self._night,
        }

    def take(self, row: Row) -> None:
        """One valid record."""
        raw = json.loads(row.text)
        table, device = raw["table"], row.raw_id.split("/")[1]
        if make := self._makers.get(table):
            make(row, raw, device)
        elif table in _SAMPLES:
            self._single(row, raw, *_SAMPLES[table], device)
        else:
            self.out.fates["unused:workout" if table == "BASE_ACTIVITY_SUMMARY" else "unused:not_a_metric"] += 1

    def finish(self) -> None:
        """What had to wait for all records: nights, and the minutes that tell nothing but a night."""
        for stages in self._stages.values():
            stages.sort()
        tellers: list[tuple[str, str, bool]] = []  # raw id, device, whether a record of its own tells it
        sessions = []
        for row, raw, device in self._nights:
            try:
                sessions.append(self._session(raw, device, len(tellers)))
            except NoSessionError as none:
                self.out.drop(row, str(none))
            else:
                tellers.append((row.raw_id, device, True))
        for (table, device), noted in sorted(self.minutes.items()):
            runs = list(noted.runs(self._kinds(table, device)))
            for run in runs:
                sessions.append(Session(len(tellers), run.start * SECOND, run.end * SECOND, run.minutes, COUNTED))
                tellers.append((f"{table}/{device}/{run.start}", device, False))
            within, without = noted.silent(runs)
            self._count({"minute_of_session": within, "unused:nothing_measured": without})
        kept, again = told_once(sessions)
        for session in kept:
            self._add_session(session, *tellers[session.owner][:2])
        accepted, duplicate = (sum(tellers[session.owner][2] for session in found) for found in (kept, again))
        self._count({"accepted": accepted, "duplicate": duplicate})

    def _count(self, fates: Mapping[str, int]) -> None:
        self.out.fates.update({fate: times for fate, times in fates.items() if times})

    def _device(self, _: Row, raw: dict[str, Any], device: str) -> None:
        name = raw.get("ALIAS") or raw.get("NAME") or raw.get("MODEL")
        if isinstance(name, str):
            self.labels[device] = f"{name[:80]} [{device[:4]}]"
        if raw.get("TYPE_NAME") == "MIBAND" or (not raw.get("TYPE_NAME") and raw.get("TYPE") == _FIRST_BAND_TYPE):
            self._first_bands.add(device)
        self.out.fates["device_name"] += 1

    def _kinds(self, table: str, device: str) -> Any:
        if table != "MI_BAND_ACTIVITY_SAMPLE":
            return None
        return FIRST_BAND if device in self._first_bands else BAND

    def _minute(self, row: Row, raw: dict[str, Any], device: str) -> None:
        start = row.stamp or 0
        told = [
            ("heart_rate", _value(raw, "HEART_RATE", "heart_rate"), 0),
            ("steps", _value(raw, "STEPS", "steps") or None, MINUTE),  # no steps: nothing to tell
            ("spo2", _value(raw, "SPO2", "spo2"), 0),
        ]
        given = [(metric, value, length) for metric, value, length in told if value is not None]
        for metric, value, length in given:
            when = instant(self.zones, start, length)
            self._add(metric, value, when, row, device, "interval" if length else "instant")
        if given:
            self.out.fates["accepted"] += 1
        self.minutes[raw["table"], device].add(start // SECOND, _code(raw), silent=not given)

    def _single(self, row: Row, raw: dict[str, Any], column: str, metric: str, scope: str, device: str) -> None:
        value = _value(raw, column, metric)
        if value is None:
            self.out.drop(row, _why_not(raw.get(column)), column)
            return
        start, stated = row.stamp or 0, _utc_offset(raw.get("UTC_OFFSET"))
        day = self.zones.local_date(start // SECOND, stated)
        when = instant(self.zones, start, stated=stated) if scope == "instant" else whole_day(self.zones, day)
        self._add(metric, value, when, row, device, scope)
        self.out.fates["accepted"] += 1

    def _manual(self, row: Row, raw: dict[str, Any], device: str) -> None:
        kind = raw.get("TYPE")
        if kind in _MANUAL:
            self._single(row, raw, "VALUE", _MANUAL[kind], "instant", device)
        else:
            self.out.fates["unused:not_a_metric"] += 1

    def _temperature(self, row: Row, raw: dict[str, Any], device: str) -> None:
        """That of the body; skin and surroundings are no metrics of ours, and a table without a place does not say which it is."""
        if raw.get("TEMPERATURE_TYPE") == _BODY and raw.get("TEMPERATURE_LOCATION") is not None:
            self._single(row, raw, "TEMPERATURE", "body_temperature", "instant", device)
        else:
            self.out.fates["unused:not_a_metric"] += 1

    def _summary(self, row: Row, raw: dict[str, Any], device: str) -> None:
        """The band's own figures of a day; TIMEZONE counts quarter hours."""
        seconds, stated = (row.stamp or 0) // SECOND, stated_offset(raw.get("TIMEZONE"))
        day = self.zones.local_date(seconds) if stated is None else _EPOCH + timedelta(days=(seconds + stated) // 86_400)
        when = whole_day(self.zones, day)
        found = [(metric, _value(raw, column, metric)) for column, metric in _SUMMARY.items()]
        given = [(metric, value) for metric, value in found if value is not None]
        for metric, value in given:
            self._add(metric, value, when, row, device, "day")
        if given:
            self.out.fates["accepted"] += 1
        else:
            self.out.drop(row, "no_measurement")

    def _stage(self, row: Row, raw: dict[str, Any], device: str) -> None:
        stage = raw.get("STAGE")
        self._stages[device].append((row.stamp or 0, stage if type(stage) is int else -1))
        self.out.fates["stage_of_session"] += 1

    def _night(self, row: Row, raw: dict[str, Any], device: str) -> None:
        self._nights.append((row, raw, device))

    def _session(self, raw: dict[str, Any], device: str, owner: int) -> Session:
        if raw["table"] == "HUAMI_SLEEP_SESSION_SAMPLE":
            return of_zepp(raw, owner)
        return of_xiaomi(raw, self._stages.get(device, []), owner)

    def _add_session(self, session: Session, raw_id: str, device: str) -> None:
        """The session's readings; it counts for the day of waking."""
        when = night(self.zones, session.start, session.end)
        told = session.minutes | ({} if session.score is None else {"sleep_score": session.score})
        for metric, value in told.items():
            self.out.add(metric, value, when, scope="session", device=device, raw_id=raw_id)

    def _add(self, metric: str, value: float, when: When, row: Row, device: str, scope: str) -> None:
        self.out.add(metric, value, when, scope=scope, device=device, raw_id=row.raw_id)


def metrics_of(raw: Mapping[str, Any], part: str | None) -> set[str]:
    """Which metrics a record, or the column of it that was refused, speaks of."""
    table = raw.get("table")
    if table in ("XIAOMI_SLEEP_TIME_SAMPLE", "XIAOMI_SLEEP_STAGE_SAMPLE", "HUAMI_SLEEP_SESSION_SAMPLE"):
        return {name for name, metric in METRICS.items() if metric.kind == "sleep"}
    columns = _SUMMARY if table == "XIAOMI_DAILY_SUMMARY_SAMPLE" else _MINUTE if str(table).endswith("_ACTIVITY_SAMPLE") else {}
    if table in _SAMPLES:
        columns = {_SAMPLES[str(table)][0]: _SAMPLES[str(table)][1]}
    if table == "GENERIC_TEMPERATURE_SAMPLE" and raw.get("TEMPERATURE_TYPE") == _BODY:
        columns = {"TEMPERATURE": "body_temperature"}
    if table == "XIAOMI_MANUAL_SAMPLE" and raw.get("TYPE") in _MANUAL:
        columns = {"VALUE": _MANUAL[raw["TYPE"]]}
    return {metric for column, metric in columns.items() if part in (None, column)}


def _heart_rate(value: Any) -> float | None:
    """Beats a minute; None for 255, -1, 0 and whatever the app itself takes for no heart rate."""
    found = number(value)
    return found if found is not None and _HEART_RATE[0] <= found <= _HEART_RATE[1] else None


def _value(raw: Mapping[str, Any], column: str, metric: str) -> float | None:
    """A column's value; None where it says that nothing was measured."""
    found = number(raw.get(column))
    if found is None or metric.startswith("heart_rate") or metric == "resting_heart_rate":
        return _heart_rate(found)
    nothing = _NOTHING if METRICS[metric].zero_is_missing else (-1.0,)
    return None if found in nothing else found


def _why_not(value: Any) -> str:
    """Why a value that says that nothing was measured is none."""
    found = number(value)
    return "no_measurement" if value is None else "not_a_number" if found is None else "zero" if found == 0 else "device_sentinel"


def _code(raw: Mapping[str, Any]) -> int:
    """What `Minutes` is told of a minute: its kind as it is, but of newer Huami devices what it was."""
    kind, deep, rem = (v if type(v) is int else 0 for v in map(raw.get, ("RAW_KIND", "DEEP_SLEEP", "REM_SLEEP")))
    if raw["table"] == "MI_BAND_ACTIVITY_SAMPLE":
        return kind
    return extended(kind, deep, rem) if raw["table"] == "HUAMI_EXTENDED_ACTIVITY_SAMPLE" else AWAKE


def _utc_offset(value: Any) -> int | None:
    """Seconds east of UTC; the app writes milliseconds."""
    if type(value) is not int or abs(value) > _MOST_OFFSET * 1_000:
        return None
    return value // 1_000


_NOTHING = (0.0, -1.0, 255.0)
_MOST_OFFSET = 14 * 3_600
_SAMPLES: Mapping[str, tuple[str, str, str]] = {
    "GENERIC_HEART_RATE_SAMPLE": ("HEART_RATE", "heart_rate", "instant"),
    "GENERIC_HRV_VALUE_SAMPLE": ("VALUE", "hrv_rmssd", "instant"),
    "GENERIC_SPO2_SAMPLE": ("SPO2", "spo2", "instant"),
    "HUAMI_HEART_RATE_MANUAL_SAMPLE": ("HEART_RATE", "heart_rate", "instant"),
    "HUAMI_HEART_RATE_MAX_SAMPLE": ("HEART_RATE", "heart_rate_max", "day"),
    "HUAMI_HEART_RATE_RESTING_SAMPLE": ("HEART_RATE", "resting_heart_rate", "instant"),
    "HUAMI_SLEEP_RESPIRATORY_RATE_SAMPLE": ("RATE", "respiratory_rate", "instant"),
    "HUAMI_SPO2_SAMPLE": ("SPO2", "spo2", "instant"),
}
"""Table → column, metric, scope."""
_BODY = 1
"""TEMPERATURE_TYPE of a GENERIC_TEMPERATURE_SAMPLE; 2 is the skin, 3 the surroundings (TemperatureSample)."""
_MANUAL = {0x11: "heart_rate", 0x12: "spo2"}
"""TYPE of a XIAOMI_MANUAL_SAMPLE → metric (XiaomiManualSampleProvider)."""
_MINUTE = {"HEART_RATE": "heart_rate", "STEPS": "steps", "SPO2": "spo2"}
_SUMMARY = {
    "STEPS": "steps",
    "CALORIES": "active_energy",
    "HR_RESTING": "resting_heart_rate",
    "HR_AVG": "heart_rate_mean",
    "HR_MIN": "heart_rate_min",
    "HR_MAX": "heart_rate_max",
    "SPO2_AVG": "spo2",
}
"""Column of a XIAOMI_DAILY_SUMMARY_SAMPLE → metric."""
