"""The tables of a Zepp Life export, recognised by what their header says; where an export comes from, by where its file lies.

Names are no guide: `SLEEP_MINUTE` begins like `SLEEP`, copies are renamed, and the order of columns changes from year to year.
Layouts: `docs/sources.md`, Zepp Life.
"""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

from config.errors import SourceRefused
from ingestion.csv_text import MAX_COLUMNS


class Table(NamedTuple):
    """One table of the export."""

    name: str
    columns: dict[str, str]
    """Column in lower case → the vendor's spelling of it."""
    needed: frozenset[str]
    """Columns without which a row is worth nothing; they tell this table from the others, too."""
    absent: frozenset[str] = frozenset()
    """Columns that make it another table."""


def _table(name: str, columns: str, needed: str, absent: str = "") -> Table:
    return Table(name, {c.lower(): c for c in columns.split()}, frozenset(needed.split()), frozenset(absent.split()))


TABLES = (
    _table(
        "SLEEP",
        "date lastSyncTime deepSleepTime shallowSleepTime wakeTime start stop REMTime naps",
        "date deepSleepTime shallowSleepTime",
    ),
    _table("SLEEP_MINUTE", "date time stage hr respiratory_rate", "date time stage"),
    _table("HEARTRATE_AUTO", "date time heartRate", "date time heartRate"),
    _table("SPO2", "date time spo2", "date time spo2"),
    _table("ACTIVITY_MINUTE", "date time steps", "date time steps"),
    _table("ACTIVITY_STAGE", "date start stop distance calories steps", "date start stop steps"),
    _table("ACTIVITY", "date lastSyncTime steps distance runDistance calories", "date steps distance"),
    _table("HEARTRATE", "time timestamp heartRate", "heartRate", absent="date"),
    _table(
        "BODY",
        "time timestamp weight height bmi fatRate bodyWaterRate boneMass metabolism muscleRate visceralFat impedance",
        "weight bmi",
    ),
    _table(
        "SPORT",
        "type startTime sportTime(s) maxPace(/meter) minPace(/meter) distance(m) avgPace(/meter) calories(kcal)",
        "type startTime sportTime(s)",
    ),
    _table("USER", "userId gender height weight nickName avatar birthday", "userId height birthday"),
)
"""The tables that are read, most particular first."""


class Header(NamedTuple):
    """A header understood."""

    table: Table | None
    """None for a table that is not read."""
    keys: list[str]
    """Per column the record's key; a column nobody knows keeps its own name."""


def understand(line: str) -> Header:
    """The header a file begins with. SourceRefused when it is no table, or names a column twice."""
    names = [name.strip() for name in next(csv.reader([line]), [])]
    if len(names) > MAX_COLUMNS:
        raise SourceRefused("The file has more than 2,000 columns.", _MEND, "too_many_columns")
    if len(names) < 2 or not all(_WORD.fullmatch(name) for name in names):
        raise SourceRefused("The file is no table of a Zepp Life export.", _MEND, "unknown_table")
    lowered = [name.lower() for name in names]
    if len(set(lowered)) < len(lowered):
        raise SourceRefused("The header names a column twice.", "Export the table again.", "duplicate_columns")
    table = next((t for t in TABLES if _fits(t, set(lowered))), None)
    keys = [_OWN.get(n, n) if table is None else table.columns.get(n.lower(), _OWN.get(n, n)) for n in names]
    return Header(table, keys)


def _fits(table: Table, names: set[str]) -> bool:
    needed = {name.lower() for name in table.needed}
    return needed <= names and not {name.lower() for name in table.absent} & names


_MEND = "Drop the export's own CSV files or its zip."
_WORD = re.compile(r"[^\W\d][^\x00-\x1f\"]{0,60}")
_OWN = {name: f"{name}_column" for name in ("table", "account", "export")}
"""What a record says itself; columns of these names must not overwrite it."""


class Origin(NamedTuple):
    """Which export a file belongs to."""

    account: str
    """The user's number; empty where neither a folder nor the archive says it."""
    export: int
    """When the export was made, milliseconds since 1970; 0 where nothing says it."""


def origin(place: str) -> Origin:
    """Out of a path such as `1234567890_1690000000000/SLEEP/SLEEP_1690000000000.csv`; an archive's own name counts, too."""
    folder = _EXPORT.search(place)
    stamps = _STAMP.findall(place)
    made = int(stamps[-1]) if stamps else 0
    return Origin(folder[1] if folder else "", made if made > _MILLI else made * 1000)


_EXPORT = re.compile(r"(?:^|/)(\d{3,20})_\d{10}(?:\d{3})?(?=[/. (]|$)")
_STAMP = re.compile(r"_(1\d{9}(?:\d{3})?)(?!\d)")
_MILLI = 100_000_000_000


def kind_of_name(place: str) -> str:
    """What a file that is not read calls itself: its name without numbers and folders, which may say who somebody is."""
    name = place.rsplit("/", 1)[-1]
    stem, dot, ending = name.rpartition(".")
    words = re.sub(r"[\d_. ()-]+$", "", stem if dot else name)
    return f"{words or '…'}{dot}{ending}"[:60]
