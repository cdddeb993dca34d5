"""FIT messages → readings. A watch counts steps up from midnight, per kind of movement: the day's total is what each reached, added.

The count a watch writes at midnight belongs to the day that ends. Of a scale's or a cuff's two users the first is meant, unless
`own_users` says otherwise. Heart rate is given only for minutes that no all-day curve covers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from config.timezones import PersonZones
from processing.normalizers.building import Normalized
from processing.normalizers.fate import Fate
from processing.normalizers.garmin_days import Days, measured
from processing.normalizers.marks import Marks
from processing.normalizers.moments import SECOND, instant
from processing.normalizers.numbers import number
from processing.normalizers.owners import OTHER

_MINUTE = 60 * SECOND
_WALKED = ("walking", "running")
_RANK = 5
"""Garmin Connect's own figures are believed before those added up here."""
_SAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "fit_weight_scale": (("weight", "weight"), ("percent_fat", "body_fat")),
    "fit_blood_pressure": (("systolic_pressure", "systolic"), ("diastolic_pressure", "diastolic"), ("heart_rate", "pulse")),
    "fit_respiration_rate": (("respiration_rate", "respiratory_rate"),),
    "fit_spo2_data": (("reading_spo2", "spo2"),),
    "fit_hrv_value": (("value", "hrv_rmssd"),),
}

_OTHERS = {
    "fit_record": ("heart_rate",),
    "fit_monitoring": ("heart_rate", "steps"),
    "fit_monitoring_hr_data": ("resting_heart_rate",),
    "fit_hrv_status_summary": ("hrv_rmssd",),
}


def speaks_of(table: str) -> set[str]:
    """The metrics a message of this table can give."""
    found = {metric for _, metric in _SAMPLES.get(table, ())}
    return found | set(_OTHERS.get(table, ()))


class Curve:
    """Which minutes all-day heart-rate curves cover: two minutes from each of their samples."""

    def __init__(self) -> None:
        self._minutes = Marks()

    def cover(self, start: int) -> None:
        """A sample of a curve."""
        for minute in (start // _MINUTE, start // _MINUTE + 1):
            self._minutes.mark("", minute * _MINUTE)

    def covers(self, start: int) -> bool:
        """Whether a curve speaks of this minute."""
        return self._minutes.holds("", start // _MINUTE * _MINUTE)


class Fit:
    """Takes FIT messages."""

    def __init__(self, zones: PersonZones, out: Normalized, days: Days, curve: Curve, own: Iterable[str]) -> None:
        self._zones, self._out, self._days, self._curve = zones, out, days, curve
        self._users = {name for name in own if name.isdigit() and len(name) <= 2} or {"0"}
        self._reached: dict[tuple[str, date], dict[str, tuple[float, Fate]]] = {}
        self._monitored: list[int] = []

    def take(self, fate: Fate, raw: Mapping[str, Any]) -> bool:
        """One message; False when its fate waits for `finish`."""
        table = raw["table"]
        if str(raw.get("user_profile_index", next(iter(self._users)))) not in self._users:
            fate.refuse(OTHER, "user_profile_index")
            return True
        if table == "fit_monitoring":
            return self._monitoring(fate, raw)
        if table == "fit_record":
            self._heart_rate(fate, raw)
        elif table == "fit_monitoring_hr_data":
            day = self._day(fate)
            part = "resting_heart_rate" if raw.get("current_day_resting_heart_rate") is None else "current_day_resting_heart_rate"
            self._days.add(fate, "resting_heart_rate", day, raw.get(part), _RANK, part)
            return False
        elif table == "fit_hrv_status_summary":
            self._days.add(fate, "hrv_rmssd", self._day(fate), raw.get("last_night_average"), _RANK, "last_night_average")
            return False
        else:
            self._samples(fate, raw, _SAMPLES.get(table, ()))
        return True

    def monitored(self) -> None:
        """All-day files are known: what they cover, the activities' samples need not tell again."""
        for start in self._monitored:
            self._curve.cover(start)

    def finish(self) -> None:
        """The day's steps, per watch; of several watches the one that counted most."""
        best: dict[date, tuple[float, Fate]] = {}
        for (_, day), kinds in sorted(self._reached.items()):
            total = sum(steps for steps, _ in kinds.values())
            last = max(kinds.values(), key=lambda kind: (kind[0], kind[1].row.raw_id))[1]
            if day not in best or total > best[day][0]:
                best[day] = total, last
        for day, (total, fate) in sorted(best.items()):
            self._days.add(fate, "steps", day, total, _RANK, "steps")

    def _monitoring(self, fate: Fate, raw: Mapping[str, Any]) -> bool:
        steps = raw.get("steps")
        if steps is None and raw.get("activity_type") in _WALKED and (cycles := number(raw.get("cycles"))) is not None:
            steps = 2 * cycles  # a cycle is a step of either foot
        waits = False
        if (count := number(steps)) is not None:
            kinds = self._reached.setdefault((str(raw.get("serial_number")), self._day(fate, raw.get("utc_offset"))), {})
            kind = str(raw.get("activity_type"))
            if kind not in kinds or count > kinds[kind][0]:
                kinds[kind] = count, fate
            waits = True
        if raw.get("heart_rate") is not None:
            before = fate.given
            self._heart_rate(fate, raw)
            if fate.given > before:
                self._monitored.append(fate.row.stamp or 0)
        return not waits

    def _heart_rate(self, fate: Fate, raw: Mapping[str, Any]) -> None:
        if raw.get("heart_rate") is not None and self._curve.covers(fate.row.stamp or 0):
            fate.again += 1
        else:
            self._samples(fate, raw, (("heart_rate", "heart_rate"),))

    def _samples(self, fate: Fate, raw: Mapping[str, Any], fields: tuple[tuple[str, str], ...]) -> None:
        when = instant(self._zones, fate.row.stamp or 0)
        for name, metric in fields:
            if (value := measured(fate, metric, raw.get(name), name)) is not None:
                device = str(raw.get("serial_number") or "")
                self._out.add(metric, value, when, scope="instant", device=device, raw_id=fate.row.raw_id)
                fate.given += 1

    def _day(self, fate: Fate, stated: int | None = None) -> date:
        """The local day of a count; the one written at midnight is that of the day before. `stated`: the watch's UTC offset."""
        return self._zones.local_date(((fate.row.stamp or 0) - SECOND) / SECOND, stated)
