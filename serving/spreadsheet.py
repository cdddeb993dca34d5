"""A table as CSV for a person's spreadsheet: UTF-8, ISO dates, dot decimals, and no cell that would start a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_bytes(rows: pd.DataFrame) -> bytes:
    """The rows with their header, lines ended by CRLF (RFC 4180); text that would be taken for a formula gets a leading `'`."""
    from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_float_dtype, is_numeric_dtype

    safe = rows.copy()
    for name, column in rows.items():
        if is_float_dtype(column) and (column.dropna() % 1 == 0).all():
            safe[name] = column.astype("Int64")  # counts stay whole beside empty cells
        elif not (is_numeric_dtype(column) or is_bool_dtype(column) or is_datetime64_any_dtype(column)):
            safe[name] = column.map(_safe)
    safe.columns = [_safe(name) for name in safe.columns]
    text: str = safe.to_csv(index=False, lineterminator="\r\n")
    return text.encode()


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
