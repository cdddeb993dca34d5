"""OMRON records → readings, as those of any cuff; a measurement that the app and omblepy both tell counts once.

The app writes minutes, omblepy seconds: records of one minute and equal values in two layouts are twins, and omblepy's counts,
because it alone knows the second, the movement and the irregular beat. The cuff's second user is somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from processing.normalizers import blood_pressure
from processing.normalizers.newest import Row, read_newest
from processing.normalizers.owners import Record, mine
from processing.normalizers.pressure_values import read_number

_MINUTE = 60_000_000
_RICHEST = ("omblepy", "omron_connect", "omron_logbook")
_Key = tuple[int, *tuple[float | None, ...]]


def normalize(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `records` → roles `readings`, `rejected`. Settings: `timezone`, `timezone_overrides`, `own_users`. Balance unit: record.
    Records of the cuff's other users are refused (`other_user`)."""
    records = inputs.one("records").path
    own = mine("omron", records, settings["own_users"])
    told = _tellers(records, own)

    def twin(row: Row) -> bool:
        raw = json.loads(row.text)
        best = told.get(_key(row, raw))
        return best not in (None, raw["preset"]) and own(raw)

    return blood_pressure.normalize("omron", inputs, outputs, settings, twin)


def _tellers(records: str, own: Callable[[Record], bool]) -> dict[_Key, str]:
    """Each of the person's measurements → the layout that tells it best."""
    told: dict[_Key, str] = {}
    for row, standing in read_newest(records):
        raw = json.loads(row.text)
        if standing == "newest" and own(raw):
            key = _key(row, raw)
            told[key] = min(told.get(key, raw["preset"]), raw["preset"], key=_rank)
    return told


def _key(row: Row, raw: Mapping[str, Any]) -> _Key:
    fields = raw["fields"]
    values = [read_number(fields.get(name), raw.get("decimal")).value for name in ("systolic", "diastolic", "pulse")]
    return (row.stamp or 0) // _MINUTE, *values


def _rank(preset: str) -> tuple[int, str]:
    return (_RICHEST.index(preset) if preset in _RICHEST else len(_RICHEST)), preset
