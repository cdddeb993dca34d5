"""Raw sheets → records: one per measurement (row × group), cells as received, the time worked out, everything else left alone.

What a row is worth: title, header, blank and value-less rows are layout; a row that sums others up is a record that is no
measurement (`summary_row`); a blank date below a date means the same day, as merged cells arrive that way, until a blank row,
a header or a summary ends it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from config.errors import SettingsError, SourceRefused
from config.stage import File, Inputs, Outputs, Report
from config.timezones import PersonZones, zone
from ingestion.blood_pressure_layout import MEASURED, is_summary, read_slot
from ingestion.clock import Clock, read_time
from ingestion.date_column import Dated, read_column
from ingestion.dropped_text import ragged
from ingestion.google_sheets.layout import Group, Table, find_table
from ingestion.grids import Cell, Grid, GridRow, read_workbook, titles
from ingestion.occasions import Occasion, any_cell, content_key, is_blank, occasion, ordinals, time_text
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.words import fold

SCHEMA = os.path.join(os.path.dirname(__file__), "schema.json")
_DEFAULT_TITLE = re.compile(r"(?:sheet|arkusz|tabelle|blatt|hoja|feuille|foglio|pagina|planilha|лист|аркуш|blad|list) ?\d*")


def records(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `raw` → roles `records`, `dead_letters`. Settings: `timezone`, `timezone_overrides`."""
    return collect(inputs, outputs, settings, parse, SCHEMA)


def parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    """The records of one saved or fetched sheet. SourceRefused: what `read_workbook` and `find_table` refuse, and `no_header`."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    workbooks = read_workbook(file.path)
    if not any(grid.rows or grid.hidden for book in workbooks for grid in book):
        return iter((Layout("empty_file"),))
    problem: SourceRefused | None = None
    for book in workbooks:
        try:
            return iter(_parse_workbook(book, zones))
        except SourceRefused as refused:
            if problem is None or problem.reason == "no_header":
                problem = refused
    raise problem or _no_header()


class _Found(NamedTuple):
    """A measurement before it has its id."""

    grid: Grid
    row: GridRow
    raw: dict[str, Any]
    when: Occasion
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def _parse_workbook(book: list[Grid], zones: PersonZones) -> list[Parsed]:
    """All worksheets; one that cannot be read beside one that can becomes a dead letter."""
    items: list[_Found | Parsed] = []
    readable, problems = 0, []
    for grid in book:
        try:
            found = _parse_grid(grid, zones)
        except SourceRefused as refused:
            problems.append(refused)
            found = [DeadLetter(b"", refused.reason, refused.what, grid.title or "sheet")]
        readable += _HEADER in {item.what for item in found if isinstance(item, Layout)}
        items += found
    if not readable:
        raise problems[0] if problems else _no_header()
    return _with_ids(items)


def _parse_grid(grid: Grid, zones: PersonZones) -> list[_Found | Parsed]:
    if grid.hidden:
        return [Layout("hidden_sheet")]
    rows = [row for row in grid.rows if isinstance(row, GridRow)]
    letters = [row for row in grid.rows if isinstance(row, DeadLetter)]
    table = find_table(rows)
    if table is None:
        if any(letter.reason == "encoding" for letter in letters):
            raise SourceRefused("The file is not UTF-8, so its header cannot be read.", "Save it as UTF-8.", "encoding")
        return [Layout("sheet_without_blood_pressure", max(1, len(rows)))]
    items: list[_Found | Parsed] = [*letters]
    if table.header:
        items.append(Layout("title", table.header))
    items.append(Layout(_HEADER, table.data - table.header))
    return [*items, *_Reader(grid, table, zones).read(rows)]


class _Reader:
    """The rows below a header."""

    def __init__(self, grid: Grid, table: Table, zones: PersonZones) -> None:
        self._grid, self._table, self._zones = grid, table, zones
        self._zone, self._warnings = _own_zone(grid)

    def read(self, rows: list[GridRow]) -> Iterator[_Found | Parsed]:
        table = self._table
        data = rows[table.data :]
        dates = self._dates(rows[: table.header], data)
        above: tuple[Cell, Dated] | None = None
        for index, row in enumerate(data):
            unused = self._unused(row)
            if unused:
                above = None
                yield unused
                continue
            if row.line is not None and _is_ragged(row, table.width):
                yield ragged(row.line, table.width)
                continue
            if self._sums_up(row, dates.get(index)):
                above = None
                yield self._summary(row)
                continue
            if index in dates:
                above = (self._cell(row, "date"), dates[index])
            yield from self._measurements(row, above, carried=index not in dates)

    def _dates(self, header: list[GridRow], data: list[GridRow]) -> dict[int, Dated]:
        cells = {i: self._cell(row, "date") for i, row in enumerate(data)}
        filled = {i: c for i, c in cells.items() if not is_blank(c) and not self._is_header(data[i])}
        above = [*titles(header), *([self._grid.title] if self._grid.title else [])]
        return dict(zip(filled, read_column(list(filled.values()), self._grid.locale, above), strict=True))

    def _unused(self, row: GridRow) -> Layout | None:
        if not any_cell(row.cells):
            return Layout("blank")
        return Layout("repeated_header") if self._is_header(row) else None

    def _is_header(self, row: GridRow) -> bool:
        texts = [c for c in row.cells if not is_blank(c)]
        return len(texts) > 1 and all(isinstance(c, str) and fold(c) in self._table.names for c in texts)

    def _sums_up(self, row: GridRow, dated: Dated | None) -> bool:
        """`Średnia` where a date should be, or, on a row without a date, in any cell before the values."""
        if dated is not None and (dated.day or dated.error != "bad_date"):
            return False
        first = min(i for group in self._table.groups for i in group.columns.values())
        return any(is_summary(cell) for cell in [*row.cells[:first], self._cell(row, "date")])

    def _summary(self, row: GridRow) -> _Found:
        date, index = self._cell(row, "date"), self._table.shared.get("date")
        names = {i: name for group in self._table.groups for name, i in group.columns.items()}
        other = {
            self._table.other.get(i) or f"{names.get(i, 'column')} {i + 1}": cell
            for i, cell in enumerate(row.cells)
            if i != index and not is_blank(cell)
        }
        raw = self._raw(row, None, {"date": date}, other)
        return _Found(self._grid, row, raw, Occasion(None, ""), ("summary_row",), ())

    def _measurements(self, row: GridRow, above: tuple[Cell, Dated] | None, *, carried: bool) -> Iterator[_Found | Layout]:
        measured = [g for g in self._table.groups if any(not is_blank(_at(row, g.columns.get(f))) for f in MEASURED)]
        if not measured:
            yield Layout("no_measurement")
        other = {name: cell for i, name in self._table.other.items() if not is_blank(cell := _at(row, i))}
        for group in measured:
            columns = {**self._table.shared, **group.columns}
            fields = {name: _at(row, columns[name]) for name in _FIELDS if name in columns}
            raw = self._raw(row, group, fields, other)
            if above is None:
                yield _Found(self._grid, row, raw, Occasion(None, ""), ("date_missing",), ())
                continue
            if carried:
                raw["dateAbove"] = above[0]
            yield self._found(row, raw, above[1], carried=carried)

    def _found(self, row: GridRow, raw: dict[str, Any], dated: Dated, *, carried: bool) -> _Found:
        if dated.day is None:
            return _Found(self._grid, row, raw, Occasion(None, ""), (dated.error or "bad_date",), ())
        clock, offset = read_time(raw["fields"].get("time")), None
        if clock == _SAYS_NOTHING and not carried:
            clock, offset = dated.clock, dated.written.offset
        when = occasion(dated.day, clock, raw["slot"], self._zones, self._zone, offset)
        warnings = [*self._warnings, *(["date_carried"] if carried else []), *([dated.warning] if dated.warning else [])]
        return _Found(self._grid, row, raw, when, when.errors, (*warnings, *when.warnings))

    def _raw(self, row: GridRow, group: Group | None, fields: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "sheet": self._grid.title,
            "row": row.number,
            "slot": (group.slot or read_slot(self._grid.title)) if group else None,
            "group": group.label if group else None,
            "unit": group.unit if group else None,
            "locale": self._grid.locale,
            "timeZone": self._grid.time_zone,
            "fields": dict(fields),
            "other": dict(other),
        }

    def _cell(self, row: GridRow, field: str) -> Cell:
        return _at(row, self._table.shared.get(field))


_HEADER = "header"
_FIELDS = ("date", "time", *MEASURED, "note")
_SAYS_NOTHING = Clock()


def _with_ids(items: list[_Found | Parsed]) -> list[Parsed]:
    """Ids last: the ordinals of measurements of one time need all of them."""
    keys = [
        (_label(i), content_key(i.raw["fields"], i.raw["other"], i.raw.get("dateAbove"))) for i in items if isinstance(i, _Found)
    ]
    numbers = ordinals(keys)
    names = iter([f"{label or f'row:{content}'}#{numbers[label, content]}" for label, content in keys])
    return [_record(item, next(names)) if isinstance(item, _Found) else item for item in items]


def _label(found: _Found) -> str:
    """Without a written time two worksheets may speak of different measurements; with one they hardly do."""
    label, title = found.when.label, found.grid.title
    if label and "T" not in label and title and not _DEFAULT_TITLE.fullmatch(fold(title)):
        return f"{label}@{title}"
    return label


def _record(found: _Found, raw_id: str) -> Record:
    fields = found.raw["fields"]
    date = found.raw["dateAbove"] if is_blank(fields.get("date")) and "dateAbove" in found.raw else fields.get("date")
    return Record(
        raw_id=raw_id if found.when.label else raw_id.partition("#")[0],
        timestamp=found.when.utc,
        raw=found.raw,
        position=found.grid.position(found.row),
        revision=found.grid.modified,
        errors=found.errors,
        warnings=found.warnings,
        volatile=("sheet", "row"),
        time_text=None if "summary_row" in found.errors else time_text(date, fields.get("time")),
        utc_offset=found.when.offset,
    )


def _own_zone(grid: Grid) -> tuple[Any, list[str]]:
    """The sheet's own time zone, if there is one of that name."""
    if not grid.time_zone:
        return None, []
    try:
        return zone(grid.time_zone), []
    except SettingsError:
        return None, ["unknown_time_zone"]


def _is_ragged(row: GridRow, width: int) -> bool:
    """A CSV row must be as wide as the header, but for blank cells at the end."""
    return len(row.cells) < width or any(not is_blank(cell) for cell in row.cells[width:])


def _at(row: GridRow, index: int | None) -> Cell:
    return row.cells[index] if index is not None and index < len(row.cells) else ""


def _no_header() -> SourceRefused:
    return SourceRefused(
        "No row names the columns of a blood pressure log.",
        "Give the sheet a header with a date, systolic and diastolic (or one column such as 128/82).",
        "no_header",
    )
