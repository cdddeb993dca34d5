"""The validated readings some whole days at a time: the merge needs no more at once, however many years there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from datetime import date
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from config.stage import File
from config.tables import READINGS, read_batches
from processing.readings import WORDS, gathered, is_word, numbers

READINGS_AT_ONCE = 100_000
"""About as many as a source with a value each minute tells in ten weeks; a single day is never parted."""

_EPOCH = date(1970, 1, 1)
_ANY = -(1 << 31), (1 << 31) - 1


class _Open(NamedTuple):
    """A file of readings, and the first and last day of each of its row groups."""

    file: pq.ParquetFile
    spans: list[tuple[int, int]]


def windows(files: Mapping[str, Collection[File]], metrics: Mapping[str, Collection[str]]) -> Iterator[dict[str, pa.Table]]:
    """The readings of each kind's metrics in the order of `processing.readings.load`, for one run of local days after another.

    All kinds of one run tell of the same days; every day is in just one run. Without any reading there is one run without rows.
    """
    runs = _runs([file for kind in files.values() for file in kind])
    with ExitStack() as stack:
        opened = {kind: [_opened(file, stack) for file in of_kind] for kind, of_kind in files.items()}
        for first, last in runs:
            yield {
                kind: gathered(part for file in of_kind for part in _parts(file, metrics[kind], first, last))
                for kind, of_kind in opened.items()
            }


def _runs(files: Collection[File]) -> list[tuple[int, int]]:
    """First and last day of each run."""
    found: Counter[int] = Counter()
    for file in files:
        for batch in read_batches(file.path, ["local_date"], threads=False):
            told, times = np.unique(batch.column(0).cast(pa.int32()).to_numpy(), return_counts=True)
            found.update(dict(zip(told.tolist(), times.tolist(), strict=True)))
    days = sorted(found)
    runs: list[tuple[int, int]] = []
    first = waiting = 0
    for at, day in enumerate(days):
        waiting += found[day]
        if waiting >= READINGS_AT_ONCE or at + 1 == len(days):
            runs.append((days[first], day))
            first, waiting = at + 1, 0
    return runs or [(0, 0)]


def _opened(file: File, stack: ExitStack) -> _Open:
    parquet = stack.enter_context(pq.ParquetFile(file.path, read_dictionary=list(WORDS), pre_buffer=False))
    return _Open(parquet, [_span(parquet.metadata.row_group(group)) for group in range(parquet.num_row_groups)])


def _span(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """First and last day of a row group, as far as its statistics tell."""
    columns = (group.column(at) for at in range(group.num_columns))
    told = next((column.statistics for column in columns if column.path_in_schema == "local_date"), None)
    return ((told.min - _EPOCH).days, (told.max - _EPOCH).days) if told is not None and told.has_min_max else _ANY


def _parts(opened: _Open, metrics: Collection[str], first: int, last: int) -> Iterator[pa.Table]:
    for group, (begins, ends) in enumerate(opened.spans):
        if ends < first or last < begins:
            continue
        table = opened.file.read_row_group(group, columns=READINGS.names, use_threads=False)
        days = numbers(table, "local_date")
        mask = (days >= first) & (days <= last) & is_word(table, "metric", *metrics)
        if mask.any():
            yield table if mask.all() else table.filter(pa.array(mask))
