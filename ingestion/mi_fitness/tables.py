"""The tables of a Mi Fitness export, recognised by what their header says: copies are renamed, reordered and recased."""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

from config.errors import SourceRefused
from ingestion.csv_text import MAX_COLUMNS

_NOT_LETTER = re.compile(r"[^a-z0-9]+")


class Table(NamedTuple):
    """One table of the export."""

    name: str
    columns: dict[str, str]
    """Header word (lower case, letters and digits only) → the key it has in a record."""
    needed: frozenset[str]
    """Keys without which a row is worth nothing."""
    marks: frozenset[str]
    """Keys whose presence tells this table from the others; the first table that has all of them is it."""
    revision: str
    """Key of the vendor's update time."""


def _table(name: str, keys: str, needed: str, marks: str, revision: str = "UpdateTime") -> Table:
    columns = {_word(key): key for key in keys.split()}
    if "sid" in columns:
        columns["did"] = columns["sid"]  # one export lists the device as Did where the others say Sid
    return Table(name, columns, frozenset(needed.split()), frozenset(marks.split()), revision)


def _word(name: str) -> str:
    return _NOT_LETTER.sub("", name.lower())


TABLES = (
    _table(
        "user_fitness_data_records",
        "uid did tag key time last_modify metric value",
        needed="key time value",
        marks="key last_modify",
        revision="last_modify",
    ),
    _table(
        "hlth_center_sport_record",
        "Uid Sid Key Time Category Value UpdateTime",
        needed="Key Time Value",
        marks="Key Category",
    ),
    _table(
        "hlth_center_aggregated_fitness_data",
        "Uid Sid Tag Key Time Value UpdateTime",
        needed="Tag Key Time Value",
        marks="Tag Key",
    ),
    _table(
        "hlth_center_data_source",
        "Uid Sid Identifier Model Name Alias Status CreateTime UpdateTime",
        needed="Sid",
        marks="Sid Identifier Model",
    ),
    _table("hlth_center_fitness_data", "Uid Sid Key Time Value UpdateTime", needed="Key Time Value", marks="Key"),
)
"""The tables that are read, most particular first."""


class Header(NamedTuple):
    """A header understood."""

    table: Table | None
    """None for a table of the export that holds nothing measured (profiles, settings, tracks)."""
    keys: list[str]
    """Per column the record's key; a column nobody knows keeps its own name."""
    unknown: bool
    """Whether there are columns nobody knows: the vendor has changed the layout."""
    delimiter: str


def understand(line: str) -> Header:
    """The header a file begins with. SourceRefused when it is no table, names a column twice or lacks one that is needed."""
    for delimiter in (",", ";", "\t"):
        names = next(csv.reader([line], delimiter=delimiter), [])
        if len(names) > MAX_COLUMNS:
            raise SourceRefused("The file has more than 2,000 columns.", _MEND, "too_many_columns")
        words = [_word(name) for name in names]
        found = _match(words)
        if found is not None:
            return _header(found, names, words, delimiter)
        if _is_other_table(words):
            return Header(None, names, False, delimiter)
    raise SourceRefused("The file is no table of a Mi Fitness export.", _MEND, "unknown_table")


_MEND = "Drop the export's own CSV files or its zip."
_OWN = {"table": "table_column"}
"""A record says itself which table it is of; a column of that name must not overwrite it."""
_OTHER = ({"uid"}, {"userid"})


def _match(words: list[str]) -> Table | None:
    for table in TABLES:
        keys = {table.columns[word] for word in words if word in table.columns}
        if table.marks <= keys and (table.needed <= keys or all(word in table.columns for word in words)):
            return table
    return None


def _header(table: Table, names: list[str], words: list[str], delimiter: str) -> Header:
    keys = [table.columns.get(word) or _OWN.get(name.strip(), name.strip()) for word, name in zip(words, names, strict=True)]
    if len(set(keys)) < len(keys):
        raise SourceRefused("The header names a column twice.", "Keep one of the two columns.", "duplicate_columns")
    if "" in keys:
        raise SourceRefused("The header has a column without a name.", "Export the table again.", "unnamed_column")
    if not table.needed <= set(keys):
        raise SourceRefused("The header lacks a column that every row needs.", "Export the table again.", "missing_column")
    return Header(table, keys, any(word not in table.columns for word in words), delimiter)


def _is_other_table(words: list[str]) -> bool:
    return len(words) > 1 and any(mark <= set(words) for mark in _OTHER)
