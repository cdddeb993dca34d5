"""Readings in order, in bounded memory: what is more than a few hundred thousand waits on disk, cut by metric and by days.

Readings mostly come in order of time, so that a piece of the disk's file is a stretch of one metric and each stretch is read once.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_MOST = 1 << 16
"""Readings that wait in memory."""
_STRETCH = 40
"""2^40 microseconds, 12.7 days: what one piece spans at the most."""
_ORDER = ("metric", "start", "end", "raw_id", "device", "scope", "value", "utc_offset")

Int64 = npt.NDArray[np.int64]


class Sorter:
    """Takes tables of coded readings in any order and gives them sorted. Codes of metrics and scopes follow the alphabet."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._spill: _Spill | None = None

    def add(self, table: pa.Table) -> None:
        """Some readings."""
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= _MOST:
            self._spill = self._spill or _Spill(self._schema)
            self._spill.add(self._held())

    def take(self, rank: pa.Array) -> Iterator[pa.Table]:
        """All of them, once. `rank`: for each device's code its place in the order."""
        if self._spill is None:
            yield _in_order(self._held(), rank)
            return
        self._spill.add(self._held())
        for stretch in self._spill.take():
            yield _in_order(stretch, rank)
            pa.default_memory_pool().release_unused()  # else what several stretches needed is kept

    def _held(self) -> pa.Table:
        table = pa.concat_tables([self._schema.empty_table(), *self._waiting]).combine_chunks()
        self._waiting, self._rows = [], 0
        return table


class _Spill:
    """Pieces of one metric and stretch of time in a file that nobody else sees."""

    def __init__(self, schema: pa.Schema) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as this does
        self._schema = schema
        self._writer: Any = pa.ipc.new_file(self._file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        self._pieces: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        self._written = 0

    def add(self, table: pa.Table) -> None:
        table = _taken(table, _by_time(table))
        metric, stretch = _numbers(table, "metric"), _numbers(table, "start") >> _STRETCH
        edges = np.flatnonzero((np.diff(metric, append=-1) != 0) | (np.diff(stretch, append=0) != 0) | _last(table)) + 1
        first = 0
        for beyond in edges.tolist():
            piece = table.slice(first, beyond - first).combine_chunks().to_batches()[0]
            self._writer.write_batch(piece)
            self._pieces[int(metric[first]), int(stretch[first])].append((self._written, beyond - first))
            self._written += 1
            first = beyond

    def take(self) -> Iterator[pa.Table]:
        """Every metric's readings, one stretch or some short ones together at a time."""
        self._writer.close()
        with self._file, pa.ipc.open_file(self._file) as pieces:
            together: list[int] = []
            metric, rows = -1, 0
            for key in sorted(self._pieces):
                more = sum(n for _, n in self._pieces[key])
                if together and (key[0] != metric or rows + more > _MOST):
                    yield pa.Table.from_batches(map(pieces.get_batch, together), self._schema)
                    together, rows = [], 0
                metric = key[0]
                rows += more
                together += [number for number, _ in self._pieces[key]]
            if together:
                yield pa.Table.from_batches(map(pieces.get_batch, together), self._schema)


def _in_order(table: pa.Table, rank: pa.Array) -> pa.Table:
    """By all of _ORDER; readings of one metric and start are few, only they are compared further."""
    order = _by_time(table)
    metric, start = _numbers(table, "metric")[order], _numbers(table, "start")[order]
    same = (metric[1:] == metric[:-1]) & (start[1:] == start[:-1])
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        some = table.select(_ORDER).take(pa.array(order[tied])).combine_chunks()
        some = some.set_column(some.schema.get_field_index("device"), "device", rank.take(some["device"].combine_chunks()))
        settled = pc.sort_indices(some, sort_keys=[(name, "ascending") for name in _ORDER])
        order[tied] = order[tied][settled.to_numpy()]
    return _taken(table, order)


def _taken(table: pa.Table, order: Int64) -> pa.Table:
    return table if (order[1:] > order[:-1]).all() else table.take(pa.array(order))


def _by_time(table: pa.Table) -> Int64:
    metric, start = _numbers(table, "metric"), _numbers(table, "start")
    further = (metric[1:] > metric[:-1]) | ((metric[1:] == metric[:-1]) & (start[1:] >= start[:-1]))
    return np.arange(len(start)) if further.all() else np.lexsort((start, metric))


def _numbers(table: pa.Table, name: str) -> Int64:
    return np.asarray(table[name].to_numpy())


def _last(table: pa.Table) -> npt.NDArray[np.bool_]:
    last = np.zeros(table.num_rows, np.bool_)
    last[-1:] = True
    return last
