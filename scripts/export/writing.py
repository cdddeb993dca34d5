"""Tables, text and JSON as bytes of a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from processing.aggregators.spreadsheet import cell

_AT_ONCE = 2048
"""Rows of text in memory."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def as_csv(file: BinaryIO, batches: Iterable[pa.RecordBatch]) -> int:
    """UTF-8, ISO dates and times, dot decimals, lists with `;`, text that is never taken for a formula. Gives the rows."""
    rows = 0
    for batch in batches:
        for at in range(0, batch.num_rows, _AT_ONCE):
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            if not rows:
                writer.writerow(batch.schema.names)
            part = batch.slice(at, _AT_ONCE)
            for row in zip(*(column.to_pylist() for column in part.columns), strict=True):
                writer.writerow([_cell(value) for value in row])
            file.write(text.getvalue().encode())
            rows += part.num_rows
    return rows


def as_parquet(file: BinaryIO, batches: Iterable[pa.RecordBatch]) -> int:
    """Rows as they are. Gives how many."""
    rows, writer = 0, None
    for batch in batches:
        if writer is None:
            writer = pq.ParquetWriter(file, batch.schema, compression="zstd", version="2.6")
        writer.write_batch(batch)
        rows += batch.num_rows
    if writer:
        writer.close()
    return rows


def as_lines(file: BinaryIO, objects: Iterable[Any]) -> int:
    """One JSON object per line. Gives how many."""
    count = 0
    for count, found in enumerate(objects, 1):  # noqa: B007
        file.write(f"{_ENCODER.encode(found)}\n".encode())
    return count


def as_transaction(file: BinaryIO, entries: Iterator[Any]) -> int:
    """A FHIR transaction Bundle, entry by entry. Gives how many."""
    count = 0
    file.write(b'{"resourceType":"Bundle","type":"transaction","entry":[\n')
    for count, found in enumerate(entries, 1):
        file.write((",\n" if count > 1 else "").encode() + _ENCODER.encode(found).encode())
    file.write(b"\n]}\n")
    return count


def as_document(file: BinaryIO, found: Any) -> None:
    """One JSON object for people to read."""
    file.write((json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode())


def copied(file: BinaryIO, path: str) -> None:
    """The bytes of another file."""
    with open(path, "rb") as source:
        while block := source.read(1 << 20):
            file.write(block)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return cell(";".join(map(str, value)))
    if isinstance(value, bytes):
        return cell(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, datetime):
        return value.isoformat()
    return cell(value)
