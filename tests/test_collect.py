"""The one loop behind every `records` step: repeats, revisions, refusals, and a count that always adds up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import SourceRefused
from config.stage import File
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from tests.stage_bench import StageBench, as_file

NOW = datetime(2025, 6, 1, tzinfo=UTC)


def schema(tmp_path: Path) -> str:
    path = tmp_path / "schema.json"
    path.write_text('{"type": "object", "properties": {"v": {"type": "integer"}}}')
    return str(path)


def run(
    tmp_path: Path, files: Mapping[str, list[Parsed]], arrived: float | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]], Any]:
    raw: list[File] = []
    for name in files:
        (tmp_path / name).write_text(name)
        raw.append(as_file(tmp_path / name)._replace(arrived=arrived))

    def parse(file: File, _: Mapping[str, Any]) -> Iterator[Parsed]:
        for item in files[file.name]:
            if isinstance(item, str):
                raise SourceRefused("It cannot be read.", "Mend it.", item)
            yield item

    text = schema(tmp_path)

    def records(inputs: Any, outputs: Any, given: Any) -> Any:
        return collect(inputs, outputs, given, parse, text)

    report, out = StageBench(tmp_path / "bench").run(records, {"raw": raw})  # type: ignore[arg-type]
    return dict(report), pq.read_table(out / "records").to_pylist(), pq.read_table(out / "dead_letters").to_pylist()


def record(value: Any, revision: int = 0, **more: Any) -> Record:
    volatile = ("at",) if revision else ()
    return Record("id", NOW, {"v": value, "at": revision}, "line 1", revision, volatile=volatile, **more)


def values(rows: list[dict[str, Any]]) -> list[Any]:
    return [json.loads(r["raw"])["v"] for r in rows]


def test_an_overlapping_export_repeats_nothing(tmp_path: Path) -> None:
    report, rows, _ = run(tmp_path, {"a": [record(1)], "b": [record(1), record(2)]})
    assert values(rows) == [1, 2]
    assert report["balance"]["fates"] == {"accepted": 2, "duplicate": 1}


def test_an_export_that_only_stamps_anew_is_a_repeat(tmp_path: Path) -> None:
    _, rows, _ = run(tmp_path, {"a": [record(1, 5)], "b": [record(1, 9)]})
    assert values(rows) == [1]


def test_a_value_that_goes_back_is_news(tmp_path: Path) -> None:
    _, rows, _ = run(tmp_path, {"a": [record(1, 1)], "b": [record(2, 2)], "c": [record(1, 3)]})
    assert values(rows) == [1, 2, 1]
    assert max(rows, key=lambda r: r["revision"])["raw"] == rows[2]["raw"]


def test_an_older_revision_that_arrives_late_stays_older(tmp_path: Path) -> None:
    _, rows, _ = run(tmp_path, {"a": [record(2, 9)], "b": [record(1, 3)], "c": [record(2, 9)]})
    assert [(json.loads(r["raw"])["v"], r["revision"]) for r in rows] == [(2, 9), (1, 3)]


def test_a_refused_file_is_one_dead_letter_and_the_others_go_on(tmp_path: Path) -> None:
    report, rows, letters = run(tmp_path, {"a": ["broken_quotes"], "b": [record(1)]})  # type: ignore[list-item]
    assert values(rows) == [1]
    assert [(x["reason"], x["position"], x["raw_size"]) for x in letters] == [("broken_quotes", "file", 1)]
    assert report["findings"][0]["where"] == "a"


def test_a_record_later_than_its_file_is_invalid(tmp_path: Path) -> None:
    later = Record("x", NOW + timedelta(days=3), {"v": 1}, "line 2")
    _, rows, _ = run(tmp_path, {"a": [record(1), later]}, arrived=NOW.timestamp())
    assert [(r["status"], r["errors"]) for r in rows] == [("valid", []), ("invalid", ["future"])]


def test_a_schema_violation_names_the_field_and_never_the_value(tmp_path: Path) -> None:
    _, rows, _ = run(tmp_path, {"a": [record("CANARY")]})
    assert rows[0]["errors"] == ["schema:v:type"]


def test_what_json_cannot_hold_becomes_a_dead_letter(tmp_path: Path) -> None:
    bad: list[Parsed] = [record(float("nan")), record(float("inf")), record("\ud800")]
    report, rows, letters = run(tmp_path, {"a": bad})
    assert rows == []
    assert {x["reason"] for x in letters} == {"not_json"}
    assert report["balance"]["came"] == 3


ITEMS = st.one_of(
    st.builds(record, st.one_of(st.integers(0, 3), st.text(max_size=2), st.floats()), st.integers(0, 3)),
    st.builds(lambda b: DeadLetter(b, "nul_byte", "A row.", "line 3"), st.binary(max_size=5)),
    st.builds(Layout, st.sampled_from(["title", "blank"]), st.integers(1, 3)),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ITEMS, max_size=12), st.lists(ITEMS, max_size=12))
def test_every_unit_has_exactly_one_fate(tmp_path_factory: Any, one: list[Parsed], two: list[Parsed]) -> None:
    report, rows, letters = run(tmp_path_factory.mktemp("c"), {"a": one, "b": two})
    came = sum(item.times if isinstance(item, Layout) else 1 for item in one + two)
    fates = report["balance"]["fates"]
    assert report["balance"]["came"] == came
    assert fates.get("accepted", 0) + sum(n for f, n in fates.items() if f.startswith("rejected:")) == len(rows) + len(letters)
