"""Readings in memory: read a row group at a time, words as dictionary codes, in one order whatever the order of arrival."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, BinaryIO

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

_SLICE = 32_768


def load(files: Iterable[File], metrics: Collection[str]) -> pa.Table:
    """All readings of these metrics, sorted by READINGS_ORDER and then by what is left, so that equal rows give equal tables."""
    parts = [part for file in files for part in _parts(file.path, metrics)]
    table = pa.concat_tables([_dictionary_schema().empty_table(), *parts]).unify_dictionaries().combine_chunks()
    del parts
    order = _order(table)
    in_order = np.array_equal(order.to_numpy(), np.arange(table.num_rows))  # one source's file is: no copy then
    return table if in_order else table.take(order).combine_chunks()


def write(sink: BinaryIO, table: pa.Table, schema: pa.Schema) -> int:
    """Write the table in this layout, words as text again, a slice at a time; gives the number of rows."""
    with TableWriter(sink, schema) as writer:
        for offset in range(0, table.num_rows, _SLICE):
            writer.write(table.slice(offset, _SLICE).select(schema.names))
    return int(table.num_rows)


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


def _parts(path: str, metrics: Collection[str]) -> Iterator[pa.Table]:
    with pq.ParquetFile(path, read_dictionary=list(WORDS)) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=READINGS.names, use_threads=False)
            mask = is_word(table, "metric", *metrics)
            if mask.all():
                yield table
            elif mask.any():
                yield table.filter(pa.array(mask))


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
