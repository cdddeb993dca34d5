"""Blood pressure records of sheets and CSV files → readings: systolic, diastolic and pulse of one instant, each its own row.

A record of which one part can be used is used: a pulse stands without its pressures (a cuff counts it independently), pressures
without their pulse; each unusable part is listed with its reason. Two pressures only stand together, and a diastolic that is not
below its systolic takes the pulse with it (`docs/domain.md`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from config.errors import SettingsError
from config.stage import Finding, Inputs, Outputs, Report
from config.timezones import PersonZones, zone
from processing.normalizers.building import Normalized, When
from processing.normalizers.newest import Row
from processing.normalizers.owners import OTHER, Record, guessed, mine
from processing.normalizers.pressure_values import Combined, Number, Pair, read_number, read_pair, read_pulse, split_pair

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_DAY = 86_400
_YES = re.compile(r"[1-9]\d*|yes|y|true|on|x|tak|ja|sí|si|oui|sì|sim|да|так|detected|moved", re.IGNORECASE)
_WITHOUT_UNIT = {
    "assumed_kpa": "Pressures without a unit were read as kPa; write the unit beside them or into the header.",
    "unit_unknown": "Pressures without a unit that may be kPa or cmHg were refused; write kPa into the header, or mmHg values.",
}
_MARKS = (("irregular", "irregular_heartbeat"), ("movement", "movement"))


def normalize_google_sheets(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: `timezone`, `timezone_overrides`, `own_users`. Balance unit: record.
    Records of other people are refused (`other_user`)."""
    return normalize("google_sheets", inputs, outputs, settings)


def normalize_bp_csv(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """As `normalize_google_sheets`; the other users of a cuff are other people."""
    return normalize("bp_csv", inputs, outputs, settings)


def normalize(
    source: str,
    inputs: Inputs,
    outputs: Outputs,
    settings: Mapping[str, Any],
    twin: Callable[[Row], bool] = lambda row: False,  # noqa: ARG005  most sources tell a measurement once
) -> Report:
    """Records of any source that speaks of blood pressure as theirs do. `twin`: whether another record tells the same measurement."""
    records, own_users = inputs.one("records").path, settings["own_users"]
    own = mine(source, records, own_users)
    run = _Run(Normalized(source), PersonZones(settings["timezone"], settings["timezone_overrides"]), own)
    for row in run.out.newest(records):
        if twin(row):
            run.out.fates["duplicate"] += 1
        else:
            run.take(row)
    others = guessed(source, own_users, run.out.fates[f"rejected:{OTHER}"]) if source == "google_sheets" else []
    return run.out.write(outputs, findings=[*run.findings(), *others])


class _Run:
    """One normalizer's run."""

    def __init__(self, out: Normalized, zones: PersonZones, own: Callable[[Record], bool]) -> None:
        self.out = out
        self._zones, self._own = zones, own
        self._without_unit: Counter[str] = Counter()

    def findings(self) -> list[Finding]:
        """What was made of pressures that no unit stands beside."""
        return [
            {"code": code, "message": message, "count": self._without_unit[code]}
            for code, message in _WITHOUT_UNIT.items()
            if self._without_unit[code]
        ]

    def take(self, row: Row) -> None:
        """Readings of one record, and its one fate: accepted as soon as one reading came of it."""
        raw = json.loads(row.text)
        fields: dict[str, Any] = raw["fields"]
        if row.stamp is None:
            self.out.drop(row, "time_missing")
        elif not self._own(raw):
            self.out.drop(row, OTHER, "user")
        else:
            self._measured(row, row.stamp, raw, fields)

    def _measured(self, row: Row, stamp: int, raw: dict[str, Any], fields: dict[str, Any]) -> None:
        decimal = raw.get("decimal")
        taken, conflict = _take_apart(fields)
        pair = Pair(reason="conflict", field="pressure") if conflict else read_pair(taken[0], taken[1], raw["unit"], decimal)
        pulse = read_pulse(taken.pulse, decimal)
        refused = [(pair.reason, pair.field)] if pair.reason else []
        refused += [(pulse.reason, "pulse")] if pulse.reason else []
        if pair.reason == "diastolic_not_below_systolic" and pulse.value is not None:
            refused.append(("partner_rejected", "pulse"))  # swapped or shifted cells: none of the numbers can be trusted
            pulse = Number()
        for reason, field in refused:
            self.out.reject(row, reason, field)
        self._without_unit.update(code for code in _WITHOUT_UNIT if code == pair.reason or code in pair.flags)
        self._add(row, stamp, raw, pair, pulse.value)
        if pair.systolic is not None or pulse.value is not None:
            self.out.fates["accepted"] += 1
        elif refused:
            self.out.fates[f"rejected:{refused[0][0]}"] += 1
        else:
            self.out.fates["unused:no_measurement"] += 1

    def _add(self, row: Row, stamp: int, raw: dict[str, Any], pair: Pair, pulse: float | None) -> None:
        when = self._when(stamp, raw.get("timeZone"))
        marks = [flag for field, flag in _MARKS if _YES.fullmatch(str(raw["fields"].get(field, "")).strip())]
        flags = [*(row.codes or []), *marks]
        for metric, value in (("systolic", pair.systolic), ("diastolic", pair.diastolic)):
            if value is not None:
                self.out.add(metric, value, when, scope="instant", device="", raw_id=row.raw_id, flags=[*flags, *pair.flags])
        if pulse is not None:
            self.out.add("pulse", pulse, when, scope="instant", device="", raw_id=row.raw_id, flags=flags)

    def _when(self, stamp: int, own_zone: str | None) -> When:
        """The instant and the person's day; a sheet's own zone is weaker than a dated override and stronger than home."""
        seconds = stamp // _SECOND
        offset = self._zones.offset(seconds, _stated(own_zone, seconds))
        return When(stamp, stamp, offset, (seconds + offset) // _DAY)


def _take_apart(fields: Mapping[str, Any]) -> tuple[Combined, bool]:
    """The three cells of a measurement, and whether the row states its pressures twice and differently."""
    single = Combined(fields.get("systolic", ""), fields.get("diastolic", ""), fields.get("pulse", ""))
    cell = fields.get("pressure", "")
    if _is_empty(cell) and split_pair(single.systolic) and (_is_empty(single.diastolic) or single.diastolic == single.systolic):
        cell, single = single.systolic, single._replace(systolic="", diastolic="")  # `128/82` under SYS
    if _is_empty(cell):
        return single, False
    pair = split_pair(cell) or Combined(cell, "")
    pulse = single.pulse if not _is_empty(single.pulse) else pair.pulse
    stated = [(a, b) for a, b in ((single.systolic, pair.systolic), (single.diastolic, pair.diastolic)) if not _is_empty(a)]
    return pair._replace(pulse=pulse), any(read_number(a) != read_number(b) for a, b in stated)


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _stated(name: str | None, seconds: int) -> int | None:
    """The UTC offset of a sheet's own zone at an instant."""
    if not name:
        return None
    try:
        delta = (_EPOCH + timedelta(seconds=seconds)).astimezone(zone(name)).utcoffset()
    except SettingsError:
        return None
    return int(delta.total_seconds()) if delta is not None else None
