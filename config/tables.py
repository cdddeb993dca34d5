"""The layout of the Parquet tables that travel between the rooms, and the one writer that makes equal rows equal bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq

_UTC = pa.timestamp("us", tz="UTC")

RECORDS = pa.schema(
    [
        pa.field("raw_id", pa.string(), nullable=False),  # identity within the source; same raw_id, other content = next version
        pa.field("source_timestamp", _UTC),  # when it was measured; null when the record does not say
        pa.field("raw", pa.string(), nullable=False),  # the record as JSON text
        pa.field("status", pa.string(), nullable=False),  # valid | warning | invalid
        pa.field("errors", pa.list_(pa.string())),  # reason codes, never values
        pa.field("raw_artifact", pa.string(), nullable=False),  # name of the raw artifact it came from
        pa.field("raw_sha256", pa.string(), nullable=False),
        pa.field("position", pa.string(), nullable=False),  # where in it: "line 12", "data.csv line 12", "Log!row 5"
        pa.field("record_index", pa.int64(), nullable=False),  # ordinal within the raw artifact
        pa.field("revision", pa.int64(), nullable=False),  # among equal raw_ids the highest is the newest
        pa.field("time_text", pa.string()),  # its time as it stands in the record; null when that is a number, or nothing
        pa.field("utc_offset", pa.int32()),  # seconds east of UTC with which the text was read; null when it was not understood
        pa.field("quality_score", pa.float64()),  # 0 to 1: docs/quality.md
        pa.field("quality_metrics", pa.string()),  # JSON object; few different ones, like the next
        pa.field("quality_checks", pa.string()),  # JSON object: check → passed | failed | not_applicable, and reason codes
    ]
)
DEAD_LETTERS = pa.schema(
    [
        pa.field("raw", pa.binary()),  # the bytes exactly as received; null above the size cap, the raw artifact has them
        pa.field("raw_size", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),  # stable code
        pa.field("message", pa.string(), nullable=False),  # one sentence, no values
        pa.field("raw_artifact", pa.string(), nullable=False),
        pa.field("raw_sha256", pa.string(), nullable=False),
        pa.field("position", pa.string(), nullable=False),
        pa.field("record_index", pa.int64(), nullable=False),
    ]
)
MONTHS = pa.schema(
    [
        pa.field("month", pa.string()),  # YYYY-MM of source_timestamp, UTC; null: the records without one
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("digest", pa.binary(16), nullable=False),  # equal for equal records in any order, wherever they stood
    ]
)
READINGS = pa.schema(
    [
        pa.field("metric", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("unit", pa.string(), nullable=False),  # UCUM
        pa.field("start", _UTC, nullable=False),
        pa.field("end", _UTC, nullable=False),  # = start for an instant
        pa.field("utc_offset", pa.int32(), nullable=False),  # seconds east of UTC where the person was
        pa.field("local_date", pa.date32(), nullable=False),  # the day it counts for; a night counts for the day of waking
        pa.field("scope", pa.string(), nullable=False),  # instant | interval | session | day (a vendor's own daily figure)
        pa.field("device", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("raw_id", pa.string(), nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),  # what a person should know: dst_gap, converted_kpa, warn_high
    ]
)
REJECTED_READINGS = READINGS.append(pa.field("reason", pa.string(), nullable=False))
REJECTED_RECORDS = pa.schema(
    [
        pa.field("raw_id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("field", pa.string()),  # which part of the record
        pa.field("source", pa.string(), nullable=False),
        pa.field("raw_artifact", pa.string(), nullable=False),
        pa.field("position", pa.string(), nullable=False),
    ]
)
READINGS_ORDER = [
    (name, "ascending") for name in ("metric", "start", "end", "source", "raw_id", "device", "scope", "value", "utc_offset")
]
"""Readings lie in this order, so that the order of arrival leaves no trace in the bytes."""

_BATCH = 32_768
_GROUP = 16_384
"""Rows of a row group."""
_ROWS = 4_096
"""Rows that wait as objects: as a table they need a fifth of the memory."""
_BYTES = 32 << 20
"""Of texts that wait; then they are a row group, however few rows they are."""
_DISTINCT = frozenset({"raw_id", "raw", "position", "time_text"})
"""Texts of which hardly two are alike: a dictionary of them costs a third of the time of writing, and bytes."""
_RISING = frozenset({"source_timestamp", "record_index", "start", "end"})
"""Numbers that hardly differ from the one before."""
_UNASKED = frozenset({"raw", "position", "raw_sha256", "quality_metrics", "quality_checks"})
"""Columns nobody seeks by the smallest and the largest."""


class TableWriter:
    """Writes rows of one layout to an open file in row groups of one size, however they come; memory stays bounded by three of them.

    Encoding and compressing let go of the interpreter, so a thread does them while the next rows are made.
    """

    def __init__(self, sink: BinaryIO, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self._waiting: list[tuple[Any, ...]] = []
        self._tables: list[pa.Table] = []
        self._gathered = self._size = 0
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: Future[None] | None = None
        self._writer = pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            version="2.6",
            use_dictionary=[path for path, name in _leaves(schema) if name not in _DISTINCT | _RISING],
            column_encoding={name: "DELTA_BINARY_PACKED" for name in schema.names if name in _RISING},
            write_statistics=[path for path, name in _leaves(schema) if name not in _UNASKED],
        )

    def append(self, row: Iterable[Any], size: int = 0) -> None:
        """One row, in the schema's column order. `size`: characters of its texts, where a stranger makes them long."""
        self._waiting.append(tuple(row))
        self.rows += 1
        self._size += size
        if len(self._waiting) >= _ROWS or self._size >= _BYTES:
            self._gather()

    def write(self, table: pa.Table) -> None:
        """A whole table of this layout."""
        self._gather()
        self.rows += table.num_rows
        self._add(table.cast(self.schema))

    def close(self) -> None:
        """Write what is left and the footer."""
        try:
            self._gather()
            self._settle()
            self._write(self._tables)
            self._writer.close()
        except BaseException:
            self._abandon()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()

    def _abandon(self) -> None:
        """Let go of a file nobody will keep, while it can still be written to: else the library complains when it is collected."""
        with contextlib.suppress(Exception):
            self._settle()
        with contextlib.suppress(Exception):
            self._writer.close()
        self._writer.is_open = False

    def _gather(self) -> None:
        """Make a table of the rows."""
        if self._waiting:
            columns = zip(*self._waiting, strict=True)
            arrays = [pa.array(column, type=field.type) for column, field in zip(columns, self.schema, strict=True)]
            self._waiting = []
            self._add(pa.Table.from_arrays(arrays, schema=self.schema))

    def _add(self, table: pa.Table) -> None:
        self._tables.append(table)
        self._gathered += table.num_rows
        if self._gathered >= _GROUP or self._size >= _BYTES:
            self._hand_over()

    def _hand_over(self) -> None:
        """Let whole row groups be written; what is left of the last waits on."""
        whole = pa.concat_tables(self._tables)
        size = self._gathered - (self._gathered % _GROUP if self._size < _BYTES else 0)
        self._tables, self._gathered, self._size = [whole.slice(size)], self._gathered - size, 0
        if self._under_way is not None:
            self._under_way.result()
        self._thread = self._thread or ThreadPoolExecutor(1)
        self._under_way = self._thread.submit(self._write, [whole.slice(0, size)])

    def _write(self, tables: list[pa.Table]) -> None:
        whole = pa.concat_tables(tables) if tables else self.schema.empty_table()
        tables.clear()
        while whole.num_rows:
            group, whole = whole.slice(0, _GROUP).combine_chunks(), whole.slice(_GROUP)  # chunks would show in the pages
            self._writer.write_table(group)

    def _settle(self) -> None:
        """Wait for what is being written."""
        if self._thread is not None:
            self._thread.shutdown()
        if self._under_way is not None:
            self._under_way.result()


def _leaves(schema: pa.Schema) -> Iterator[tuple[str, str]]:
    """(path of a column in Parquet, its field's name)."""
    for field in schema:
        yield f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name, field.name


def write_table(sink: BinaryIO, table: pa.Table, schema: pa.Schema) -> int:
    """Write a whole table in `schema`; gives the number of rows."""
    with TableWriter(sink, schema) as writer:
        writer.write(table.select(schema.names))
    return int(table.num_rows)


def read_batches(
    path: str, columns: list[str] | None = None, batch_size: int = _BATCH, *, threads: bool = True
) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file, a bounded batch at a time; without `threads` in less memory."""
    with pq.ParquetFile(path, pre_buffer=False) as file:  # what is read ahead would be kept to the end of the file
        yield from file.iter_batches(batch_size=batch_size, columns=columns, use_threads=threads)
