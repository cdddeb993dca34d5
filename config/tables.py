"""The layout of the Parquet tables that travel between the rooms, and the one writer that makes equal rows equal bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
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


class TableWriter:
    """Writes rows of one layout to an open file in batches; memory stays bounded by one batch."""

    def __init__(self, sink: BinaryIO, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self._waiting: list[tuple[Any, ...]] = []
        self._writer = pq.ParquetWriter(sink, schema, compression="zstd", version="2.6", write_statistics=True)

    def append(self, row: Iterable[Any]) -> None:
        """One row, in the schema's column order."""
        self._waiting.append(tuple(row))
        self.rows += 1
        if len(self._waiting) >= _BATCH:
            self._flush()

    def write(self, table: pa.Table) -> None:
        """A whole table of this layout."""
        self._flush()
        self.rows += table.num_rows
        self._writer.write_table(table.cast(self.schema), row_group_size=_BATCH)

    def close(self) -> None:
        """Write what is left and the footer."""
        try:
            self._flush()
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
            self._writer.close()
        self._writer.is_open = False

    def _flush(self) -> None:
        if self._waiting:
            columns = zip(*self._waiting, strict=True)
            arrays = [pa.array(column, type=field.type) for column, field in zip(columns, self.schema, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema), row_group_size=_BATCH)
            self._waiting = []


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
