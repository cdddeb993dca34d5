"""A saved or fetched spreadsheet → grids of cells: JSON as the Sheets API gives it, XLSX, CSV. Cells stay as they were received.

JSON: `{"locale", "timeZone", "values": [[…], …]}`, optionally `title` (of the worksheet) and `modifiedTime` (RFC 3339). XLSX: all
visible worksheets; dates become ISO text. CSV: one reading per possible delimiter, because only the header can tell which is right.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from datetime import datetime, time
from itertools import chain
from typing import Any, NamedTuple

from config.errors import SourceRefused
from ingestion import archives
from ingestion.csv_text import MAX_COLUMNS
from ingestion.dropped_text import DELIMITERS, Line, is_empty, kind_of, read_bytes, read_lines
from ingestion.records import DeadLetter

MAX_UNPACKED = 256 << 20
MAX_ROWS = 1_048_576

Cell = str | int | float | bool | None


class GridRow(NamedTuple):
    """One row of a grid."""

    number: int
    """Row of the sheet or line of the file, counted from 1."""
    cells: list[Cell]
    line: Line | None = None
    """Of a CSV: the line it came from; such rows must be as wide as the header."""


class Grid(NamedTuple):
    """One worksheet."""

    rows: list[GridRow | DeadLetter]
    title: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    modified: int = 0
    """When the document was last changed, seconds since 1970; 0 when it does not say."""
    hidden: bool = False

    def position(self, row: GridRow) -> str:
        """`Log!row 5`, `row 5` or `line 5`."""
        if row.line is not None:
            return f"line {row.number}"
        return f"{self.title}!row {row.number}" if self.title else f"row {row.number}"


def read_workbook(path: str) -> list[list[Grid]]:
    """The possible readings of a file, each a list of worksheets; [] for an empty file. SourceRefused when it is no spreadsheet."""
    with open(path, "rb") as file:
        head = file.read(4)
    if head == b"PK\x03\x04":
        return [_read_xlsx(path)]
    data = read_bytes(path)
    kind = kind_of(data)
    if is_empty(data):
        return []
    if kind == "json":
        return [[_read_json(data)]]
    return _read_csv(data)


def _read_csv(data: bytes) -> list[list[Grid]]:
    """A delimiter that never splits a row, or under which the quotes do not match, is not the file's."""
    found: list[list[Grid]] = []
    unsplit: list[list[Grid]] = []
    refused: SourceRefused | None = None
    for delimiter in DELIMITERS:
        try:
            rows = _csv_rows(data, delimiter)
        except SourceRefused as problem:
            refused = refused or problem
            continue
        split = any(isinstance(row, GridRow) and len(row.cells) > 1 for row in rows)
        (found if split else unsplit).append([Grid(rows)])
    if not found and refused is not None:
        raise refused
    return found or unsplit[:1]


def _csv_rows(data: bytes, delimiter: str) -> list[GridRow | DeadLetter]:
    lines = read_lines(data, delimiter)
    return [GridRow(line.number, list(line.cells), line) if isinstance(line, Line) else line for line in lines]


def _read_json(data: bytes) -> Grid:
    try:
        document = json.loads(data, object_pairs_hook=_unique, parse_int=_integer)
    except RecursionError:
        raise SourceRefused("The JSON is nested too deep.", "Save the sheet again.", "too_deep") from None
    except UnicodeDecodeError:
        raise SourceRefused("The JSON is not UTF-8.", "Save it as UTF-8.", "encoding") from None
    except ValueError:
        raise SourceRefused("The file is no whole JSON document.", "Save the sheet again.", "bad_json") from None
    values = document.get("values", [] if "locale" in document else None) if isinstance(document, dict) else None
    if not isinstance(values, list):
        raise SourceRefused(
            'The JSON is no sheet: it has no list "values".', 'Save {"locale", "timeZone", "values"}.', "bad_grid"
        )
    if len(values) > MAX_ROWS or any(isinstance(row, list) and len(row) > MAX_COLUMNS for row in values):
        raise SourceRefused("The sheet has too many rows or columns.", "Check that it is the right one.", "too_many_columns")
    title, locale, zone, modified = (_text(document.get(k)) for k in ("title", "locale", "timeZone", "modifiedTime"))
    return Grid([_json_row(n, row) for n, row in enumerate(values, 1)], title, locale, zone, _seconds(modified))


def _json_row(number: int, row: Any) -> GridRow | DeadLetter:
    if isinstance(row, list) and all(cell is None or isinstance(cell, str | int | float) for cell in row):
        return GridRow(number, row)
    raw = json.dumps(row).encode()
    return DeadLetter(raw, "bad_cell", "The row is no list of texts, numbers and true or false.", f"row {number}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise SourceRefused("The JSON says one key twice.", "Save the sheet again.", "duplicate_keys")
    return found


def _integer(text: str) -> int | str:
    """A whole number no device can mean stays text: Python refuses to make an int of 5,000 digits."""
    return int(text) if len(text) <= 18 else text


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 200 else None


def _seconds(moment: str | None) -> int:
    try:
        found = datetime.fromisoformat(moment) if moment else None
    except ValueError:
        return 0
    return int(found.timestamp()) if found and found.tzinfo else 0


def _read_xlsx(path: str) -> list[Grid]:
    modified = _check_package(path)
    import openpyxl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which are not read
            book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
            try:
                return [_worksheet(sheet, modified) for sheet in book.worksheets]
            finally:
                book.close()
    except SourceRefused:
        raise
    except Exception:  # noqa: BLE001  openpyxl raises whatever a damaged part makes Python raise: KeyError, ParseError, struct.error, …
        raise SourceRefused("The workbook is damaged.", "Save it again as XLSX or CSV.", "bad_xlsx") from None


def _check_package(path: str) -> int:
    """Refuses what is no workbook, or a dangerous one; gives the time of the last change."""
    names, total, modified = set(), 0, 0
    for member in archives.members(path):
        names.add(member.name)
        total += member.size
        head = member.file.read(8192)
        if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
            raise SourceRefused("The workbook declares XML entities.", "Do not trust where it came from.", "xml_entities")
        if member.name == "docProps/core.xml":
            modified = _modified(head)
    if "xl/workbook.xml" not in names:
        raise SourceRefused("The file is an archive, but no XLSX workbook.", "Save the sheet as XLSX or CSV.", "unknown_format")
    if total > MAX_UNPACKED:
        raise SourceRefused("The workbook unpacks to more than 256 MB.", "Drop only the sheet that matters.", "too_big")
    return modified


def _modified(core: bytes) -> int:
    text = core.partition(b"<dcterms:modified")[2].partition(b">")[2].partition(b"<")[0]
    return _seconds(text.decode("ascii", "replace").strip())


def _worksheet(sheet: Any, modified: int) -> Grid:
    if sheet.sheet_state != "visible":
        return Grid([], sheet.title, modified=modified, hidden=True)
    sheet.reset_dimensions()  # the size a file claims is not its size
    rows: list[GridRow | DeadLetter] = []
    for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
        cells = [_cell(value) for value in values]
        while cells and cells[-1] is None:
            cells.pop()
        if len(cells) > MAX_COLUMNS:
            raise SourceRefused("The sheet has more than 2,000 columns.", "Check that it is the right one.", "too_many_columns")
        rows.append(GridRow(number, cells))
    while rows and isinstance(rows[-1], GridRow) and not rows[-1].cells:
        rows.pop()
    return Grid(rows, sheet.title, modified=modified)


def _cell(value: Any) -> Cell:
    """JSON types only: a date as ISO text, a length of time as its text (`7:30:00`)."""
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=None, microsecond=0)
        return moment.date().isoformat() if moment.time() == time() else moment.isoformat(" ")
    if isinstance(value, time):
        return value.replace(microsecond=0).isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def titles(rows: Iterable[GridRow | DeadLetter]) -> list[str]:
    """The texts of these rows: what may name the year of what stands below."""
    return [c for c in chain.from_iterable(r.cells for r in rows if isinstance(r, GridRow)) if isinstance(c, str)]
