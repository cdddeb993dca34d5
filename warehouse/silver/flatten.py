"""One record as rows of typed tables, by the shape all records have: parents before their children, nothing left out.

A row's key is the record's raw_id; an element of an array adds its place: `posts:7#2` is the third one. A name that is not plain is
escaped so that no two are ever alike: a dot within a key as `\\\\.`, a key that is called like a column of ours with `\\\\` before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, deque
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

import pyarrow as pa

from warehouse.silver.shapes import BOOLEAN, DAY, EXACT, FRACTION, ITEM, JSON, TEXT, WHOLE, Path, Shape

KEY, PARENT, INDEX, VALUE = "_key", "_parent", "_index", "_value"
"""Our columns: the row's key, its parent's, its place in the array, and an element that is no object."""

_OURS = frozenset({KEY, PARENT, INDEX, VALUE})
_UTC = pa.timestamp("us", tz="UTC")
_TYPES = {BOOLEAN: pa.bool_(), EXACT: pa.int64(), WHOLE: pa.int64(), FRACTION: pa.float64(), TEXT: pa.string(), DAY: pa.date32()}
_TYPES |= {JSON: pa.string(), "time0": _UTC, "time3": _UTC, "time6": _UTC}
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]", re.ASCII)
_LONGEST_NAME = 120


class Table(NamedTuple):
    """One table: the record itself, or the elements of an array in it."""

    array: list[str]
    """Keys that lead from the parent's row to the array; empty for the record itself."""
    schema: pa.Schema
    """Each field's metadata: `path`, from the table's row, as JSON; `kind`, as in `shapes`."""
    columns: dict[Path, int]
    """Path from the record → place in a row."""
    kinds: list[str]


class Flattener:
    """Takes records of one shape apart."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        by_table: dict[Path | None, list[Path]] = {None: [], **{path: [] for path in sorted(shape.arrays)}}
        for path in sorted(shape.kinds):
            by_table[above(path)].append(path)
        self.tables = {path: _table(path, leaves, shape) for path, leaves in by_table.items()}
        """The array's path → its table; None: the record's own."""

    def rows(self, raw_id: str, record: Any) -> Iterator[tuple[Path | None, list[Any]]]:
        """(table, row) of a record; parents come first, elements in their order."""
        waiting: deque[tuple[Path | None, Path, Any, list[Any]]] = deque([(None, (), record, [raw_id])])
        while waiting:
            name, path, value, own = waiting.popleft()
            table = self.tables[name]
            row = [*own, *[None] * (len(table.schema) - len(own))]
            for array, items in self._fill(table, row, path, value):
                waiting.extend((array, (*array, ITEM), item, [f"{own[0]}#{at}", own[0], at]) for at, item in enumerate(items))
            yield name, row

    def _fill(self, table: Table, row: list[Any], path: Path, value: Any) -> list[tuple[Path, list[Any]]]:
        """Set the cells of a row; gives the arrays that are tables of their own."""
        arrays, waiting = [], [(path, value)]
        while waiting:
            path, value = waiting.pop()
            if value is None or value in ({}, []):
                continue
            if isinstance(value, dict | list) and not self._shape.is_whole(path):
                if isinstance(value, dict):
                    waiting += [((*path, f".{key}"), inner) for key, inner in value.items()]
                else:
                    arrays.append((path, value))
                continue
            place = table.columns[path]
            row[place] = _cell(table.kinds[place], value)
        return arrays


def names(tables: dict[Path | None, Table], root: str) -> dict[Path | None, str]:
    """Table → name of its file, without ending: `posts`, `posts.tags`. Letters of both cases are alike to some file systems."""
    plain = {path: ".".join([_file_name(root), *(_steps(path) if path is not None else [])]) for path in tables}
    seen = Counter(name.casefold() for name in plain.values())
    return {
        path: name if seen[name.casefold()] == 1 and len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}~{_digest(path)}"
        for path, name in plain.items()
    }


def above(path: Path) -> Path | None:
    """The array whose elements hold what lies there; None: the record itself does."""
    inner = next((n for n in reversed(range(len(path))) if path[n] == ITEM), None)
    return None if inner is None else path[:inner]


def _before(path: Path) -> Path:
    """The beginning of a path that leads to the row it lies in."""
    array = above(path)
    return () if array is None else (*array, ITEM)


def described(table: Table) -> list[dict[str, Any]]:
    """The table's columns: name, kind, and the path of keys that leads there; our own have none."""
    return [
        {"name": field.name, "kind": kind, "path": json.loads(field.metadata[b"path"]) if field.metadata else None}
        for field, kind in zip(table.schema, table.kinds, strict=True)
    ]


def column_name(path: Path) -> str:
    """A column's name from the path within its table's row: `user.name`."""
    if not path:
        return VALUE
    name = ".".join(_escaped(step[1:]) for step in path)
    return f"\\{name}" if name in _OURS else name


def _table(path: Path | None, leaves: list[Path], shape: Shape) -> Table:
    own = [pa.field(KEY, pa.string(), nullable=False)]
    if path is not None:
        own += [pa.field(PARENT, pa.string(), nullable=False), pa.field(INDEX, pa.int64(), nullable=False)]
    start = 0 if path is None else len(path) + 1
    fields = [_field(leaf[start:], shape.kinds[leaf]) for leaf in leaves]
    columns = {leaf: len(own) + n for n, leaf in enumerate(leaves)}
    array = [step[1:] for step in path[len(_before(path)) :]] if path else []
    return Table(
        array, pa.schema([*own, *fields]), columns, [TEXT, TEXT, WHOLE][: len(own)] + [shape.kinds[leaf] for leaf in leaves]
    )


def _field(path: Path, kind: str) -> pa.Field:
    return pa.field(column_name(path), _TYPES[kind], metadata={"path": json.dumps([step[1:] for step in path]), "kind": kind})


def _cell(kind: str, value: Any) -> Any:
    if kind == JSON:
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    if kind == FRACTION:
        return float(value)
    if kind == DAY:
        return date.fromisoformat(value)
    return datetime.fromisoformat(value) if kind.startswith("time") else value


def _escaped(key: str) -> str:
    if not key:
        return "\\0"
    plain = key.replace("\\", "\\\\").replace(".", "\\.")
    return plain if plain.isprintable() else "".join(c if c.isprintable() else f"\\u{ord(c):06x}" for c in plain)


def _steps(path: Path) -> list[str]:
    """An array in an array has no key: `-`; the elements between an array and a key in them go without saying."""
    inner = [
        "-" if step == ITEM else _file_name(step[1:])
        for step, after in zip(path, (*path[1:], ITEM), strict=True)
        if step != ITEM or after == ITEM
    ]
    return inner or ["-"]


def _file_name(text: str) -> str:
    safe = "".join(
        c if _PLAIN_NAME.fullmatch(c) else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogatepass")) for c in text
    )
    return safe or "%00"


def _digest(path: Path | None) -> str:
    return hashlib.sha256(json.dumps(path).encode()).hexdigest()[:8]
