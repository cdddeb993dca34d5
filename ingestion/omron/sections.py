"""The tables of an OMRON report: one file may hold blood pressure, then steps, then sleep, each under a header of its own."""

from __future__ import annotations

import csv
import re
from itertools import pairwise
from typing import NamedTuple

from ingestion.blood_pressure_layout import is_blood_pressure, read_header, read_headers
from ingestion.dropped_text import DELIMITERS
from ingestion.words import clean

_LINES = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_MAX_HEADER = 4096


class Section(NamedTuple):
    """A table of the report."""

    data: bytes
    first: int
    """The line it begins on, counted from 1."""
    rows: int
    """Lines below its header that are not blank."""
    unread: str
    """Its columns' names when it holds no blood pressure; else empty."""


def sections(data: bytes) -> list[Section]:
    """The report cut at every header that differs from the one before. What comes before the first header belongs to it."""
    if data.startswith(_WIDE):
        return [Section(data, 1, 0, "")]
    lines = _LINES.findall(data)
    headers = [(at, cells) for at, line in enumerate(lines) if (cells := _header(line)) is not None]
    cuts = [(at, cells) for n, (at, cells) in enumerate(headers) if n == 0 or cells != headers[n - 1][1]]
    if not cuts:
        return [Section(data, 1, 0, "")]
    starts = [0, *(at for at, _ in cuts[1:]), len(lines)]
    found = []
    for (_, cells), (start, end) in zip(cuts, pairwise(starts), strict=True):
        part = lines[start:end]
        rows = sum(1 for line in part if line.strip(b" \t,;\r\n")) - 1
        unread = "" if is_blood_pressure(read_headers(cells)) else ", ".join(clean(cell)[:30] for cell in cells[:6])
        found.append(Section(b"".join(part), start + 1, rows, unread))
    return found


def _header(line: bytes) -> list[str] | None:
    """A row of names, one of them a date's; a row with a digit is data."""
    text = line.decode("utf-8-sig", "replace").strip()
    if not text or len(text) > _MAX_HEADER or any(c.isdigit() for c in text):
        return None
    for delimiter in DELIMITERS:
        cells = next(csv.reader([text], delimiter=delimiter), [])
        if len(cells) > 2 and all(cell.strip() for cell in cells) and any(read_header(cell).field == "date" for cell in cells):
            return cells
    return None
