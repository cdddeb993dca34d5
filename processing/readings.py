"""Readings in memory: read a row group at a time, words as dictionary codes, in one order whatever the order of arrival."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from config.stage import File
from config.tables import READINGS, READINGS_ORDER, TableWriter

Array = npt.NDArray[Any]

WORDS = ("metric", "unit", "scope", "device", "source")
"""Columns of few distinct words; kept as dictionary codes, which is what keeps a year of heart-rate samples small."""

WINDOW = 65_536
"""Readings of one table of a stream, about."""

_SLICE = 32_768
_FIRST = np.iinfo(np.int64).min
"""No start comes before: where a metric that is not to be parted is cut."""


def load(files: Iterable[File], metrics: Collection[str]) -> pa.Table:
    """All readings of these metrics, sorted by READINGS_ORDER and then by what is left, so that equal rows give equal tables."""
    return gathered(part for file in files for part in _parts(file.path, metrics))


def gathered(parts: Iterable[pa.Table]) -> pa.Table:
    """Tables of readings, their words as dictionary codes, as one in that order."""
    return _sorted(list(parts))


def stream(
    files: Iterable[File], metrics: Collection[str], whole: Collection[str] = (), rows: int = WINDOW
) -> Iterator[pa.Table]:
    """What `load` gives, as consecutive tables of about `rows` readings; without readings none.

    Readings of one metric and start stay together, and so do all of a metric in `whole`. A row group is read once no other one can
    begin before it: of files that lie in order little more than a table is held, of others more, and the tables are the same.
    """
    order = sorted(metrics)
    wait = rows
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(_opened(file.path)) for file in files]
        places = [(file, group) for file in range(len(opened)) for group in range(opened[file].num_row_groups)]
        bounds = [(_least(opened[file].metadata.row_group(group), order, whole), (file, group)) for file, group in places]
        held: list[_Part] = []
        for least, (file, group) in sorted((least, place) for least, place in bounds if least is not None):
            if sum(len(part.start) for part in held) >= wait:
                held, ready = _parted(held, least)
                if ready:
                    yield _sorted(ready)
                wait = max(rows, 2 * sum(len(part.start) for part in held))  # else files in disorder are looked through too often
            held += _part(opened[file], (file, group), order)
        if held:
            ready = [part.table for part in sorted(held, key=_place)]
            held.clear()
            yield _sorted(ready)


def write(sink: BinaryIO, table: pa.Table, schema: pa.Schema) -> int:
    """Write the table in this layout, words as text again, a slice at a time; gives the number of rows."""
    with TableWriter(sink, schema) as writer:
        append(writer, table)
    return int(table.num_rows)


def append(writer: TableWriter, table: pa.Table) -> None:
    """Write the table's columns of the writer's layout, words as text again, a slice at a time."""
    for offset in range(0, table.num_rows, _SLICE):
        writer.write(table.slice(offset, _SLICE).select(writer.schema.names))


def codes(table: pa.Table, name: str) -> tuple[Array, list[str]]:
    """A word column as (codes, words); a null is -1. Words are in alphabetical order, so codes compare like words."""
    column = table[name].unify_dictionaries().combine_chunks()
    chunk = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    words = chunk.dictionary.to_pylist()
    order = sorted(range(len(words)), key=words.__getitem__)
    rank = np.empty(len(words) + 1, dtype=np.int32)
    rank[order] = np.arange(len(words), dtype=np.int32)
    rank[-1] = -1
    return rank[pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False)], [words[i] for i in order]


def is_word(table: pa.Table, name: str, *wanted: str) -> Array:
    """Which rows hold one of these words."""
    found, words = codes(table, name)
    return np.isin(found, [i for i, word in enumerate(words) if word in wanted])


def numbers(table: pa.Table, name: str) -> Array:
    """A number, time (microseconds since 1970, UTC) or date (days since 1970) column as numbers."""
    column = table[name]
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    return np.asarray(column.to_numpy())


def has_flag(table: pa.Table, flag: str) -> Array:
    """Which rows carry this flag."""
    lists = table["flags"].combine_chunks()
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[pc.list_parent_indices(lists).to_numpy()[np.asarray(pc.equal(pc.list_flatten(lists), flag))]] = True
    return mask


def with_flags(table: pa.Table, flags: Iterable[tuple[str, Array]]) -> pa.Table:
    """The table with each flag appended to the rows of its mask; flags a row had come first."""
    new = [(flag, np.flatnonzero(mask)) for flag, mask in flags]
    if not any(len(rows) for _, rows in new):
        return table
    lists = table["flags"].combine_chunks()
    parents = [pc.list_parent_indices(lists).to_numpy()]
    words: list[Any] = [pc.list_flatten(lists)]
    for flag, rows in new:
        parents.append(rows)
        words.append(pa.array([flag], pa.string()).take(pa.array(np.zeros(len(rows), dtype=np.int32))))
    owner = np.concatenate(parents)
    values = pa.concat_arrays(words).take(pa.array(np.argsort(owner, kind="stable")))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=table.num_rows))])
    rebuilt = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    return table.set_column(table.schema.get_field_index("flags"), READINGS.field("flags"), rebuilt)


class _Part(NamedTuple):
    """The readings of one row group that are still to come."""

    place: tuple[int, int]
    """File and row group."""
    metric: Array
    """Its place in the order."""
    start: Array
    table: pa.Table


def _parts(path: str, metrics: Collection[str]) -> Iterator[pa.Table]:
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            if _least(file.metadata.row_group(group), sorted(metrics), ()) is not None:
                yield from _wanted(file, group, metrics)


def _opened(path: str) -> pq.ParquetFile:
    return pq.ParquetFile(path, read_dictionary=list(WORDS), pre_buffer=False)


def _wanted(file: pq.ParquetFile, group: int, metrics: Collection[str]) -> Iterator[pa.Table]:
    """The group's readings of these metrics, if it has any."""
    table = file.read_row_group(group, columns=READINGS.names, use_threads=False)
    mask = is_word(table, "metric", *metrics)
    if mask.any():
        yield table if mask.all() else table.filter(pa.array(mask))


def _least(group: pq.RowGroupMetaData, metrics: list[str], whole: Collection[str]) -> tuple[int, int] | None:
    """A metric's place and a start no wanted reading of the group comes before, as its statistics tell; None: it holds none."""
    metric, start = (_statistics(group, name) for name in ("metric", "start"))
    if metric is None:
        return -1, _FIRST
    first = next((place for place, name in enumerate(metrics) if metric.min <= name <= metric.max), None)
    if first is None:
        return None
    return first, _FIRST if start is None or metrics[first] in whole else start.min_raw


def _statistics(group: pq.RowGroupMetaData, name: str) -> Any:
    """The statistics of a column; None without a smallest and a largest value."""
    columns = map(group.column, range(group.num_columns))
    found = [column.statistics for column in columns if column.path_in_schema == name and column.is_stats_set]
    return found[0] if found and found[0].has_min_max else None


def _part(file: pq.ParquetFile, place: tuple[int, int], metrics: list[str]) -> Iterator[_Part]:
    for table in _wanted(file, place[1], metrics):
        found, words = codes(table, "metric")
        metric = np.array([metrics.index(word) if word in metrics else -1 for word in words], dtype=np.int16)[found]
        yield _Part(place, metric, numbers(table, "start"), table)


def _place(part: _Part) -> tuple[int, int]:
    return part.place


def _parted(held: list[_Part], least: tuple[int, int]) -> tuple[list[_Part], list[pa.Table]]:
    """(what is not before this metric and start, the tables of what is: in the order `load` reads them)."""
    left: list[_Part] = []
    ready: list[pa.Table] = []
    for part in sorted(held, key=_place):
        before = (part.metric < least[0]) | ((part.metric == least[0]) & (part.start < least[1]))
        if before.all():
            ready.append(part.table)
        elif before.any():
            ready.append(part.table.filter(pa.array(before)))
            left.append(_Part(part.place, part.metric[~before], part.start[~before], part.table.filter(pa.array(~before))))
        else:
            left.append(part)
    return left, ready


def _sorted(parts: list[pa.Table]) -> pa.Table:
    """One table of the parts, which are let go of."""
    table = pa.concat_tables([_dictionary_schema().empty_table(), *parts]).unify_dictionaries().combine_chunks()
    parts.clear()
    order = _order(table)
    in_order = np.array_equal(order.to_numpy(), np.arange(table.num_rows))  # one source's file is: no copy then
    return table if in_order else table.take(order).combine_chunks()


def _dictionary_schema() -> pa.Schema:
    words = pa.dictionary(pa.int32(), pa.string())
    return pa.schema([f.with_type(words) if f.name in WORDS else f for f in READINGS])


def _order(table: pa.Table) -> pa.Array:
    keys: dict[str, Any] = {}
    for name, _ in READINGS_ORDER:
        keys[name] = codes(table, name)[0] if name in WORDS else table[name]
    keys["device"] = np.where(keys["device"] < 0, np.iinfo(np.int32).max, keys["device"])  # null last, as Arrow sorts it
    keys["local_date"] = table["local_date"]
    keys["unit"] = codes(table, "unit")[0]
    keys["flags"] = pc.binary_join(table["flags"], ",")
    return pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
