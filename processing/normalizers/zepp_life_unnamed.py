"""Loose files beside a whole export: rows without an account that the person's own account tells, too, are told twice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc

from config.tables import read_batches
from processing.normalizers.owners import Record

_UNNAMED = "//"
"""Where the account stands in a raw_id, when there is none."""


def told_by_account(records: str, own: Callable[[Record], bool]) -> Callable[[str], bool]:
    """Tells of a raw_id without an account whether one of the person's accounts has the same row. Memory: eight bytes a row of those."""
    loose = sum(pc.sum(pc.match_substring(batch.column(0), _UNNAMED)).as_py() or 0 for batch in read_batches(records, ["raw_id"]))
    if not loose:
        return lambda raw_id: False  # noqa: ARG005  everything has its account
    known: dict[str, bool] = {}
    parts = [np.empty(0, dtype=np.int64)]
    for batch in read_batches(records, ["raw_id"]):
        found = []
        for raw_id in batch.column(0).to_pylist():
            table, account, label = raw_id.split("/", 2)
            if account and known.setdefault(account, own({"account": account})):
                found.append(hash((table, label)))
        parts.append(np.array(found, dtype=np.int64))
    named = np.unique(np.concatenate(parts))

    def told(raw_id: str) -> bool:
        table, account, label = raw_id.split("/", 2)
        if account or not len(named):
            return False
        place = np.searchsorted(named, hash((table, label)))
        return bool(place < len(named) and named[place] == hash((table, label)))

    return told
