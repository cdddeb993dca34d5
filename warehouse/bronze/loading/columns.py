"""Records as COPY text, a column at a time: no Python object per record, memory bounded by one batch.

Of a batch of the records table this room makes the bytes PostgreSQL's COPY reads (text format), sorted by the stage table they
go to. What cannot be sent at all (a NUL, an oversize text, no identity) is set aside with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from config.stage import File
from config.tables import RECORDS
from warehouse.bronze.loading import arrow
from warehouse.bronze.loading.artifacts import FIRST_YEAR, LAST_YEAR
from warehouse.bronze.loading.profiles import PROFILE, STATUSES, Profiles

COLUMNS = "ord, raw_id, stamp, raw, position, record_index, revision, profile, time_text, utc_offset"
"""The stage's columns, in the order they are sent."""

_JSON_CAP = (1 << 28) - 1  # jsonb takes no longer string
_ID_CAP = 2000  # bytes; a b-tree key ends at 2,704 and shares it with hash and date
_BATCH_BYTES, _BATCH_ROWS = 1 << 20, 2048
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))
_FROM = int(np.datetime64(f"{FIRST_YEAR}-01-01", "us").astype(np.int64))
_TO = int(np.datetime64(f"{LAST_YEAR + 1}-01-01", "us").astype(np.int64))
_UNDATED = np.iinfo(np.int64).min
_NULL, _TAB, _NOTHING, _END = arrow.text("\\N"), arrow.text("\t"), arrow.text(""), arrow.text("\n")


class Piece(NamedTuple):
    """Rows for one stage table."""

    month: date | None
    """The month whose table takes them; None for the rest."""
    text: memoryview


class Refused(NamedTuple):
    """A record that cannot be sent."""

    profile: int
    position: str
    record_index: int
    raw: bytes
    reason: str


def pieces(records: File, profiles: Profiles, months: Collection[date]) -> Iterator[Piece | Refused]:
    """All records of a table; those of `months` apart from the rest."""
    first = 0
    there = set(pq.read_schema(records.path).names)
    with pq.ParquetFile(records.path, read_dictionary=[name for name in PROFILE if name in there], pre_buffer=False) as file:
        meta = file.metadata
        size = sum(meta.row_group(n).total_byte_size for n in range(meta.num_row_groups))
        rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES * meta.num_rows // max(1, size)))
        for batch in file.iter_batches(rows, use_threads=False):
            yield from _pieces(_whole(batch), first, profiles, months)
            first += batch.num_rows


def _whole(batch: pa.RecordBatch) -> pa.RecordBatch:
    """With every column of today's records table; one the table is older than is null."""
    for field in RECORDS:
        if field.name not in batch.schema.names:
            batch = batch.append_column(field.name, pa.nulls(batch.num_rows, field.type))
    return batch


def _pieces(batch: pa.RecordBatch, first: int, profiles: Profiles, months: Collection[date]) -> Iterator[Piece | Refused]:
    ordinals = arrow.int64(np.arange(first, first + batch.num_rows))
    reasons = _unsendable(batch)
    if reasons is not None:
        yield from _refused(batch.filter(pc.is_valid(reasons)), reasons.drop_null(), profiles)
        batch, ordinals = batch.filter(pc.is_null(reasons)), ordinals.filter(pc.is_null(reasons))
    if not batch.num_rows:
        return
    micros = arrow.numbers(batch["source_timestamp"].cast(pa.int64()).fill_null(arrow.number(_UNDATED)))
    outside = (micros != _UNDATED) & ((micros < _FROM) | (micros >= _TO))
    stamps = batch["source_timestamp"].cast(pa.timestamp("us"))
    if outside.any():
        stamps = pc.if_else(arrow.boolean(outside), None, stamps)
        micros = np.where(outside, _UNDATED, micros)
    lines = _lines(
        _number(ordinals),
        _escaped(batch["raw_id"]),
        stamps.cast(pa.string()),
        _escaped(batch["raw"]),
        _escaped(_without_nul(batch["position"])),
        _number(batch["record_index"]),
        _number(batch["revision"]),
        _number(profiles.numbers(batch, outside)),
        _escaped(_without_nul(batch["time_text"])),
        _number(batch["utc_offset"]),
    )
    yield from _sorted_by_month(lines, micros, months)


def _sorted_by_month(lines: pa.Array, micros: Any, months: Collection[date]) -> Iterator[Piece]:
    if not months:
        yield Piece(None, _text(lines))
        return
    of_row = micros.view("datetime64[us]").astype("datetime64[M]")
    of_row[micros == _UNDATED] = np.datetime64("NaT")
    rest = np.zeros(len(lines), dtype=bool)
    for month in np.unique(of_row):
        mask = np.isnat(of_row) if np.isnat(month) else of_row == month
        day = None if np.isnat(month) else month.astype(date)
        if day not in months:
            rest |= mask
        elif mask.all():
            yield Piece(day, _text(lines))
        else:
            yield Piece(day, _text(lines.filter(arrow.boolean(mask))))
    if rest.any():
        yield Piece(None, _text(lines.filter(arrow.boolean(rest))))


def _lines(*columns: pa.Array) -> pa.Array:
    """One line of COPY's text format per record, its end included."""
    filled = [pc.fill_null(column, _NULL) for column in columns]
    return pc.binary_join_element_wise(pc.binary_join_element_wise(*filled, _TAB), _NOTHING, _END)


def _text(lines: pa.Array) -> memoryview:
    """The lines lie one behind the other in memory: they are sent as they lie."""
    _, offsets, data = lines.buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(data)[ends[lines.offset] : ends[lines.offset + len(lines)]]


def _escaped(column: pa.Array) -> pa.Array:
    text = _bytes(column)
    for character, written in _ESCAPES:
        if character.encode() in text:
            column = pc.replace_substring(column, character, written)
    return column


def _without_nul(column: pa.Array) -> pa.Array:
    return pc.replace_substring(column, "\0", "") if b"\0" in _bytes(column) else column


def _number(column: pa.Array) -> pa.Array:
    return column.cast(pa.string())


def _bytes(column: pa.Array) -> bytes:
    """The column's text in one piece; only to look for characters that are rare."""
    _, offsets, data = column.buffers()
    if data is None:
        return b""
    ends = memoryview(offsets).cast("i")
    return bytes(memoryview(data)[ends[column.offset] : ends[column.offset + len(column)]])


def _unsendable(batch: pa.RecordBatch) -> pa.Array | None:
    """Why each record cannot be sent, null for one that can; None when all can."""
    raw_id, raw = batch["raw_id"], batch["raw"]
    sizes, lengths = pc.binary_length(raw_id), pc.binary_length(raw)
    checks: list[tuple[str, bool, Callable[[], Any]]] = [
        ("too_big", pc.max(lengths).as_py() > _JSON_CAP, lambda: pc.greater(lengths, _JSON_CAP)),
        ("json_syntax", b"\0" in _bytes(raw), lambda: pc.match_substring(raw, "\0")),
        ("raw_id_nul", b"\0" in _bytes(raw_id), lambda: pc.match_substring(raw_id, "\0")),
        ("raw_id_too_long", pc.max(sizes).as_py() > _ID_CAP, lambda: pc.greater(sizes, _ID_CAP)),
        ("no_raw_id", pc.min(sizes).as_py() == 0, lambda: pc.equal(sizes, 0)),
    ]
    unknown = set(batch["status"].dictionary.to_pylist()) - STATUSES
    checks.append(
        ("unknown_status", bool(unknown), lambda: pc.invert(pc.is_in(batch["status"].cast(pa.string()), pa.array(STATUSES))))
    )
    reasons = pa.nulls(batch.num_rows, pa.string())
    for reason, any_of_it, where in checks:
        if any_of_it:
            reasons = pc.if_else(where(), reason, reasons)
    return reasons if reasons.null_count < batch.num_rows else None


def _refused(batch: pa.RecordBatch, reasons: pa.Array, profiles: Profiles) -> Iterator[Refused]:
    of_record = profiles.numbers(batch, np.zeros(batch.num_rows, dtype=bool)).to_pylist()
    columns = (batch["position"], batch["record_index"], batch["raw"], reasons)
    rows = zip(of_record, *(column.to_pylist() for column in columns), strict=True)
    for number, position, index, raw, reason in rows:
        yield Refused(number, position.replace("\0", ""), index, raw.encode(), reason)
