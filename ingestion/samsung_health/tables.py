"""The types of a Samsung Health export that are read: CSVs by what their first line says, JSON files by the folder or name they stand in.

Both prefixes occur, `com.samsung.shealth.` and `com.samsung.health.`, and some versions write the columns with the prefix of their type.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_TYPE = re.compile(r"com\.samsung\.s?health\.(?P<type>[a-z0-9_]+(?:\.[a-z0-9_]+)*)", re.IGNORECASE)
_PREFIX = re.compile(r"com\.samsung\.s?health\.(?:[a-z0-9_]+\.)+(?=[a-z0-9_]+$)", re.IGNORECASE)
_STAMPED = re.compile(r"(?:\.\d{8,})?(?: ?\(\d+\))?\.csv$", re.IGNORECASE)


class Table(NamedTuple):
    """One type of the export."""

    needed: tuple[str, ...] = ()
    """Columns without which a row is worth nothing."""
    stamp: str = "start_time"
    identity: tuple[str, ...] = ("datauuid",)
    by_day: bool = False
    """Whether the stamp names a local day."""


TABLES = {
    "blood_pressure": Table(("start_time", "systolic", "diastolic")),
    "tracker.heart_rate": Table(("start_time", "heart_rate")),
    "tracker.oxygen_saturation": Table(("start_time", "spo2")),
    "respiratory_rate": Table(("start_time", "average")),
    "weight": Table(("start_time", "weight")),
    "body_temperature": Table(("start_time", "temperature")),
    "sleep": Table(("start_time", "end_time")),
    "sleep_stage": Table(("start_time", "end_time", "stage", "sleep_id")),
    "step_daily_trend": Table(("day_time", "count"), "day_time", ("day_time", "source_type", "deviceuuid"), by_day=True),
    "tracker.pedometer_day_summary": Table(("day_time", "step_count"), "day_time", by_day=True),
    "tracker.pedometer_step_count": Table(("start_time", "count")),
    "calories_burned.details": Table(("day_time",), "day_time", by_day=True),
}
"""Type without its prefix → how its rows are read."""
BINS = {
    "tracker.heart_rate": "heart_rate",
    "heart_rate": "heart_rate",
    "tracker.oxygen_saturation": "spo2",
    "oxygen_saturation": "spo2",
    "hrv": "hrv",
    "respiratory_rate": "respiratory_rate",
}
"""Type → the table of the short intervals that stand in its JSON files."""
POINTERS = frozenset({"hrv"})
"""Types whose CSV rows say nothing but which JSON file holds their values."""


def type_of(text: str) -> str | None:
    """`com.samsung.shealth.tracker.heart_rate` → `tracker.heart_rate`; None for anything else."""
    found = _TYPE.fullmatch(text.strip())
    return found["type"].lower() if found else None


def type_in_name(path: str) -> str | None:
    """The type a CSV's name says: `…/com.samsung.health.weight.20260912.csv` → `weight`."""
    return type_of(_STAMPED.sub("", posixpath.basename(path)))


def bins_of(path: str) -> tuple[str, str]:
    """(type, column) of a JSON file: by its folder `jsons/<type>/…/<uuid>.<column>.json`, else by the type in its own name."""
    folders, name = path.split("/")[:-1], posixpath.basename(path)
    kinds = [kind for kind in map(type_of, folders) if kind]
    found = _TYPE.search(name.removesuffix(".json"))
    inner, _, column = found["type"].rpartition(".") if found else ("", "", name.removesuffix(".json").rpartition(".")[2])
    return (kinds[-1] if kinds else inner.lower() or name), column.lower()


def short_names(columns: Sequence[str]) -> list[str]:
    """The columns without the prefix of their type, where that leaves every name only once."""
    short = [_PREFIX.sub("", column) for column in columns]
    times = Counter(short)
    return [name if times[name] == 1 else column for name, column in zip(short, columns, strict=True)]
