"""The few rows of a large Parquet table that a question is about: row groups that cannot hold them are not read.

Nothing here touches pandas: pyarrow imports it for every value it is handed or gives back as a time, and that alone would take
longer than the answer. So wanted values go in as buffers, and times come out as microseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Row = dict[str, Any]
_EPOCH = date(1970, 1, 1)
AT = "at"
"""The key under which a row says its place in the table."""


def rows_where(path: str, wanted: Mapping[str, Collection[Any]], columns: Sequence[str] | None = None) -> list[Row]:
    """Rows in which each named column holds one of its wanted values: words, or local or UTC dates. In the table's order.

    A time column is asked by its UTC date and given as microseconds since 1970. `columns`: all without it. Raises OSError.
    """
    if not all(wanted.values()):
        return []
    with pq.ParquetFile(path, memory_map=True) as file:
        return [row for group in _groups(file, wanted) for row in _matching(file, *group, wanted, columns)]


def _groups(file: pq.ParquetFile, wanted: Mapping[str, Collection[Any]]) -> Iterator[tuple[int, int]]:
    """(row group, rows before it) of those whose statistics do not rule them out."""
    ordered = {name: sorted(map(_comparable, values)) for name, values in wanted.items()}
    before = 0
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        bounds = {c.path_in_schema: c.statistics for c in map(group.column, range(group.num_columns))}
        if all(_may_hold(bounds.get(name), values) for name, values in ordered.items()):
            yield number, before
        before += group.num_rows


def _comparable(value: Any) -> Any:
    return (value - _EPOCH).days if isinstance(value, date) else value


def _may_hold(bounds: Any, values: Sequence[Any]) -> bool:
    """Whether a row group with these bounds may hold one of the values: words, or days since 1970."""
    if bounds is None or not bounds.has_min_max:
        return True
    if isinstance(values[0], str):
        low, high = bounds.min, bounds.max
    else:
        per_day = 86_400_000_000 if bounds.physical_type == "INT64" else 1  # the unit of `config.tables` is microseconds
        low, high = bounds.min_raw // per_day, bounds.max_raw // per_day
    at = bisect_left(values, low)
    return bool(at < len(values) and values[at] <= high)


def _matching(
    file: pq.ParquetFile, group: int, before: int, wanted: Mapping[str, Collection[Any]], columns: Sequence[str] | None
) -> Iterator[Row]:
    keys = file.read_row_group(group, columns=list(wanted), use_threads=False).combine_chunks()
    mask = None
    for name, values in wanted.items():
        column = keys[name]
        if not pa.types.is_string(column.type):
            column = column.cast(pa.date32()).cast(pa.int32())
        holds = pc.is_in(column, value_set=_value_set(values))
        mask = holds if mask is None else pc.and_(mask, holds)
    found = pc.indices_nonzero(mask)
    if len(found):
        rows = file.read_row_group(group, columns=columns and list(columns), use_threads=False).take(found)
        places = [before + at for at in found.to_pylist()]
        cells = [_plain(column).to_pylist() for column in rows.columns]
        for at, *values_of_row in zip(places, *cells, strict=True):
            yield {AT: at, **dict(zip(rows.schema.names, values_of_row, strict=True))}


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def _value_set(values: Collection[Any]) -> pa.Array:
    """Words or dates as an Arrow array, from buffers."""
    if isinstance(next(iter(values)), date):
        days = b"".join(_comparable(day).to_bytes(4, "little", signed=True) for day in values)
        return pa.Array.from_buffers(pa.int32(), len(values), [None, pa.py_buffer(days)])
    words = [word.encode() for word in values]
    ends = b"".join(end.to_bytes(4, "little") for end in accumulate(map(len, words), initial=0))
    return pa.Array.from_buffers(pa.string(), len(words), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(words))])
