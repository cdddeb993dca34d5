"""Builds the two tables every normalizer writes: readings and rejected records, column by column, in one order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from config.metrics import METRICS
from config.stage import Finding, Outputs, Report
from config.tables import READINGS, REJECTED_RECORDS, TableWriter
from processing.normalizers.newest import Row

_BATCH = 32_768
_SCOPES = ("day", "instant", "interval", "session")
_NAMES = tuple(sorted(METRICS))
_CODE = {name: code for code, name in enumerate(_NAMES)}
_SCOPE_CODE = {name: code for code, name in enumerate(_SCOPES)}
_FIELDS = (
    ("metric", pa.int8()),
    ("value", pa.float64()),
    ("start", pa.int64()),
    ("end", pa.int64()),
    ("utc_offset", pa.int32()),
    ("local_date", pa.int32()),
    ("scope", pa.int8()),
    ("device", pa.int32()),
    ("raw_id", pa.string()),
    ("flags", pa.list_(pa.string())),
)
_BUILT = pa.schema(_FIELDS)


class When(NamedTuple):
    """The time of a reading."""

    start: int
    """Microseconds since 1970, UTC."""
    end: int
    offset: int
    """Seconds east of UTC at `start`."""
    day: int
    """The local day it counts for, days since 1970."""


class Normalized:
    """Collects readings, rejections and fates of one normalizer's run; memory holds codes instead of repeated words."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.fates: Counter[str] = Counter()
        self._columns: list[list[Any]] = [[] for _ in _FIELDS]
        self._batches: list[pa.RecordBatch] = []
        self._devices: dict[str, int] = {}
        self._rejected: list[tuple[str, str, str | None, str, str, str]] = []
        self._parts: Counter[str] = Counter()

    def add(
        self, metric: str, value: float, when: When, *, scope: str, device: str, raw_id: str, flags: Sequence[str] = ()
    ) -> None:
        """One reading. `device`: its id, '' if the record names none."""
        code = self._devices.setdefault(device, len(self._devices))
        row = (_CODE[metric], value, *when, _SCOPE_CODE[scope], code, raw_id, flags)
        for column, cell in zip(self._columns, row, strict=True):
            column.append(cell)
        if len(self._columns[0]) >= _BATCH:
            self._flush()

    def reject(self, row: Row, reason: str, field: str | None = None) -> None:
        """A record, or one field of it, that gives no reading; its fate is counted apart."""
        self._rejected.append((row.raw_id, reason, field, self.source, row.raw_artifact, row.position))
        self._parts[reason] += 1

    def drop(self, row: Row, reason: str, field: str | None = None) -> None:
        """A record that gives no reading at all, for one reason: listed and counted."""
        self.reject(row, reason, field)
        self.fates[f"rejected:{reason}"] += 1

    def pass_over(self, row: Row, reason: str, why: str = "invalid_record") -> None:
        """A record listed with its reason that nobody need hear of: refused already when it was made, or (`why`) told by another."""
        self._rejected.append((row.raw_id, reason, None, self.source, row.raw_artifact, row.position))
        self.fates[f"unused:{why}"] += 1

    def write(self, outputs: Outputs, labels: Mapping[str, str] | None = None, findings: Sequence[Finding] = ()) -> Report:
        """Write roles `readings` and `rejected` and report. `labels`: device id → what a person calls it."""
        self._flush()
        table = pa.Table.from_batches(self._batches, _BUILT).combine_chunks()
        self._batches = []
        devices = [(labels or {}).get(d, d) or None for d in self._devices]
        with outputs.open("readings") as sink, TableWriter(sink, READINGS) as readings:
            order = _order(table, devices)
            for at in range(0, table.num_rows, _BATCH):
                readings.write(self._spelled(table.take(order.slice(at, _BATCH)), devices))
        with outputs.open("rejected") as sink, TableWriter(sink, REJECTED_RECORDS) as rejected:
            for row in sorted(self._rejected, key=_rejection_order):
                rejected.append(row)
        fates = dict(sorted(self.fates.items()))
        whole = Counter({fate.removeprefix("rejected:"): n for fate, n in fates.items() if fate.startswith("rejected:")})
        return {
            "rows": {"readings": readings.rows, "rejected": rejected.rows},
            "balance": {"unit": "record", "came": sum(fates.values()), "fates": fates},
            "findings": list(findings),
            "refused": dict(sorted((self._parts - whole).items())),
        }

    def _flush(self) -> None:
        if self._columns[0]:
            arrays = [pa.array(c, type=t) for c, (_, t) in zip(self._columns, _FIELDS, strict=True)]
            self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=_BUILT))
            self._columns = [[] for _ in _FIELDS]

    def _spelled(self, part: pa.Table, devices: list[str | None]) -> pa.Table:
        units = pa.array([METRICS[name].unit for name in _NAMES])
        words = {
            "metric": pa.array(_NAMES).take(part["metric"].combine_chunks()),
            "unit": units.take(part["metric"].combine_chunks()),
            "scope": pa.array(_SCOPES).take(part["scope"].combine_chunks()),
            "device": pa.array(devices, pa.string()).take(part["device"].combine_chunks()),
            "source": pa.array([self.source]).take(pa.array([0] * part.num_rows, pa.int32())),
        }
        return pa.Table.from_arrays(
            [words[f.name] if f.name in words else part[f.name].cast(f.type) for f in READINGS], schema=READINGS
        )


def _order(table: pa.Table, devices: list[str | None]) -> pa.Array:
    """The rows' indices in READINGS_ORDER: codes of metrics and scopes follow the alphabet, devices get a rank that does."""
    known = sorted({d for d in devices if d is not None})
    rank = pa.array([len(known) if d is None else known.index(d) for d in devices], pa.int32())
    ranks = rank.take(table["device"].combine_chunks()) if table.num_rows else pa.array([], pa.int32())
    keys = table.select(["metric", "start", "end", "raw_id", "scope", "value", "utc_offset"]).append_column("rank", ranks)
    order = ("metric", "start", "end", "raw_id", "rank", "scope", "value", "utc_offset")
    return pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in order])


def _rejection_order(row: tuple[str, str, str | None, str, str, str]) -> tuple[str, str, str, str, str]:
    return row[0], row[1], row[2] or "", row[4], row[5]
