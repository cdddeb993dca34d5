"""What one load reads besides the records themselves: dead letters, facts about the raw artifacts, months. Memory stays bounded."""

from __future__ import annotations

import codecs
import os
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from config.stage import File
from config.tables import read_batches

LETTER_CAP = 1 << 20
"""Bytes of a dead letter kept in the database; above it the raw artifact has them."""
FIRST_YEAR, LAST_YEAR = 1900, 2199
"""Years that get partitions of their own."""

Row = tuple[Any, ...]


class Raw(NamedTuple):
    """A raw artifact as the rows name it."""

    name: str
    sha256: str
    size: int | None
    lineage_id: str
    compression: str | None
    encoding: str | None


def lineage_id(file: File) -> str:
    """`records/mi_fitness.parquet@v3`; without a version the name alone."""
    return file.name if file.version is None else f"{file.name}@v{file.version}"


def raw_facts(file: File) -> Raw:
    """What the artifact's own bytes say: how it is compressed, and its text encoding when that is certain."""
    with open(file.path, "rb") as data:
        head = data.read(4)
    packed = {b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}.get(head) or ("gzip" if head[:2] == b"\x1f\x8b" else None)
    encoding = None if packed else _encoding(file.path, head)
    return Raw(file.name, file.sha256, os.path.getsize(file.path), lineage_id(file), packed or "none", encoding)


def months(records: File) -> tuple[dict[date, int], int]:
    """Records per month that needs a partition, and the number of records in all. Reads one column."""
    found: Counter[date] = Counter()
    rows = 0
    for batch in read_batches(records.path, ["source_timestamp"], batch_size=8192, threads=False):
        rows += batch.num_rows
        counts = pc.value_counts(pc.floor_temporal(batch.column(0).cast(pa.timestamp("us")).drop_null(), unit="month"))
        for stamp, count in zip(counts.field(0), counts.field(1).to_pylist(), strict=True):
            year = pc.year(stamp).as_py()
            if FIRST_YEAR <= year <= LAST_YEAR:
                found[stamp.as_py().date()] += count
    return dict(found), rows


def letter_rows(letters: File) -> Iterator[Row]:
    """Ingestion's dead letters, ready to copy."""
    for batch in read_batches(letters.path, batch_size=256):
        for row in batch.to_pylist():
            raw = row["raw"]
            yield (
                row["raw_artifact"],
                row["raw_sha256"],
                row["record_index"],
                row["position"].replace("\0", ""),
                raw if raw is None or len(raw) <= LETTER_CAP else None,
                row["raw_size"],
                row["reason"],
                row["message"].replace("\0", ""),
            )


def _encoding(path: str, head: bytes) -> str | None:
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open(path, "rb") as data:
            while chunk := data.read(1 << 20):
                if b"\0" in chunk:
                    return None
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return "utf-8-sig" if head[:3] == codecs.BOM_UTF8 else "utf-8"
