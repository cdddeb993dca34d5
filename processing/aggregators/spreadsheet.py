"""A CSV a person opens in a spreadsheet: UTF-8, LF, ISO dates, dot decimals, no index, text that is never taken for a formula."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any, BinaryIO

import pyarrow as pa

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet calculate instead of show (OWASP, CSV injection)."""


def write_csv(sink: BinaryIO, table: pa.Table) -> int:
    """Write the table; gives the number of rows."""
    text = io.TextIOWrapper(sink, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.schema.names)
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        writer.writerow([cell(value) for value in row])
    text.detach()
    return int(table.num_rows)


def cell(value: Any) -> str:
    """One value as text: the shortest number that means it, a whole one without a point; nothing for a missing one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return value.isoformat() if isinstance(value, date) else str(value)
