"""The tables of a Health Mate archive, recognised by their headers; where many tables share one header, by the file's name too.

`raw_*.csv` all say `start,duration,value` and `aggregates_*.csv` all say `date,value`: only the name tells what is measured.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ingestion.words import clean

RAW_TABLES = frozenset(
    {
        "raw_tracker_hr",
        "raw_hr_hr",
        "raw_bed_hr",
        "raw_sleep-monitor_hr",
        "raw_tracker_steps",
        "raw_tracker_distance",
        "raw_tracker_calories-earned",
        "raw_spo2_auto_spo2",
        "raw_bed_respiratory-rate",
        "raw_sleep-monitor_respiratory-rate",
    }
)
"""Of the `raw_*` files those that are read."""
AGGREGATES = frozenset({"aggregates_steps", "aggregates_distance", "aggregates_calories_earned", "aggregates_calories_passive"})
"""Of the `aggregates_*` files those that are read."""

_COPY = re.compile(r"(?: ?\(\d+\)| - copy| copy)+$", re.IGNORECASE)
_ALIASES = {
    "systolic (mmhg)": "Systolic",
    "diastolic (mmhg)": "Diastolic",
    "heart rate (bpm)": "Heart rate",
    "light sleep (s)": "light (s)",
    "deep sleep (s)": "deep (s)",
    "rem sleep (s)": "rem (s)",
    "von": "from",
    "bis": "to",
    "leicht (s)": "light (s)",
    "tief (s)": "deep (s)",
    "wach (s)": "awake (s)",
    "aufwachen": "wake up",
    "ligero (s)": "light (s)",
    "profundo (s)": "deep (s)",
    "despierto (s)": "awake (s)",
}
"""Headers of older and of localized archives → the header of the English one."""
_HEADERS = {
    "bp": ("Date", "Heart rate", "Systolic", "Diastolic", "Comments"),
    "weight": (
        *("Date", "Weight (kg)", "Fat mass (kg)", "Bone mass (kg)", "Muscle mass (kg)", "Hydration (kg)", "Comments"),
        *("Weight (lb)", "Fat mass (lb)", "Bone mass (lb)", "Muscle mass (lb)", "Hydration (lb)"),
    ),
    "sleep": (
        *("from", "to", "light (s)", "deep (s)", "rem (s)", "awake (s)", "wake up", "Duration to sleep (s)"),
        *("Duration to wake up (s)", "Snoring (s)", "Snoring episodes", "Average heart rate", "Heart rate (min)"),
        *("Heart rate (max)", "Night events", "Notes"),
    ),
    "raw": ("start", "duration", "value"),
    "aggregates": ("date", "value"),
}
_NEEDED = (
    ("bp", ({"Date", "Systolic", "Diastolic"},)),
    ("sleep", ({"from", "to", "light (s)", "deep (s)"},)),
    ("weight", ({"Date", "Weight (kg)"}, {"Date", "Weight (lb)"})),
    ("raw", ({"start", "duration", "value"},)),
    ("aggregates", ({"date", "value"},)),
)


class Header(NamedTuple):
    """A header understood."""

    table: str | None
    """The record's `table`: `bp`, `weight`, `sleep`, or the file's name for raw and aggregated data; None for what is not read."""
    keys: list[str]
    """Per column the record's key; a column nobody knows keeps its own name."""


def stem(name: str) -> str:
    """`Health/raw_tracker_hr (1).csv` → `raw_tracker_hr`."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return _COPY.sub("", last.lower().removesuffix(".csv").removesuffix(".json")).strip()


def understand(cells: list[str], name: str) -> Header:
    """The header of the file of this name."""
    for family, choices in _NEEDED:
        known = {header.lower(): header for header in _HEADERS[family]}
        words = [clean(cell).lower() for cell in cells]
        keys = [known.get(_ALIASES.get(word, word).lower(), cell.strip()) for word, cell in zip(words, cells, strict=True)]
        if any(needed <= set(keys) for needed in choices):
            return Header(_table(family, name), keys)
    return Header(None, cells)


def _table(family: str, name: str) -> str | None:
    if family == "raw":
        return stem(name) if stem(name) in RAW_TABLES else None
    if family == "aggregates":
        return stem(name) if stem(name) in AGGREGATES else None
    return family
