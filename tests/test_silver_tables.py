"""Nested JSON becomes typed tables: no value is lost or changed, keys are unique, children have parents, order leaves no trace."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.tables import RECORDS, TableWriter
from tests.postgres_bench import record
from tests.stage_bench import StageBench
from warehouse.silver import shapes
from warehouse.silver.flatten import Flattener, above, described, names
from warehouse.silver.tables import tables, tables_by_stream

Taken = tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]
"""What `tables.json` says, and the rows of each table."""

KEYS = st.sampled_from(["a", "A", "b", "a.b", "_key", "_value", "_index", "\\", "", "ż", "a/b", "-", "\ud800"]) | st.text(
    max_size=3
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(
        ["2024-02-29", "2023-02-29", "2024-01-01T10:00:00Z", "2024-01-01T10:00:00.123Z", "2024-01-01T24:00:00Z", "1", "\ud800"]
    )
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=25)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=5)


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "records"
    with path.open("wb") as sink, TableWriter(sink, RECORDS) as writer:
        for row in rows:
            writer.append(row[name] for name in RECORDS.names)
    return path


def made(rows: list[dict[str, Any]], stage: Any = tables) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The report, and the files by name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report, out = StageBench(folder).run(stage, {"records": write(folder, rows)})
        assert not list(out.glob("**/*.scratch"))
        return dict(report), {path.name: path.read_bytes() for path in sorted((out / "tables").iterdir())}


def table(files: dict[str, bytes], name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(files[f"{name}.parquet"])).to_pylist()
    return rows


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value of a record with its place; what is empty has none."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from leaves(inner, (*path, at))
    elif value is not None:
        yield path, value


def apart(objects: list[Any]) -> Taken:
    """Any records as tables in memory: by the same shape and rows the stage uses, typed by the same schemas."""
    shape = shapes.Shape()
    for value in objects:
        shape.look(value)
    flattener = Flattener(shape)
    named = names(flattener.tables, "records")
    rows: dict[str, list[list[Any]]] = {name: [] for name in named.values()}
    for number, value in enumerate(objects):
        for path, row in flattener.rows(f"r#{number}", value):
            rows[named[path]].append(row)
    index = [
        {"table": named[path], "parent": None if path is None else named[above(path)], "array": t.array, "columns": described(t)}
        for path, t in flattener.tables.items()
    ]
    schemas = {named[path]: t.schema for path, t in flattener.tables.items()}
    typed = {
        name: pa.Table.from_pylist([dict(zip(schemas[name].names, row, strict=True)) for row in own], schemas[name])
        for name, own in rows.items()
    }
    return index, {name: own.to_pylist() for name, own in typed.items()}


def stored(files: dict[str, bytes]) -> Taken:
    """The same from what the stage has written."""
    index = json.loads(files["tables.json"])["tables"]
    return index, {told["table"]: table(files, told["table"]) for told in index}


def told_again(taken: Taken) -> set[tuple[Any, ...]]:
    """Every value with its place, of all records, from the tables and what is said of them."""
    index = {told["table"]: told for told in taken[0]}
    rows = {name: {row["_key"]: row for row in own} for name, own in taken[1].items()}
    assert {name: len(own) for name, own in rows.items()} == {name: len(own) for name, own in taken[1].items()}  # keys are unique
    found = set()

    def place(name: str, key: str) -> tuple[Any, ...]:
        """(raw_id, path) of a row; a child without its parent is a KeyError."""
        parent, row = index[name]["parent"], rows[name][key]
        return (key,) if parent is None else (*place(parent, row["_parent"]), *index[name]["array"], row["_index"])

    for name, told in index.items():
        for key, row in rows[name].items():
            where = place(name, key)
            for column in told["columns"]:
                if column["path"] is not None and row[column["name"]] is not None:
                    value = given_back(row[column["name"]], column["kind"])
                    found |= {(*where, *column["path"], *inner, exact(leaf)) for inner, leaf in leaves(value)}
    return found


def said(objects: list[Any]) -> set[tuple[Any, ...]]:
    """What the tables must tell."""
    return {(f"r#{n}", *path, exact(leaf)) for n, value in enumerate(objects) for path, leaf in leaves(value)}


def given_back(value: Any, kind: str) -> Any:
    if kind == "json":
        return json.loads(value)
    if isinstance(value, datetime):
        return (
            value.strftime("%Y-%m-%dT%H:%M:%S")
            + (f".{value.microsecond:06d}"[: int(kind[4:]) + 1] if kind != "time0" else "")
            + "Z"
        )
    return value.isoformat() if isinstance(value, date) else value


def exact(leaf: Any) -> Any:
    """Numbers by value, and never equal to a truth or a text."""
    return (type(leaf).__name__ if isinstance(leaf, bool | str) else "number", leaf)


@settings(max_examples=150)
@given(st.lists(OBJECTS, min_size=1, max_size=6))
def test_every_value_of_any_nested_json_is_found_again_where_it_was(objects: list[dict[str, Any]]) -> None:
    assert told_again(apart(objects)) == said(objects)


@settings(max_examples=5)
@given(st.lists(OBJECTS, min_size=3, max_size=6))
def test_the_files_hold_what_the_tables_are(objects: list[dict[str, Any]]) -> None:
    report, files = made([record(n, json.dumps(value), raw_id=f"r#{n}") for n, value in enumerate(objects)])
    assert told_again(stored(files)) == said(objects)
    assert report["balance"]["fates"] == {"accepted": len(objects)}


@settings(max_examples=8)
@given(st.data())
def test_any_order_of_records_and_of_keys_gives_the_same_bytes(data: Any) -> None:
    objects = data.draw(st.lists(OBJECTS, min_size=2, max_size=6))
    rows = [record(n, json.dumps(value), raw_id=f"r{n // 2}", revision=n % 2) for n, value in enumerate(objects)]
    mixed = data.draw(st.permutations(rows))
    assert made(rows)[1] == made(mixed)[1]
    turned = [row | {"raw": json.dumps(upside_down(json.loads(row["raw"])))} for row in rows]
    assert made(rows)[1] == made(turned)[1]


def upside_down(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: upside_down(inner) for key, inner in reversed(value.items())}
    return [upside_down(inner) for inner in value] if isinstance(value, list) else value


def test_objects_become_columns_and_arrays_tables_with_types() -> None:
    post = {
        "id": 1,
        "user": {"name": "Ana", "age": 30},
        "tags": ["x", "y"],
        "score": 1,
        "day": "2024-02-29",
        "at": "2024-01-01T10:00:00Z",
    }
    other = {
        "id": 2,
        "user": {"name": "Bo"},
        "score": 2.5,
        "day": "2024-03-01",
        "at": "2024-01-02T10:00:00Z",
        "lines": [{"sku": 1, "to": [{"n": 5}]}],
    }
    _, files = made([record(0, json.dumps(post), raw_id="1"), record(1, json.dumps(other), raw_id="2")])
    first, second = table(files, "records")
    assert (first["user.name"], first["user.age"], first["score"], first["day"]) == ("Ana", 30, 1.0, date(2024, 2, 29))
    assert second["at"].isoformat() == "2024-01-02T10:00:00+00:00"
    assert table(files, "records.tags") == [
        {"_key": "1#0", "_parent": "1", "_index": 0, "_value": "x"},
        {"_key": "1#1", "_parent": "1", "_index": 1, "_value": "y"},
    ]
    assert table(files, "records.lines") == [{"_key": "2#0", "_parent": "2", "_index": 0, "sku": 1}]
    assert table(files, "records.lines.to") == [{"_key": "2#0#0", "_parent": "2#0", "_index": 0, "n": 5}]


def test_a_column_of_two_kinds_keeps_every_value_as_json() -> None:
    values = [1, "1", True, 1.5, {"x": 1}, [2]]
    _, files = made([record(n, json.dumps({"v": value})) for n, value in enumerate(values)])
    assert [row["v"] for row in table(files, "records")] == ["1", '"1"', "true", "1.5", None, None]
    assert [row["v.x"] for row in table(files, "records")][4] == 1
    assert table(files, "records.v")[0]["_value"] == 2


def test_streams_get_tables_of_their_own() -> None:
    rows = [
        record(n, json.dumps({"id": n, stream: n}), raw_id=f"{stream}:{n}", raw_artifact=f"raw/demo/{stream}/00000{n}-abc.json")
        for n, stream in enumerate(["users", "posts", "posts"])
    ]
    report, files = made(rows, tables_by_stream)
    assert report["rows"] == {"tables/posts.parquet": 2, "tables/users.parquet": 1}
    assert set(table(files, "users")[0]) == {"_key", "id", "users"}


def test_the_newest_version_counts_and_every_record_has_a_fate() -> None:
    rows = [
        record(0, {"v": 1}, raw_id="a", revision=1),
        record(1, {"v": 2}, raw_id="a", revision=2),
        record(2, {"v": 2}, raw_id="a", revision=2),
        record(3, {"v": 9}, raw_id="b", status="invalid"),
        record(4, "[" * 100_000, raw_id="c"),
        record(5, '{"v": 1e999}', raw_id="d"),
    ]
    report, files = made(rows)
    assert [row["v"] for row in table(files, "records")] == [2]
    assert report["balance"]["fates"] == {
        "accepted": 1,
        "duplicate": 1,
        "rejected:invalid_record": 1,
        "rejected:json_too_deep": 1,
        "rejected:not_json": 1,
        "unused:superseded": 1,
    }


def test_no_records_make_one_index_and_nothing_else() -> None:
    assert made([])[1].keys() == {"tables.json"}


def test_a_map_from_many_names_stays_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "KEYS", 5)
    objects = [{"days": {f"2024-01-{n + 1:02d}": {"steps": n}}, "one": n} for n in range(9)]
    _, files = made([record(n, json.dumps(value)) for n, value in enumerate(objects)])
    assert [json.loads(row["days"]) for row in table(files, "records")] == [value["days"] for value in objects]
    assert [row["one"] for row in table(files, "records")] == list(range(9))


@settings(max_examples=80)
@given(st.lists(OBJECTS, min_size=1, max_size=5))
def test_beyond_the_limits_nothing_is_lost_either(objects: list[dict[str, Any]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("KEYS", 3), ("COLUMNS", 4), ("TABLES", 2), ("DEEPEST", 3)):
            patch.setattr(shapes, name, value)
        taken = apart(objects)
        assert told_again(taken) == said(objects)
    assert len(taken[0]) <= 3
