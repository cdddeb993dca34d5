"""What the records of each month are, in one line a month: what tells a later step which months of a re-export are as they were.

A month's digest is the sum of its records' digests, so it does not depend on their order. A record's is of what makes it: not of where it
stood, nor of its revision and what else a vendor writes anew with every export without meaning anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from config.tables import MONTHS, write_table
from ingestion.blocks import Int64, mixed
from ingestion.records import Standing

_BATCH = 8_192
_NEVER = np.iinfo(np.int64).min
_SECOND = 1_000_000


class Months:
    """Counts records by the month they were measured in, UTC; those without a time are a month of their own."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._sums: dict[int, npt.NDArray[np.uint64]] = {}
        self._codes: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
        self._waiting: list[tuple[float, bytes, int]] = []

    def one(self, stamp: datetime | None, mark: bytes, standing: Standing) -> None:
        """Count a record. `mark`: 16 bytes, a digest of what makes it."""
        self._waiting.append((np.nan if stamp is None else stamp.timestamp(), mark, self._code(standing)))
        if len(self._waiting) >= _BATCH:
            self._flush()

    def many(self, stamps: Int64, contents: Int64, of: Int64, standings: Sequence[Standing]) -> None:
        """Count the records of a block. `contents`: see `ingestion.blocks.Block`; `of`: which of the standings each has."""
        codes = np.array([self._code(standing) for standing in standings], np.int64)[of]
        self._add(stamps, mixed(contents, stamps, codes), mixed(codes, stamps, contents))

    def write(self, sink: BinaryIO) -> int:
        """Write a table of `config.tables.MONTHS`; gives its rows."""
        self._flush()
        months = sorted(self._rows)
        names = [None if month == _NEVER else str(np.datetime64(month, "M")) for month in months]
        rows, digests = [self._rows[month] for month in months], [self._sums[month].astype("<u8").tobytes() for month in months]
        return write_table(sink, pa.table([names, rows, digests], schema=MONTHS), MONTHS)

    def _code(self, standing: Standing) -> int:
        """A number for what is made of a record."""
        key = standing.errors, standing.warnings
        code = self._codes.get(key)
        if code is None:
            digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
            code = self._codes[key] = int.from_bytes(digest, "little", signed=True)
        return code

    def _flush(self) -> None:
        if self._waiting:
            seconds, marks, codes = zip(*self._waiting, strict=True)
            self._waiting = []
            exact = np.array(seconds)
            lanes = np.frombuffer(b"".join(marks), "<i8").reshape(-1, 2)
            stamps = np.where(np.isnan(exact), _NEVER, np.rint(np.nan_to_num(exact) * _SECOND).astype(np.int64))
            of = np.array(codes, np.int64)
            self._add(stamps, mixed(lanes[:, 0], stamps, of), mixed(lanes[:, 1], stamps, of))

    def _add(self, stamps: Int64, *lanes: Int64) -> None:
        of_month = stamps.view("datetime64[us]").astype("datetime64[M]").view(np.int64)  # _NEVER is no time and no month, either
        months, of, rows = np.unique(of_month, return_inverse=True, return_counts=True)
        sums = np.zeros((len(months), 2), np.uint64)
        np.add.at(sums, of, np.stack(lanes, axis=1).view(np.uint64))
        for month, n, digest in zip(months.tolist(), rows.tolist(), sums, strict=True):
            self._rows[month] = self._rows.get(month, 0) + n
            self._sums[month] = self._sums.get(month, np.zeros(2, np.uint64)) + digest
