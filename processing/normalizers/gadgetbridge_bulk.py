"""Which of a Gadgetbridge database's records are bulk, and what is noted of them for the next run: the minutes that nights are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from processing.normalizers.building import Int64
from processing.normalizers.bulk import Bool, Told, beginnings
from processing.normalizers.gadgetbridge_minutes import Minutes
from processing.normalizers.newest import Part

_DEVICE = "DEVICE/"
_SEVERAL = frozenset(("DEVICE", "XIAOMI_SLEEP_STAGE_SAMPLE", "XIAOMI_SLEEP_TIME_SAMPLE", "HUAMI_SLEEP_SESSION_SAMPLE"))
_DAYS = frozenset(("XIAOMI_DAILY_SUMMARY_SAMPLE", "HUAMI_HEART_RATE_MAX_SAMPLE"))
"""Their readings begin at midnight, maybe a month before their record."""


class Bulk:
    """`processing.normalizers.bulk.Columnar`; all rows go by the row road."""

    def bulk(self, raw_ids: pa.Array) -> Bool:
        """Records of single samples and minutes."""
        which, tables = beginnings(raw_ids)
        return np.array([table not in _SEVERAL and table not in _DAYS for table in tables], np.bool_)[which]

    def told(self, part: Part, rows: Int64) -> Told:  # noqa: ARG002  every source's has these two
        """Nothing: what is bulk matters for the months that are taken over."""
        none = np.empty(0, np.int64)
        return Told((), none, none, np.empty(0), none, {})


def named_devices(path: str) -> str:
    """What the records say of the devices, by whose names readings go; a text, equal when nothing of it has changed."""
    found: list[dict[str, Any]] = []
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            ids = file.read_row_group(group, columns=["raw_id"], use_threads=False)["raw_id"]
            mask = pc.starts_with(ids, _DEVICE)
            if pc.any(mask, min_count=0).as_py():
                rows = file.read_row_group(group, columns=["raw_id", "revision", "status", "raw"], use_threads=False)
                found += rows.filter(mask).to_pylist()
    found.sort(key=lambda row: (row["raw_id"], row["revision"], row["raw"]))  # the last of a device counts
    return repr([(row["raw_id"], row["status"], row["raw"]) for row in found])


def packed(minutes: Mapping[tuple[str, str], Minutes]) -> dict[str, bytes]:
    """All minutes by month."""
    heads: dict[str, list[tuple[str, str, int]]] = {}
    bodies: dict[str, list[bytes]] = {}
    for (table, device), noted in sorted(minutes.items()):
        for month, body in noted.noted().items():
            heads.setdefault(month, []).append((table, device, len(body)))
            bodies.setdefault(month, []).append(body)
    return {month: b"".join([json.dumps(head).encode(), b"\n", *bodies[month]]) for month, head in heads.items()}


def unpack(notes: bytes, minutes: Mapping[tuple[str, str], Minutes]) -> None:
    """Give a month's minutes back. `minutes` makes what it lacks."""
    head, _, body = notes.partition(b"\n")
    at = 0
    for table, device, length in json.loads(head):
        minutes[table, device].take_over(body[at : at + length])
        at += length
