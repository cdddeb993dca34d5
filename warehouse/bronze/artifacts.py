"""What one load reads: records, dead letters and facts about the raw artifacts, as rows to copy. Memory stays bounded."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from config.stage import File
from config.tables import read_batches

LETTER_CAP = 1 << 20
"""Bytes of a dead letter kept in the database; above it the raw artifact has them."""
_JSON_CAP = (1 << 28) - 1  # jsonb takes no longer string
_ID_CAP = 2000  # bytes; a b-tree key ends at 2,704 and shares it with hash and date
_BATCH = 4096
_FIRST, _LAST = 1900, 2199  # years that get partitions of their own
_STAMP = "%Y-%m-%d %H:%M:%S"
_STATUSES = frozenset({"valid", "warning", "invalid"})
SEPARATOR = "\x1f"

Row = tuple[Any, ...]


class Raw(NamedTuple):
    """A raw artifact as the rows name it."""

    name: str
    sha256: str
    size: int | None
    lineage_id: str
    compression: str | None
    encoding: str | None


class Raws:
    """Numbers raw artifacts as records mention them."""

    def __init__(self, files: list[File]) -> None:
        self._files = {(f.name, f.sha256): f for f in files}
        self._numbers: dict[tuple[str, str], int] = {}

    def number(self, name: str, sha256: str) -> int:
        """The artifact's number in the stage."""
        return self._numbers.setdefault((name, sha256), len(self._numbers))

    def rows(self) -> Iterator[Row]:
        """One row per artifact mentioned."""
        for (name, sha256), number in self._numbers.items():
            file = self._files.get((name, sha256))
            yield (number, *(raw_facts(file) if file else Raw(name, sha256, None, name, None, None)))


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


def months(records: File) -> tuple[set[date], int]:
    """The months that need a partition, and the number of records. Reads one column."""
    found: set[date] = set()
    rows = 0
    for batch in read_batches(records.path, ["source_timestamp"]):
        rows += batch.num_rows
        stamps = pc.unique(pc.floor_temporal(batch.column(0).drop_null(), unit="month"))
        years = pc.year(stamps)
        inside = pc.and_(pc.greater_equal(years, _FIRST), pc.less_equal(years, _LAST))
        found.update(stamp.date() for stamp in stamps.filter(inside).to_pylist())
    return found, rows


def record_rows(records: File, raws: Raws) -> Iterator[Row]:
    """Rows for the stage. What cannot even be sent (NUL, oversize) goes as bytes with the reason it is refused for."""
    ordinal = 0
    for batch in read_batches(records.path, batch_size=_BATCH):
        columns = [_stamps(c) if pa.types.is_timestamp(c.type) else c.to_pylist() for c in batch.columns]
        fields = dict(zip(batch.schema.names, columns, strict=True))
        for values in zip(*(fields[name] for name in _Record._fields), strict=True):
            yield _record_row(ordinal, raws, _Record._make(values))
            ordinal += 1


class _Record(NamedTuple):
    """One row of the records table, by its column names."""

    raw_id: str
    source_timestamp: str | None
    raw: str
    status: str
    errors: list[str] | None
    raw_artifact: str
    raw_sha256: str
    position: str
    record_index: int
    revision: int


def _record_row(ordinal: int, raws: Raws, record: _Record) -> Row:
    number = raws.number(record.raw_artifact, record.raw_sha256)
    where = (record.position.replace("\0", ""), record.record_index, record.revision)
    refused = _unsendable(record.raw_id, record.raw, record.status)
    if refused is not None:
        data = record.raw.encode()
        kept = data if len(data) <= LETTER_CAP else None
        return (ordinal, number, None, None, None, None, None, *where, None, refused, kept, len(data))
    stamp, fault = record.source_timestamp, None
    if stamp is not None and not _dated(stamp):
        stamp, fault = None, "timestamp_out_of_range"
    codes = SEPARATOR.join(record.errors).replace("\0", "") if record.errors else None
    return (ordinal, number, record.raw_id, stamp, record.raw, record.status, codes, *where, fault, None, None, None)


def _unsendable(raw_id: str, raw: str, status: str) -> str | None:
    if not raw_id:
        return "no_raw_id"
    if len(raw_id) * 4 > _ID_CAP and len(raw_id.encode()) > _ID_CAP:
        return "raw_id_too_long"
    if "\0" in raw_id:
        return "raw_id_nul"
    if "\0" in raw:
        return "json_syntax"
    if len(raw) > _JSON_CAP // 4 and len(raw.encode()) > _JSON_CAP:
        return "too_big"
    return None if status in _STATUSES else "unknown_status"


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


def _stamps(column: pa.Array) -> list[str | None]:
    stamps: list[str | None] = pc.strftime(column, format=_STAMP).to_pylist()
    return stamps


def _dated(stamp: str) -> bool:
    year = stamp.partition("-")[0]
    return year.isdigit() and _FIRST <= int(year) <= _LAST


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
