"""What the bronze benchmarks measure with: records as the source makes them, and a comparison that sees what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bench.bronze_data import as_the_source, write
from bench.bronze_spans import Span
from bench.bronze_state import State, differences


@pytest.mark.parametrize("span", [Span(0, 50), Span(7, 40, stride=1000, device=3), Span(200, 30, changed=10)])
def test_generated_records_are_those_the_source_makes_of_the_same_rows(tmp_path: Path, span: Span) -> None:
    write(tmp_path, span)
    generated = pq.read_table(tmp_path / "records.parquet")
    named = {"raw_artifact", "raw_sha256"}
    made = as_the_source(span)
    assert generated.schema == made.schema
    assert generated.drop_columns(list(named)).to_pylist() == made.drop_columns(list(named)).to_pylist()
    lines = (tmp_path / "lines.jsonl").read_text().splitlines()
    assert lines == generated.column("raw").to_pylist()


def test_a_million_records_span_thirty_six_months_and_five_million_end_in_the_past() -> None:
    assert len(Span(0, 1_000_000).months) == 36
    assert Span(0, 5_000_000).months[-1] == "2026-01-01"


def test_a_changed_record_keeps_its_identity_and_gets_a_later_revision() -> None:
    before, after = Span(0, 20), Span(0, 20, changed=10)
    different = [n for n in before.numbers if before.raw(n) != after.raw(n)]
    assert different == [0, 10]
    assert all(before.raw_id(n) == after.raw_id(n) and after.raw(n)[1] > before.raw(n)[1] for n in different)


def test_equal_spans_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, Span(5, 100)) for name in ("a", "b"))
    assert first["records"][2] == second["records"][2]
    assert json.dumps(first["raw"][0][2:]) == json.dumps(second["raw"][0][2:])


def test_the_comparison_names_a_missing_row_and_a_table_nobody_asked_for() -> None:
    wanted = State([("a", "00", 1, "2024-01-01"), ("b", "01", 1, "2024-01-01")], [], [], [("bronze_demo", "p", "p")])
    assert differences(wanted, wanted) == []
    found = wanted._replace(rows=wanted.rows[:1], relations=[*wanted.relations, ("bronze_filling", "r", "t")])
    assert differences(found, wanted) == ["rows: 0 too many, 1 missing", "relations: 1 too many, 0 missing"]


def test_the_comparison_sees_a_row_that_is_there_twice() -> None:
    once = State([("a", "00", 1, "2024-01-01")], [], [], [])
    assert differences(once._replace(rows=once.rows * 2), once) == ["rows: 1 too many, 0 missing"]
