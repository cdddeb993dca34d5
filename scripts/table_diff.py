"""Two files compared: tables by key and cell, text by line, anything else by its bytes. Counts and keys; values only when asked for.

Each cell becomes a digest, a row is its cells' digests, and rows are matched by their key's. The rows are taken in parts by key, so many
passes that a part's digests fit in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scripts.digests import Digests, digests, mixed, paired
from scripts.table_files import Table, rows_at, table, text_lines

_PART = 4_000_000
"""Cells per part and version: 8 bytes each, a few times over while they are sorted."""
_VALUES = 20


class _Kind(NamedTuple):
    """A kind of table we make, known by its columns."""

    columns: tuple[str, ...]
    """All of these tell it."""
    key: tuple[str, ...]
    """What makes a row the same row in two versions."""
    label: tuple[str, ...]
    """What names a row to a person without a measured value."""


_READING = ("metric", "start", "end", "source", "raw_id", "device", "scope")
_SPAN = ("protocol", "start", "end")
_KINDS = {
    "records": _Kind(("raw_id", "raw_sha256", "position", "revision"), ("raw_id", "revision"), ("raw_artifact", "position")),
    "choices": _Kind((*_READING, "fate"), (*_READING, "fate", "part"), ("local_date", "metric", "source")),
    "refused readings": _Kind((*_READING, "reason"), (*_READING, "reason"), ("start", "metric", "source")),
    "readings": _Kind(_READING, _READING, ("start", "metric", "source")),
    "refused records": _Kind(("raw_id", "reason", "position"), ("raw_id", "reason", "field"), ("raw_artifact", "position")),
    "dead letters": _Kind(("record_index", "raw_sha256"), ("raw_sha256", "record_index"), ("raw_artifact", "position")),
    "home blood pressure averages": _Kind(_SPAN, _SPAN, _SPAN),
    "daily table": _Kind(("date",), ("date",), ("date",)),
}
"""The first whose columns are all there is the one."""


class _Part(NamedTuple):
    """Some of a table's rows: where they lie, the digests of their key and of each compared cell."""

    place: npt.NDArray[np.int64]
    key: Digests
    cells: Digests


def compare(a: str, b: str, keys: int, values: bool) -> dict[str, Any]:
    """How two files differ; at most `keys` keys of each kind of difference, at most 20 changed values when they are asked for."""
    one, two = table(a), table(b)
    if one is not None and two is not None:
        return _compare_tables(one, two, keys, values)
    return _compare_text(a, b)


def _compare_tables(a: Table, b: Table, keys: int, values: bool) -> dict[str, Any]:
    types_a, types_b = ({f.name: f.type for f in t.schema} for t in (a, b))
    common = [name for name in types_a if name in types_b]
    key, label = _key(common)
    kinds = {name: _common_type(types_a[name], types_b[name]) for name in common}
    counts = {"a": a.rows, "b": b.rows, "added": 0, "removed": 0, "changed": 0}
    cells = dict.fromkeys(common, 0)
    places: dict[str, list[tuple[int, int]]] = {"added": [], "removed": [], "changed": []}
    where: list[tuple[int, int, str]] = []
    parts = max(1, -(-max(a.rows, b.rows) * max(len(common), 1) // _PART))
    for number in range(parts):
        part_a, part_b = (_read(t, common, key or common, kinds, number, parts) for t in (a, b))
        changed, removed, added = _match(part_a, part_b)
        if not key:  # without a key nothing tells that two different rows are the same one
            removed, added = np.concatenate([removed, changed[0]]), np.concatenate([added, changed[1]])
            changed = changed[0][:0], changed[1][:0]
        differs = part_a.cells[changed[0]] != part_b.cells[changed[1]]
        for column, name in enumerate(common):
            cells[name] += int(differs[:, column].sum())
        counts["changed"] += len(changed[0])
        counts["removed"] += len(removed)
        counts["added"] += len(added)
        _note(places["removed"], part_a.place[removed], part_a.place[removed], keys)
        _note(places["added"], part_b.place[added], part_b.place[added], keys)
        _note(places["changed"], part_a.place[changed[0]], part_b.place[changed[1]], keys)
        if values:
            for row, column in np.argwhere(differs)[: _VALUES - len(where)]:
                where.append((int(part_a.place[changed[0][row]]), int(part_b.place[changed[1][row]]), common[column]))
    return {
        "kind": "table",
        "key": list(key),
        "rows": counts,
        "columns": {
            "added": [n for n in types_b if n not in types_a],
            "removed": [n for n in types_a if n not in types_b],
            "retyped": [{"name": n, "a": str(types_a[n]), "b": str(types_b[n])} for n in common if types_a[n] != types_b[n]],
        },
        "cells": {name: n for name, n in cells.items() if n},
        "keys": _labels(a, b, label, places) if label else {},
    } | ({"values": _values(a, b, label, where)} if values else {})


def _key(columns: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(key, label) of the kind of table that has these columns; empty for one that is not known."""
    for kind in _KINDS.values():
        if set(kind.columns) <= set(columns):
            return tuple(k for k in kind.key if k in columns), tuple(k for k in kind.label if k in columns)
    return (), ()


def _common_type(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """The type two versions of a column are compared in: their own, a number, else text."""
    if a == b:
        return a
    numbers = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in (a, b))
    return pa.float64() if numbers else pa.string()


def _read(table: Table, columns: list[str], key: Sequence[str], kinds: dict[str, pa.DataType], part: int, parts: int) -> _Part:
    """One part of a table's rows, as digests."""
    place, keys, cells = [], [], []
    start = 0
    for batch in table.batches(columns):
        by_key = mixed([digests(batch.column(name), kinds[name]) for name in key], batch.num_rows)
        mine = np.flatnonzero(by_key % np.uint64(parts) == part)
        if len(mine):
            chosen = batch if len(mine) == batch.num_rows else batch.take(pa.array(mine))
            place.append(mine + start)
            keys.append(by_key[mine])
            cells.append(np.column_stack([digests(chosen.column(name), kinds[name]) for name in columns]))
        start += batch.num_rows
    if not place:
        return _Part(np.empty(0, np.int64), np.empty(0, np.uint64), np.empty((0, len(columns)), np.uint64))
    return _Part(np.concatenate(place), np.concatenate(keys), np.concatenate(cells))


def _match(a: _Part, b: _Part) -> tuple[tuple[Any, Any], Any, Any]:
    """((changed in a, in b), removed, added) as row numbers within the parts: equal rows go first, then what has the same key."""
    rows_a, rows_b = (mixed([p.key, *p.cells.T], len(p.key)) for p in (a, b))
    same_a, same_b = paired(rows_a, rows_b)
    left_a, left_b = np.delete(np.arange(len(rows_a)), same_a), np.delete(np.arange(len(rows_b)), same_b)
    pair_a, pair_b = paired(a.key[left_a], b.key[left_b])
    order = np.argsort(left_a[pair_a])
    changed = left_a[pair_a][order], left_b[pair_b][order]
    return changed, np.delete(left_a, pair_a), np.delete(left_b, pair_b)


def _note(places: list[tuple[int, int]], in_a: Any, in_b: Any, most: int) -> None:
    room = most - len(places)
    places += [(int(x), int(y)) for x, y in zip(in_a[:room], in_b[:room], strict=True)]


def _labels(
    a: Table, b: Table, label: Sequence[str], places: dict[str, list[tuple[int, int]]]
) -> dict[str, list[dict[str, str]]]:
    """The label of each noted row, in the order of the file."""
    rows_a = rows_at(a, label, {x for what in ("removed", "changed") for x, _ in places[what]})
    rows_b = rows_at(b, label, {x for x, _ in places["added"]})
    return {
        what: [dict(zip(label, (rows_b if what == "added" else rows_a)[x], strict=True)) for x, _ in sorted(places[what])]
        for what in places
    }


def _values(a: Table, b: Table, label: Sequence[str], where: list[tuple[int, int, str]]) -> list[dict[str, Any]]:
    columns = list(dict.fromkeys([*label, *(name for *_, name in where)]))
    rows_a, rows_b = (rows_at(t, columns, {place[n] for place in where}) for n, t in enumerate((a, b)))
    found = []
    for in_a, in_b, name in where:
        old, new = dict(zip(columns, rows_a[in_a], strict=True)), dict(zip(columns, rows_b[in_b], strict=True))
        found.append({"key": {k: old[k] for k in label}, "column": name, "a": old[name], "b": new[name]})
    return found


def _compare_text(a: str, b: str) -> dict[str, Any]:
    """Lines as a bag; only bytes when one of the two is no UTF-8 text."""
    one, two = text_lines(a), text_lines(b)
    if one is None or two is None:
        return {"kind": "bytes"}
    in_a, _ = paired(one, two)
    return {
        "kind": "text",
        "lines": {"a": len(one), "b": len(two), "added": len(two) - len(in_a), "removed": len(one) - len(in_a)},
    }
