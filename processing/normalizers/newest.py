"""The records a normalizer starts from: of one raw_id only the newest revision counts, invalid ones not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from config.tables import read_batches

_COLUMNS = ["raw_id", "source_timestamp", "raw", "status", "raw_artifact", "position", "revision", "errors"]


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


def read_newest(path: str) -> Iterator[tuple[Row, str]]:
    """Every record with its standing: `newest`, `superseded` or `invalid`. Memory holds one batch and what is contested."""
    old = _superseded(path)
    for ordinal, row in enumerate(_rows(path)):
        yield row, "invalid" if row.status == "invalid" else "superseded" if ordinal in old else "newest"


def _rows(path: str) -> Iterator[Row]:
    for batch in read_batches(path, _COLUMNS):
        stamps = batch.column("source_timestamp").cast(pa.int64())
        columns = [stamps if name == "source_timestamp" else batch.column(name) for name in _COLUMNS]
        yield from map(Row._make, zip(*(c.to_pylist() for c in columns), strict=True))


def _superseded(path: str) -> set[int]:
    """Ordinals of the records that a newer revision replaces; a tie is settled by content, never by the order of arrival."""
    hashes, contested = _contested(path)
    best: dict[str, tuple[int, str, int]] = {}
    old: set[int] = set()
    at = 0
    for batch in read_batches(path, ["raw_id", "status", "revision", "raw"]) if len(contested) else ():
        mask = np.isin(hashes[at : at + batch.num_rows], contested) & pc.not_equal(batch.column("status"), "invalid").to_numpy(
            False
        )
        for index in np.flatnonzero(mask).tolist():
            raw_id, revision, raw = (batch.column(n)[index].as_py() for n in ("raw_id", "revision", "raw"))
            mine = (revision, raw, at + index)
            rival = best.setdefault(raw_id, mine)
            best[raw_id] = max(mine, rival)
            if rival is not mine:
                old.add(min(mine, rival)[2])
        at += batch.num_rows
    return old


def _contested(path: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Every raw_id's hash, and the hashes that occur more than once: eight bytes a record instead of its name."""
    parts = [np.array([hash(i) for i in b.column(0).to_pylist()], dtype=np.int64) for b in read_batches(path, ["raw_id"])]
    hashes = np.concatenate([np.empty(0, dtype=np.int64), *parts])
    values, counts = np.unique(hashes, return_counts=True)
    return hashes, values[counts > 1]
