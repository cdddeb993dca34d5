"""The records a normalizer starts from: of one raw_id only the newest revision counts, invalid ones not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from processing.normalizers.hashes import Int64, UInt64, hashes

Whole = Callable[[pa.Array, Int64], bool]
"""Whether the records of these raw_ids and times (microseconds since 1970, UTC; NO_TIME) can be left out together."""

_READ = ["raw_id", "source_timestamp", "raw", "status"]
_REST = ["raw_artifact", "position", "revision", "errors"]
_COLUMNS = (*_READ, *_REST)
STANDINGS = ("newest", "superseded", "invalid")
_BATCH = 16_384
_HELD = 1 << 21
"""So many hashes are looked at together."""


NO_TIME = int(np.iinfo(np.int64).min)


class Row(NamedTuple):
    """One record as its table says it."""

    raw_id: str
    stamp: int | None
    """When it was measured, microseconds since 1970, UTC."""
    text: str
    """The record as JSON."""
    status: str
    raw_artifact: str
    position: str
    revision: int
    codes: list[str] | None
    """Why it is invalid, or what a person should know of it."""


class Part(NamedTuple):
    """Some records, in columns."""

    batch: pa.RecordBatch
    """Their raw_id, source_timestamp, raw and status."""
    standing: npt.NDArray[np.int8]
    """Of each record: where in STANDINGS its standing is."""
    rest: Callable[[], pa.Table]
    """Reads the other columns of a Row."""

    @property
    def stamps(self) -> Int64:
        """When they were measured, microseconds since 1970, UTC; NO_TIME for a record that does not say."""
        return _stamps(self.batch)

    def rows(self, which: Int64) -> Iterator[Row]:
        """Some of them, one by one."""
        if not len(which):
            return iter(())
        taken = [picked(self.batch.column(name), which) for name in _READ]
        taken[1] = taken[1].cast(pa.int64())
        taken += [picked(column.combine_chunks(), which) for column in self.rest().select(_REST).columns]
        read = dict(zip((*_READ, *_REST), taken, strict=True))
        return map(Row._make, zip(*(read[name].to_pylist() for name in _COLUMNS), strict=True))


def picked(column: pa.Array, which: Int64) -> pa.Array:
    """Some rows of a column, in order; the column itself where these are all."""
    return column if len(which) == len(column) else column.take(pa.array(which))


def read_newest(path: str) -> Iterator[tuple[Row, str]]:
    """Every record with its standing: `newest`, `superseded` or `invalid`. Memory holds one batch and what is contested."""
    for part in read_parts(path):
        standings = map(STANDINGS.__getitem__, part.standing.tolist())
        yield from zip(part.rows(np.arange(part.batch.num_rows)), standings, strict=True)


def read_parts(path: str, whole: Whole | None = None) -> Iterator[Part]:
    """The same in columns, a row group at a time. Those of which `whole` says so are not read."""
    with pq.ParquetFile(path, pre_buffer=False) as file:  # what is read ahead would be kept to the end of the file
        groups = [g for g in range(file.num_row_groups) if whole is None or not _is_whole(file, g, whole)]
        old = _superseded(file, groups)
        at = 0
        for group, batch, first in _batches(file, groups, _READ):
            standing = 2 * pc.equal(batch.column("status"), "invalid").to_numpy(zero_copy_only=False).astype(np.int8)
            begin, end = np.searchsorted(old, (at, at + batch.num_rows))
            standing[old[begin:end] - at] = 1
            yield Part(batch, standing, partial(_rest, file, group, first, batch.num_rows))
            at += batch.num_rows


def _batches(file: pq.ParquetFile, groups: list[int], columns: list[str]) -> Iterator[tuple[int, pa.RecordBatch, int]]:
    """(row group, some rows of it, which the first of them is)."""
    for group in groups:
        first = 0
        for batch in file.iter_batches(row_groups=[group], batch_size=_BATCH, columns=columns, use_threads=False):
            yield group, batch, first
            first += batch.num_rows
        pa.default_memory_pool().release_unused()  # else a hundred megabytes are kept for later


def _rest(file: pq.ParquetFile, group: int, first: int, rows: int) -> pa.Table:
    return file.read_row_group(group, columns=_REST, use_threads=False).slice(first, rows)


def _is_whole(file: pq.ParquetFile, group: int, whole: Whole) -> bool:
    batches = file.read_row_group(group, columns=["raw_id", "source_timestamp"], use_threads=False).to_batches()
    return all(whole(batch.column("raw_id"), _stamps(batch)) for batch in batches)


def _stamps(batch: pa.RecordBatch) -> Int64:
    found = batch.column("source_timestamp").cast(pa.int64())
    return np.asarray(pc.fill_null(found, NO_TIME).to_numpy(zero_copy_only=False))


def _superseded(file: pq.ParquetFile, groups: list[int]) -> Int64:
    """Ordinals of the records that a newer revision replaces; a tie is settled by content, never by the order of arrival."""
    best: dict[str, tuple[int, str, int]] = {}
    old: set[int] = set()
    with tempfile.SpooledTemporaryFile(max_size=8 * _HELD) as kept:
        contested = _contested(file, groups, kept)
        kept.seek(0)
        at = 0
        for _, batch, _ in _batches(file, groups, ["raw_id", "status", "revision", "raw"]) if len(contested) else ():
            found = np.frombuffer(kept.read(8 * batch.num_rows), np.uint64)
            mask = np.isin(found, contested) & pc.not_equal(batch.column("status"), "invalid").to_numpy(zero_copy_only=False)
            for index in np.flatnonzero(mask).tolist():
                raw_id, revision, raw = (batch.column(n)[index].as_py() for n in ("raw_id", "revision", "raw"))
                mine = (revision, raw, at + index)
                rival = best.setdefault(raw_id, mine)
                best[raw_id] = max(mine, rival)
                if rival is not mine:
                    old.add(min(mine, rival)[2])
            at += batch.num_rows
    return np.array(sorted(old), dtype=np.int64)


def _contested(file: pq.ParquetFile, groups: list[int], kept: BinaryIO | Any) -> UInt64:
    """The hashes of raw_ids that occur more than once; `kept` is given all of them, in order: eight bytes a record."""
    total = 0
    for _, batch, _ in _batches(file, groups, ["raw_id"]):
        kept.write(hashes(batch.column(0)).tobytes())
        total += batch.num_rows
    shares = total // _HELD + 1
    found = [_repeated(kept, share, shares) for share in range(shares)]
    return np.concatenate(found)


def _repeated(kept: BinaryIO | Any, share: int, shares: int) -> UInt64:
    """Of one share of all hashes those that are there more than once."""
    kept.seek(0)
    parts = [np.empty(0, np.uint64)]
    while block := kept.read(_HELD):
        part = np.frombuffer(block, np.uint64)
        parts.append(part if shares == 1 else part[part % np.uint64(shares) == share])
    found = np.sort(np.concatenate(parts))
    return np.unique(found[1:][found[1:] == found[:-1]])
