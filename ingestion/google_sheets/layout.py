"""Where the table is in a worksheet: its header, below titles and merged group cells, and what each column holds.

A measurement is a row × group: `Rano` and `Wieczór` over SYS, DIA, Pulse twice are two groups. Merged cells arrive as one text
followed by blanks, so a group's name holds until the next one. Two columns of one name are only told apart by their groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from config.errors import SourceRefused
from ingestion.blood_pressure_layout import MEASURED, Column, is_blood_pressure, is_unit, read_headers, read_slot
from ingestion.clock import read_date
from ingestion.grids import GridRow
from ingestion.occasions import any_cell, is_blank
from ingestion.words import fold

SEARCH_ROWS = 60
"""Titles and remarks above a header never take more."""
_DATE_SHARE = 0.6


class Group(NamedTuple):
    """The columns of one measurement within a row."""

    label: str | None
    slot: str | None
    unit: str | None
    columns: dict[str, int]
    """Field → column: measured ones, and time or note where each group has its own."""


class Table(NamedTuple):
    """What stands where."""

    header: int
    """Index of the first header row."""
    data: int
    """Index of the first row below the header."""
    width: int
    shared: dict[str, int]
    """date, time, note → column, for all groups of a row."""
    groups: list[Group]
    other: dict[int, str]
    """Column → name, of what is no part of a measurement."""
    names: frozenset[str]
    """Folded header texts: a row made of them is the header again."""


class _Heading(NamedTuple):
    """The header rows seen as one: per column its text, what it says, and its group's name."""

    top: int
    bottom: int
    texts: list[str]
    columns: list[Column]
    labels: list[str]
    names: frozenset[str]


def find_table(rows: Sequence[GridRow]) -> Table | None:
    """The first blood pressure table of a worksheet; None without one. SourceRefused: `duplicate_headers`, `no_date_column`."""
    for index in range(min(len(rows), SEARCH_ROWS)):
        heading = _heading(rows, index)
        if heading:
            return _table(heading, rows)
    return None


def _heading(rows: Sequence[GridRow], index: int) -> _Heading | None:
    """The heading whose first row with names of values is `index`."""
    cells = rows[index].cells
    if not is_blood_pressure(read_headers(cells)):
        return None
    below = rows[index + 1].cells if index + 1 < len(rows) else []
    above = rows[index - 1].cells if index else []
    if _folded(below) != _folded(cells) and (_measured(below) >= 2 or (_slots(below) >= 2 and not _numbers(below))):
        return _join(rows, index, index + 1, cells, below)
    if any_cell(above) and (sum(not is_blank(c) for c in above) > 1 or _repeats(cells)):
        return _join(rows, index - 1, index, above, cells)
    return _join(rows, index, index, [], cells)


def _join(rows: Sequence[GridRow], top: int, bottom: int, upper: Sequence[Any], lower: Sequence[Any]) -> _Heading:
    width = max(len(upper), len(lower))
    own, groups = ([_text(c) for c in cells] + [""] * (width - len(cells)) for cells in (lower, upper))
    labels, label = [], ""
    for column, text in enumerate(groups):
        label = text or label
        labels.append(label if own[column] else "")
    texts = [text or groups[column] for column, text in enumerate(own)]
    columns = _columns(texts, labels)
    units = rows[bottom + 1].cells if bottom + 1 < len(rows) else []
    if any_cell(units) and all(is_blank(c) or is_unit(c) for c in units):
        bottom += 1
        for column, cell in enumerate(units[:width]):
            columns[column] = columns[column]._replace(unit=columns[column].unit or read_headers([cell])[0].unit)
    names = frozenset(fold(t) for t in (*own, *groups) if t)
    return _Heading(top, bottom, texts, columns, labels, names)


def _columns(texts: list[str], labels: list[str]) -> list[Column]:
    """What each column holds; under `SYS` over `rano | wieczór` the group's name is the field and its own the part of the day."""
    return [_within(column, label) for column, label in zip(read_headers(texts), labels, strict=True)]


def _within(column: Column, label: str) -> Column:
    group = read_headers([label])[0]
    field = group.field if column.field is None and column.slot and group.field in MEASURED else column.field
    return column._replace(field=field, slot=column.slot or read_slot(label), unit=column.unit or group.unit)


def _table(heading: _Heading, rows: Sequence[GridRow]) -> Table:
    data = heading.bottom + 1
    keys = _keys(heading)
    groups: dict[tuple[str, ...], dict[str, int]] = {}
    for index, column in enumerate(heading.columns):
        if column.field in MEASURED and groups.setdefault(keys[index], {}).setdefault(column.field, index) != index:
            raise _duplicate(heading.texts[index])
    _refuse_repeats(heading, keys)
    shared = _attach(heading, keys, groups)
    _choose_date(heading, shared, rows[data:])
    used = {*shared.values(), *(i for columns in groups.values() for i in columns.values())}
    other = {i: _name(heading, i) for i in range(len(heading.texts)) if i not in used}
    made = [_group(heading, columns) for columns in groups.values()]
    return Table(heading.top, data, len(heading.texts), shared, made, other, heading.names)


def _keys(heading: _Heading) -> list[tuple[str, ...]]:
    """Per column the group it belongs to; one for all where no measured value comes twice."""
    counts = Counter(c.field for c in heading.columns if c.field in MEASURED)
    if max(counts.values()) == 1:
        return [("",)] * len(heading.columns)
    pairs = list(zip(heading.columns, heading.labels, strict=True))
    marked = any(c.number or (c.slot and not read_slot(label)) for c, label in pairs if c.field in MEASURED)
    return [(c.slot or "", c.number or "", "" if marked else fold(label)) for c, label in pairs]


def _attach(heading: _Heading, keys: list[tuple[str, ...]], groups: dict[tuple[str, ...], dict[str, int]]) -> dict[str, int]:
    """Gives each group its own time and note; what comes once is every group's. Gives the shared columns."""
    shared: dict[str, int] = {}
    counts = Counter(c.field for c in heading.columns)
    for index, column in enumerate(heading.columns):
        if column.field in ("time", "note") and len(groups) > 1 and counts[column.field] > 1 and keys[index] in groups:
            groups[keys[index]].setdefault(column.field, index)
        elif column.field in ("date", "time", "note"):
            shared.setdefault(column.field, index)
    return shared


def _choose_date(heading: _Heading, shared: dict[str, int], rows: Sequence[GridRow]) -> None:
    """The column that holds the dates, by its name; among several (`Day`, `Date`), or when none is named, by what is in it."""
    named = [i for i, c in enumerate(heading.columns) if c.field == "date"]
    if len(named) == 1:
        return
    candidates = named or [i for i, c in enumerate(heading.columns) if c.field in (None, "time")]
    shares = {i: _date_share(row.cells[i] for row in rows if i < len(row.cells)) for i in candidates}
    best = max(candidates, key=lambda i: (shares[i], -i), default=None)
    if best is None or (not named and shares[best] < _DATE_SHARE):
        raise SourceRefused("The table has no column of dates.", "Give the sheet a column Date.", "no_date_column")
    shared["date"] = best
    if shared.get("time") == best:
        del shared["time"]


def _date_share(cells: Iterable[Any]) -> float:
    written = [read_date(cell) for cell in cells if not is_blank(cell)]
    found = [w.day("dmy") for w in written]
    good = sum(not isinstance(day, str) or day == "date_without_year" for day in found)
    return good / len(found) if found else 0.0


def _group(heading: _Heading, columns: dict[str, int]) -> Group:
    measured = [index for field, index in columns.items() if field in MEASURED]
    slots = {heading.columns[i].slot for i in measured} - {None}
    units = {heading.columns[i].unit for i in measured} - {None}
    label = next((heading.labels[i] for i in measured if heading.labels[i]), None)
    return Group(label, slots.pop() if len(slots) == 1 else None, units.pop() if len(units) == 1 else None, columns)


def _refuse_repeats(heading: _Heading, keys: list[tuple[str, ...]]) -> None:
    seen = set()
    for index, text in enumerate(heading.texts):
        name = (fold(text), fold(heading.labels[index]), keys[index])
        if text and name in seen:
            raise _duplicate(text)
        seen.add(name)


def _duplicate(text: str) -> SourceRefused:
    return SourceRefused(
        f"Two columns are named {text[:60]!r} or mean the same value.",
        "Name them apart, or put a group such as Morning or Evening above each.",
        "duplicate_headers",
    )


def _name(heading: _Heading, index: int) -> str:
    text, label = heading.texts[index], heading.labels[index]
    if not text:
        return f"column {index + 1}"
    return f"{label} {text}" if label and heading.texts.count(text) > 1 else text


def _text(cell: Any) -> str:
    return " ".join(cell.split()) if isinstance(cell, str) else "" if cell is None else str(cell)


def _numbers(cells: Sequence[Any]) -> bool:
    """Whether a row holds values: a header never does."""
    return any(isinstance(c, int | float) and not isinstance(c, bool) for c in cells) or any(
        isinstance(c, str) and any(letter.isdigit() for letter in c) for c in cells
    )


def _folded(cells: Sequence[Any]) -> list[str]:
    return [fold(_text(cell)) for cell in cells]


def _measured(cells: Sequence[Any]) -> int:
    return sum(c.field in MEASURED for c in read_headers(cells))


def _slots(cells: Sequence[Any]) -> int:
    return sum(read_slot(c) is not None for c in cells)


def _repeats(cells: Sequence[Any]) -> bool:
    counts = Counter(c.field for c in read_headers(cells) if c.field in MEASURED)
    return max(counts.values(), default=0) > 1
