"""Files as they are compared: Parquet and CSV as tables that are read a bounded batch at a time, other text as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from pandas.util import hash_array

from scripts.digests import Digests

_BATCH_ROWS, _BATCH_BYTES, _LINES_BYTES = 65_536, 4 << 20, 1 << 20
"""How much is in memory at a time: rows of Parquet, bytes of CSV, bytes of text."""


class Table(NamedTuple):
    """A file as a table, to be read as often as needed."""

    path: str
    schema: pa.Schema
    rows: int
    csv: pyarrow.csv.ParseOptions | None

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Rows of some columns, a bounded batch at a time."""
        if self.csv is None:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns))
            return
        with _open_csv(self.path, self.schema.names, self.csv, columns) as reader:
            yield from reader


def table(path: str) -> Table | None:
    """A Parquet or CSV file as a table; None for anything else, and for one that cannot be read as what it is called."""
    try:
        if path.endswith(".parquet"):
            with pq.ParquetFile(path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
            return Table(path, schema, rows, None) if len(set(schema.names)) == len(schema.names) else None
        return _csv_table(path) if path.endswith(".csv") else None
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError):
        return None


def _csv_table(path: str) -> Table | None:
    with open(path, encoding="utf-8-sig", newline="") as file:
        head = file.readline()
    delimiter = max(",;\t", key=head.count)
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with pyarrow.csv.open_csv(path, parse_options=parse, convert_options=_AS_TEXT) as reader:
        names = reader.schema.names
    if len(set(names)) != len(names) or delimiter not in head:
        return None
    with _open_csv(path, names, parse, names) as reader:  # all of it: one that cannot be read shows now
        rows = sum(batch.num_rows for batch in reader)
    return Table(path, pa.schema([(name, pa.string()) for name in names]), rows, parse)


_AS_TEXT = pyarrow.csv.ConvertOptions(auto_dict_encode=False, strings_can_be_null=False)


def _open_csv(path: str, names: Sequence[str], parse: pyarrow.csv.ParseOptions, columns: Sequence[str]) -> Any:
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), include_columns=list(columns), strings_can_be_null=False
    )
    read = pyarrow.csv.ReadOptions(block_size=_BATCH_BYTES)
    return pyarrow.csv.open_csv(path, read_options=read, parse_options=parse, convert_options=convert)


def rows_at(table: Table, columns: Sequence[str], wanted: set[Any]) -> dict[int, list[str]]:
    """Some rows by their place, as text."""
    found: dict[int, list[str]] = {}
    start = 0
    for batch in table.batches(columns) if wanted else ():
        for place in sorted(p for p in wanted if start <= p < start + batch.num_rows):
            cells = [batch.column(name)[place - start].as_py() for name in columns]
            found[place] = ["" if cell is None else str(cell) for cell in cells]
        start += batch.num_rows
    return found


def text_lines(path: str) -> Digests | None:
    """A digest per line; None for what is no text."""
    found = [np.empty(0, np.uint64)]
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            while lines := file.readlines(_LINES_BYTES):
                if any("\0" in line for line in lines):
                    return None
                found.append(hash_array(np.array(lines, dtype=object), categorize=False))
    except UnicodeDecodeError:
        return None
    return np.concatenate(found)
