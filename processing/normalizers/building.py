"""Builds the two tables every normalizer writes: readings and rejected records, column by column, in one order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from config.metrics import METRICS
from config.stage import Finding, Outputs, Report
from config.tables import READINGS, REJECTED_RECORDS, TableWriter
from processing.normalizers.newest import Row, read_newest
from processing.normalizers.sorting import Sorter

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
    ("flags", pa.int32()),
)
_BUILT = pa.schema(_FIELDS)

Int64 = npt.NDArray[np.int64]


class When(NamedTuple):
    """The time of a reading."""

    start: int
    """Microseconds since 1970, UTC."""
    end: int
    offset: int
    """Seconds east of UTC at `start`."""
    day: int
    """The local day it counts for, days since 1970."""


class Kind(NamedTuple):
    """What many readings have in common."""

    metric: str
    scope: str
    device: str
    """Its id, '' if the record names none."""
    flags: tuple[str, ...] = ()


class Many(NamedTuple):
    """Readings in columns; times as in `When`."""

    kinds: Sequence[Kind]
    of: Int64
    """Which of the kinds each is of."""
    values: npt.NDArray[np.float64]
    start: Int64
    end: Int64
    offset: Int64
    day: Int64
    raw_ids: pa.Array


class Normalized:
    """Collects readings, rejections and fates of one normalizer's run; memory holds codes instead of repeated words."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.fates: Counter[str] = Counter()
        self._columns: list[list[Any]] = [[] for _ in _FIELDS]
        self._sorter = Sorter(_BUILT)
        self._devices: dict[str, int] = {}
        self._flags: dict[tuple[str, ...], int] = {}
        self._rejected: list[tuple[str, str, str | None, str, str, str]] = []
        self._parts: Counter[str] = Counter()

    def add(
        self, metric: str, value: float, when: When, *, scope: str, device: str, raw_id: str, flags: Sequence[str] = ()
    ) -> None:
        """One reading. `device`: its id, '' if the record names none."""
        row = (_CODE[metric], value, *when, _SCOPE_CODE[scope], self._device(device), raw_id, self._flagged(tuple(flags)))
        for column, cell in zip(self._columns, row, strict=True):
            column.append(cell)
        if len(self._columns[0]) >= _BATCH:
            self._flush()

    def add_many(self, many: Many) -> None:
        """Many readings at once."""
        self._flush()
        coded = [
            (_CODE[kind.metric], _SCOPE_CODE[kind.scope], self._device(kind.device), self._flagged(kind.flags))
            for kind in many.kinds
        ]
        metric, scope, device, flags = np.array(coded or np.empty((0, 4)), np.int64)[many.of].T
        cells = (metric, many.values, many.start, many.end, many.offset, many.day, scope, device, many.raw_ids, flags)
        arrays = [pa.array(cell, type=type_) for cell, (_, type_) in zip(cells, _FIELDS, strict=True)]
        self._sorter.add(pa.Table.from_arrays(arrays, schema=_BUILT))

    def take_over(self, readings: pa.Table) -> None:
        """Readings of an earlier run, in the layout READINGS; their devices go by what they were called there."""
        self._flush()
        flags = pc.binary_join(readings["flags"], ",").combine_chunks().dictionary_encode()
        lists = [tuple(joined.split(",")) if joined else () for joined in flags.dictionary.to_pylist()]
        numbers = {
            "metric": _codes(readings["metric"], _CODE),
            "scope": _codes(readings["scope"], _SCOPE_CODE),
            "device": pc.fill_null(_codes(readings["device"], self._device), self._device("")),
            "flags": pa.array([self._flagged(words) for words in lists], pa.int32()).take(flags.indices),
        }
        columns = [numbers.get(name, readings[name]).cast(type_) for name, type_ in _FIELDS]
        self._sorter.add(pa.Table.from_arrays(columns, schema=_BUILT))

    @property
    def rejections(self) -> int:
        """Rows of `rejected` so far."""
        return len(self._rejected)

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

    def newest(self, path: str) -> Iterator[Row]:
        """The records of a table that count; the others get their fate."""
        for row, standing in read_newest(path):
            if standing == "newest":
                yield row
            else:
                self.set_aside(row, standing)

    def set_aside(self, row: Row, standing: str) -> None:
        """A record that is `superseded` by a newer revision, or `invalid` since it was made."""
        if standing == "superseded":
            self.fates["superseded"] += 1
        else:
            self.pass_over(row, row.codes[0] if row.codes else "invalid_record")

    def write(self, outputs: Outputs, labels: Mapping[str, str] | None = None, findings: Sequence[Finding] = ()) -> Report:
        """Write roles `readings` and `rejected` and report. `labels`: device id → what a person calls it."""
        self._flush()
        devices = [(labels or {}).get(d, d) or None for d in self._devices]
        with outputs.open("readings") as sink, TableWriter(sink, READINGS) as readings:
            for table in self._sorter.take(_rank(devices)):
                for at in range(0, table.num_rows, _BATCH):
                    part = table.slice(at, _BATCH).combine_chunks()  # chunks would show in the bytes
                    readings.write(self._spelled(part, devices))
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

    def _device(self, device: str) -> int:
        return self._devices.setdefault(device, len(self._devices))

    def _flagged(self, flags: tuple[str, ...]) -> int:
        return self._flags.setdefault(flags, len(self._flags))

    def _flush(self) -> None:
        if self._columns[0]:
            arrays = [pa.array(c, type=t) for c, (_, t) in zip(self._columns, _FIELDS, strict=True)]
            self._sorter.add(pa.Table.from_arrays(arrays, schema=_BUILT))
            self._columns = [[] for _ in _FIELDS]

    def _spelled(self, part: pa.Table, devices: list[str | None]) -> pa.Table:
        units = pa.array([METRICS[name].unit for name in _NAMES])
        words = {
            "metric": pa.array(_NAMES).take(part["metric"].combine_chunks()),
            "unit": units.take(part["metric"].combine_chunks()),
            "scope": pa.array(_SCOPES).take(part["scope"].combine_chunks()),
            "device": pa.array(devices, pa.string()).take(part["device"].combine_chunks()),
            "source": pa.repeat(pa.scalar(self.source), part.num_rows),
            "flags": pa.array(list(self._flags), pa.list_(pa.string())).take(part["flags"].combine_chunks()),
        }
        return pa.Table.from_arrays(
            [words[f.name] if f.name in words else part[f.name].cast(f.type) for f in READINGS], schema=READINGS
        )


def _codes(column: pa.ChunkedArray, code: Mapping[str, int] | Any) -> pa.Array:
    words = column.combine_chunks().dictionary_encode()
    coded = [code(word) if callable(code) else code[word] for word in words.dictionary.to_pylist()]
    return pa.array(coded, pa.int32()).take(words.indices)


def _rank(devices: list[str | None]) -> pa.Array:
    """For each device's code its place in the alphabet of their names, what has none last."""
    place = {name: n for n, name in enumerate(sorted({d for d in devices if d is not None}))}
    return pa.array([len(place) if d is None else place[d] for d in devices], pa.int32())


def _rejection_order(row: tuple[str, str, str | None, str, str, str]) -> tuple[str, str, str, str, str]:
    return row[0], row[1], row[2] or "", row[4], row[5]
