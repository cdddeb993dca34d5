"""How two versions differ: rows by key, cells by column, nothing of a value unless it is asked for."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import StoreError, UsageError
from config.tables import READINGS
from scripts.diff import diff
from scripts.table_diff import compare
from tests.answers_bench import Bench

DAY = dt.date(2025, 3, 1)


def parquet(path: Path, table: pa.Table) -> str:
    pq.write_table(table, path, row_group_size=7)
    return str(path)


def text(path: Path, content: str) -> str:
    path.write_text(content, newline="")
    return str(path)


def test_the_daily_table_is_compared_by_date(tmp_path: Path) -> None:
    a = text(tmp_path / "a.csv", "date,systolic,steps\n2025-03-01,120,\n2025-03-02,121,7\n2025-03-03,122,8\n")
    b = text(tmp_path / "b.csv", "date,systolic,weight\n2025-03-01,120,70\n2025-03-03,142,71\n2025-03-04,133,72\n")
    found = compare(a, b, 9, values=False)
    assert found == {
        "kind": "table",
        "key": ["date"],
        "rows": {"a": 3, "b": 3, "added": 1, "removed": 1, "changed": 1},
        "columns": {"added": ["weight"], "removed": ["steps"], "retyped": []},
        "cells": {"systolic": 1},
        "keys": {"added": [{"date": "2025-03-04"}], "removed": [{"date": "2025-03-02"}], "changed": [{"date": "2025-03-03"}]},
    }
    assert compare(a, b, 9, values=True)["values"] == [
        {"key": {"date": "2025-03-03"}, "column": "systolic", "a": "122", "b": "142"}
    ]


def test_null_zero_and_the_empty_string_are_three_values(tmp_path: Path) -> None:
    days = [DAY, DAY + dt.timedelta(1), DAY + dt.timedelta(2)]
    a = parquet(tmp_path / "a.parquet", pa.table({"date": days, "x": [None, 0.0, 1.0], "s": ["", None, "é"]}))
    b = parquet(tmp_path / "b.parquet", pa.table({"date": days, "x": [0.0, -0.0, 1.0], "s": [None, None, "é"]}))
    assert compare(a, b, 9, values=False)["cells"] == {"x": 1, "s": 1}


def test_a_retyped_column_is_named_and_compared_by_value(tmp_path: Path) -> None:
    days = [DAY, DAY + dt.timedelta(1)]
    a = parquet(tmp_path / "a.parquet", pa.table({"date": days, "n": pa.array([1, 2], pa.int64()), "t": pa.array([1, 2])}))
    b = parquet(tmp_path / "b.parquet", pa.table({"date": days, "n": pa.array([1.0, 2.5]), "t": pa.array(["1", "2"])}))
    found = compare(a, b, 9, values=False)
    assert found["columns"]["retyped"] == [{"name": "n", "a": "int64", "b": "double"}, {"name": "t", "a": "int64", "b": "string"}]
    assert found["cells"] == {"n": 1}


def readings(values: list[float | None]) -> pa.Table:
    start = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
    moments = [start + dt.timedelta(minutes=n) for n in range(len(values))]
    same = {
        "metric": "pulse",
        "unit": "/min",
        "utc_offset": 0,
        "local_date": DAY,
        "scope": "instant",
        "device": None,
        "source": "s",
    }
    rows = [
        {**same, "value": value, "start": moment, "end": moment, "raw_id": str(n), "flags": ["a"] * (n % 3)}
        for n, (value, moment) in enumerate(zip(values, moments, strict=True))
        if value is not None
    ]
    return pa.Table.from_pylist(rows, READINGS)


def test_readings_are_compared_by_their_identity_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values: list[float | None] = [float(n) for n in range(300)]
    a = parquet(tmp_path / "a.parquet", readings(values))
    values[5] = 999.0
    values[7] = None
    b = parquet(tmp_path / "b.parquet", readings(values))
    whole = compare(a, b, 9, values=True)
    assert whole["rows"] == {"a": 300, "b": 299, "added": 0, "removed": 1, "changed": 1}
    assert whole["cells"] == {"value": 1}
    assert whole["keys"]["removed"] == [{"start": "2025-03-01 00:07:00+00:00", "metric": "pulse", "source": "s"}]
    monkeypatch.setattr("scripts.table_diff._PART", 100)
    assert compare(a, b, 9, values=True) == whole


ROW = st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(0, 2)), st.sampled_from(["", "x", "y"]))


def expected(a: list[Any], b: list[Any]) -> tuple[int, int, int]:
    """(added, removed, changed) worked out in the plainest way."""
    left, right = Counter(a), Counter(b)
    only_a, only_b = left - right, right - left
    keys_a, keys_b = (Counter(row[0] for row in side.elements()) for side in (only_a, only_b))
    changed = (keys_a & keys_b).total()
    return only_b.total() - changed, only_a.total() - changed, changed


@settings(max_examples=60, deadline=None)
@given(a=st.lists(ROW, max_size=12), b=st.lists(ROW, max_size=12), parts=st.sampled_from([1, 9, 10**6]))
def test_counts_are_those_of_the_plain_definition(
    tmp_path_factory: pytest.TempPathFactory, a: list[Any], b: list[Any], parts: int
) -> None:
    folder = tmp_path_factory.mktemp("d")
    schema = pa.schema([("date", pa.date32()), ("n", pa.int64()), ("s", pa.string())])
    paths = []
    for name, rows in (("a", a), ("b", b)):
        table = pa.Table.from_pylist([{"date": DAY + dt.timedelta(d), "n": n, "s": s} for d, n, s in rows], schema)
        paths.append(parquet(folder / f"{name}.parquet", table))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scripts.table_diff._PART", parts)
        rows = compare(*paths, 99, values=False)["rows"]
    assert (rows["added"], rows["removed"], rows["changed"]) == expected(a, b)


def test_a_table_without_a_key_is_a_bag_of_rows(tmp_path: Path) -> None:
    a = text(tmp_path / "a.csv", "x;y\n1;2\n1;2\n3;4\n")
    b = text(tmp_path / "b.csv", "x;y\n3;4\n1;2\n1;5\n")
    found = compare(a, b, 9, values=True)
    assert found["rows"] == {"a": 3, "b": 3, "added": 1, "removed": 1, "changed": 0}
    assert (found["key"], found["keys"], found["values"]) == ([], {}, [])


def test_what_is_no_table_is_compared_by_lines_or_bytes(tmp_path: Path) -> None:
    a, b = text(tmp_path / "a.json", "one\ntwo\ntwo\n"), text(tmp_path / "b.json", "two\none\nthree\nfour\n")
    assert compare(a, b, 9, values=False) == {"kind": "text", "lines": {"a": 3, "b": 4, "added": 2, "removed": 1}}
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("x", bytes(range(256)))
    assert compare(a, str(tmp_path / "c.zip"), 9, values=False) == {"kind": "bytes"}
    broken = text(tmp_path / "c.csv", 'date,x\n1,"2\n')
    assert compare(broken, text(tmp_path / "d.csv", "date,x\n1,2,3\n"), 9, values=False)["kind"] == "text"
    torn = text(tmp_path / "e.parquet", "PAR1")
    assert compare(torn, torn, 9, values=False)["kind"] == "text"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    found = Bench(tmp_path_factory.mktemp("diff"))
    for number in range(1, 5):
        found.feed("same", str(number))
    found.pipeline.gc(2)
    return found


def test_the_command_tells_counts_and_no_values(bench: Bench) -> None:
    answer = bench.ask(diff, artifact="lines.txt", a="v3", b="4", values=False)
    assert answer.data["lines"] == {"a": 2, "b": 2, "added": 1, "removed": 1}
    assert (answer.data["a"]["version"], answer.data["b"]["version"], answer.data["identical"]) == (3, 4, False)
    assert "lines: 2 → 2, 1 added, 1 removed" in answer.text
    assert bench.ask(diff, artifact="lines.txt", a="4", b="4", values=False).data["identical"]


@pytest.mark.parametrize(
    ("artifact", "version", "words"),
    [
        ("lines.tx", "4", r"Did you mean lines\.txt"),
        ("lines.txt", "9", "has no version 9. Its versions with bytes: v3, v4"),
        ("lines.txt", "four", "'four' is no version"),
        ("lines.txt", "v1", "removed by gc or --clean"),
    ],
)
def test_what_cannot_be_compared_is_said_with_a_mend(bench: Bench, artifact: str, version: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        bench.ask(diff, artifact=artifact, a=version, b="4", values=False)


def test_bytes_that_are_missing_are_an_error(bench: Bench) -> None:
    (path,) = (bench.data / "store" / "lines.txt").glob("v3-*")
    path.unlink()
    with pytest.raises(StoreError, match="missing from the store"):
        bench.ask(diff, artifact="lines.txt", a="3", b="4", values=False)
