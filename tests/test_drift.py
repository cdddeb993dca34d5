"""Schema drift, what is not read, and the preview of an export: named, counted, with one example of the place and never a value."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import settings as config_settings
from config.errors import SourceRefused
from config.settings import Settings
from config.stage import File, Inputs, Outputs, Report
from ingestion.drift import MOST_TOLD, Change, Drift, printable
from ingestion.expected import Plans
from ingestion.mi_fitness import records as mi_fitness
from ingestion.records import DeadLetter, Layout, Parsed, Record, collect
from ingestion.survey import Survey
from ingestion.unread import Unread
from pipeline.nodes import nodes
from tests.cli_bench import CSV, Cli
from tests.stage_bench import StageBench, as_file

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["table"],
    "properties": {"table": {"type": "string"}, "time": {"type": "string"}, "extra": {"type": "object", "x-open": True}},
    "allOf": [
        {
            "if": {"required": ["table"], "properties": {"table": {"const": "heart"}}},
            "then": {
                "x-expected": ["bpm"],
                "properties": {
                    "bpm": {"type": "integer"},
                    "device": {"type": "object", "properties": {"name": {"type": "string"}, "battery": {"type": "number"}}},
                },
            },
        },
        {
            "if": {"required": ["table"], "properties": {"table": {"const": "steps"}}},
            "then": {"x-expected": ["count"], "properties": {"count": {"type": "integer"}}},
        },
        {
            "if": {"required": ["table"], "properties": {"table": {"const": "sleep"}}},
            "then": {
                "properties": {"stages": {"items": {"type": "object", "properties": {"from": {"type": "integer"}}}}},
            },
        },
    ],
}


def drift(*records: Mapping[str, Any]) -> list[tuple[Change, int, str]]:
    found = Drift(Plans(SCHEMA))
    for number, raw in enumerate(records, 1):
        found.of(raw, f"line {number}")
    return found.changes()


def test_a_known_record_has_no_drift() -> None:
    raw = {"table": "heart", "time": "t", "bpm": 60, "device": {"name": "band", "battery": 70.0}, "extra": {"anything": 1}}
    assert drift(raw, raw) == []


def test_a_new_field_is_told_once_with_the_place_of_the_first() -> None:
    known, new = {"table": "heart", "bpm": 60}, {"table": "heart", "bpm": 60, "quality": 3}
    assert drift(known, new, new) == [(Change("new", "heart", "quality"), 2, "line 2")]


def test_a_field_of_one_table_is_new_in_another() -> None:
    assert [c for c, _, _ in drift({"table": "steps", "count": 1, "bpm": 60})] == [Change("new", "steps", "bpm")]


def test_a_new_field_below_a_known_object_is_told_by_its_path() -> None:
    found = drift({"table": "heart", "bpm": 60, "device": {"name": "band", "firmware": "2"}})
    assert found == [(Change("new", "heart", "device.firmware"), 1, "line 1")]


def test_a_field_of_the_objects_in_a_list_is_told_once_by_its_path() -> None:
    seen = Drift(Plans(SCHEMA))
    known, new, odd = ({"from": 1}, {"from": 1, "depth": 2}, {"from": "1"})
    told = [
        seen.of({"table": "sleep", "stages": found}, f"line {n}")
        for n, found in enumerate(([known], [known, new, new], [odd, 7]))
    ]
    assert [[(c.kind, c.field) for c in changes] for changes in told] == [
        [],
        [("new", "stages[].depth")],
        [("retyped", "stages[].from"), ("retyped", "stages[]")],
    ]
    assert seen.of({"table": "sleep", "stages": [known] * 3}, "line 3") == ()


def test_a_new_field_within_the_value_of_a_mi_fitness_row_is_told(tmp_path: Path) -> None:
    value = {"bedtime": 1, "wake_up_time": 2, "items": [{"start_time": 1, "end_time": 2, "state": 3, "snoring": 1}], "mood": 5}
    cell = json.dumps(value).replace('"', '""')
    path = tmp_path / "1_hlth_center_fitness_data.csv"
    path.write_text(f'Uid,Sid,Key,Time,Value,UpdateTime\n1,s,sleep,1741000000,"{cell}",1741000001\n')
    report, _ = StageBench(tmp_path).run(mi_fitness.records, {"raw": path}, {"timezone": "UTC", "timezone_overrides": []})
    told = [f["message"].split(": ")[1].split(" of ")[0] for f in report["findings"] if f["code"] == "schema_drift"]
    assert told == ["Value.items[].snoring", "Value.mood"]


def test_a_field_of_another_type_is_retyped_and_null_is_not() -> None:
    found = drift({"table": "heart", "bpm": "60"}, {"table": "heart", "bpm": None}, {"table": "heart", "bpm": 60.0})
    assert found == [(Change("retyped", "heart", "bpm"), 1, "line 1")]


def test_an_expected_field_that_no_record_has_is_missing_and_one_that_some_have_is_not() -> None:
    assert drift({"table": "heart"}, {"table": "heart", "bpm": 60}) == []
    assert drift({"table": "steps", "count": 1}, {"table": "heart"}) == [(Change("missing", "heart", "bpm"), 1, "line 2")]


def test_no_value_is_ever_told() -> None:
    found = Drift(Plans(SCHEMA))
    found.of({"table": "heart", "bpm": "secret-value", "quality": "secret-too"}, "export.csv line 2")
    assert "secret" not in json.dumps(found.findings())


def test_names_from_a_strangers_file_are_cut_and_stripped_of_what_does_not_print() -> None:
    assert printable("a\x1b[31mb\n") == "a�[31mb�"
    assert len(printable("x" * 10_000)) == 81


def test_an_export_that_makes_up_its_fields_does_not_fill_the_report() -> None:
    found = Drift(Plans(SCHEMA))
    for number in range(30_000):
        found.of({"table": "heart", "bpm": 1, f"f{number}": 1}, "line")
        found.of({"table": f"t{number}"}, "line")
    assert len(found.findings()) == MOST_TOLD + 1
    assert len(found._by_outline) <= 10_000


@given(
    st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists, max_leaves=3))
)
def test_any_record_can_be_looked_at(raw: dict[str, Any]) -> None:
    found = drift(raw)
    assert all(count == 1 for _, count, _ in found)
    assert {c.field for c, _, _ in found if c.kind == "new"} == raw.keys() - {"table", "time", "extra"} - (
        {"bpm", "device"} if raw.get("table") == "heart" else {"count"} if raw.get("table") == "steps" else set()
    )


# ── in the records step ─────────────────────────────────────────────────────


def _parse(file: File, settings: Mapping[str, Any]) -> Iterator[Parsed]:
    lines = Path(file.path).read_text(encoding="utf-8").splitlines()
    if not lines:
        raise SourceRefused("The file is empty.", "Export it again.", "empty")
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            yield Layout("table_not_read", 3, line[1:])
        elif line == "?":
            yield DeadLetter(b"?", "broken", "It is broken.", f"line {number}")
        else:
            from datetime import UTC, datetime

            yield Record(str(number), datetime(2025, 3, number, tzinfo=UTC), json.loads(line), f"line {number}")


LINES = ['{"table":"heart","bpm":60}', '{"table":"heart","bpm":61,"quality":"q"}', "#Hydration", "#Hydration", "?"]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    path = tmp_path / "export.jsonl"
    path.write_text("\n".join(LINES))
    return path


def collected(export: Path, **settings: Any) -> tuple[Report, list[dict[str, Any]]]:
    def stage(inputs: Inputs, outputs: Outputs, given: Mapping[str, Any]) -> Report:
        return collect(inputs, outputs, given, _parse, str(export.parent / "schema.json"))

    report, out = StageBench(export.parent).run(stage, {"raw": export}, settings)
    return report, pq.read_table(out / "records").to_pylist()


def test_drift_and_what_is_not_read_are_findings_by_name(export: Path) -> None:
    report, _ = collected(export)
    told = {f["code"]: f for f in report["findings"]}
    assert told["schema_drift"]["where"] == "export.jsonl line 2"
    assert "quality of heart" in told["schema_drift"]["message"]
    assert told["not_read"]["count"] == 6
    assert "Hydration" in told["not_read"]["message"]
    assert report["balance"]["fates"] == {"accepted": 2, "rejected:broken": 1, "unused:table_not_read": 6}


@pytest.mark.parametrize(
    ("policy", "status", "reasons"),
    [("evolve", "valid", []), ("warn", "warning", ["schema_drift"]), ("quarantine", "invalid", ["schema_drift"])],
)
def test_on_drift_says_what_becomes_of_a_record_with_a_new_field(
    export: Path, policy: str, status: str, reasons: list[str]
) -> None:
    report, (known, new) = collected(export, on_drift_anything=policy)
    assert (known["status"], known["errors"]) == ("valid", [])
    assert (new["status"], new["errors"]) == (status, reasons)
    assert report["balance"]["fates"].get("rejected:schema_drift", 0) == (policy == "quarantine")


def test_the_policy_of_one_source_is_no_setting_of_another() -> None:
    plain = config_settings.for_nodes(Settings(_env_file=None, on_drift={"bp_csv": "quarantine"}))  # type: ignore[call-arg]
    assert (plain["on_drift_bp_csv"], plain["on_drift_mi_fitness"]) == ("quarantine", "evolve")
    records = {n.name: n for n in nodes(["bp_csv", "mi_fitness"])}["ingestion.bp_csv.records"]
    assert "on_drift_bp_csv" in records.settings
    assert not {"on_drift_mi_fitness", "on_drift"} & set(records.settings)


def test_a_new_column_of_a_mi_fitness_table_is_told(tmp_path: Path) -> None:
    path = tmp_path / "1_hlth_center_fitness_data.csv"
    path.write_text('Uid,Sid,Key,Time,Value,UpdateTime,Zone\n1,s,heart_rate,1741000000,"{""bpm"":60}",1741000001,x\n')
    report, _ = StageBench(tmp_path).run(mi_fitness.records, {"raw": path}, {"timezone": "UTC", "timezone_overrides": []})
    assert [f["message"] for f in report["findings"] if f["code"] == "schema_drift"] == [
        "A field is new: Zone of hlth_center_fitness_data. It is kept in the records, but nothing reads it."
    ]


def test_leftovers_of_one_name_add_up_and_a_flood_of_names_is_summed() -> None:
    unread = Unread()
    unread.note("type_not_read", "Water", 2)
    unread.note("type_not_read", "Water", 3)
    assert unread.names() == [("type_not_read", "Water", 5)]
    for number in range(20_000):
        unread.note("type_not_read", str(number), 1)
    told = unread.findings()
    assert len(told) == MOST_TOLD + 1
    assert sum(f["count"] for f in told) == 20_005


# ── preview ─────────────────────────────────────────────────────────────────


def surveyed(*paths: Path) -> dict[str, Any]:
    survey = Survey(_parse, str(paths[0].parent / "schema.json"), {})
    for path in paths:
        survey.look(as_file(path))
    return survey.told()


def test_a_preview_says_what_a_run_would_find_and_no_value(export: Path) -> None:
    told = surveyed(export)
    assert told["tables"] == [
        {"table": "heart", "records": 2, "first": "2025-03-01T00:00:00+00:00", "last": "2025-03-02T00:00:00+00:00"}
    ]
    assert told["not_read"] == [{"what": "table_not_read", "name": "Hydration", "count": 6}]
    assert told["refused"] == [{"kind": "dead letter", "reason": "broken", "count": 1, "example": "export.jsonl line 5"}]
    assert [(d["change"], d["field"], d["example"]) for d in told["drift"]] == [("new", "quality", "export.jsonl line 2")]
    assert '"q"' not in json.dumps(told)
    assert "61" not in json.dumps(told)


def test_a_refused_file_is_told_and_the_others_are_looked_at(export: Path) -> None:
    empty = export.parent / "empty.jsonl"
    empty.write_text("")
    told = surveyed(empty, export)
    assert [(f["name"], f.get("refused"), f["records"]) for f in told["files"]] == [
        ("empty.jsonl", "empty", 0),
        ("export.jsonl", None, 2),
    ]


def test_the_command_previews_files_and_folders_and_takes_nothing_in(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "cuff.csv").write_text(CSV)
    (folder / "letter.csv").write_text("Dear all\n")
    cli = Cli(tmp_path / "data")
    told = cli.json("source", "preview", "bp_csv", str(folder))
    assert told["source"] == "bp_csv"
    assert [(f["name"], f["records"], "refused" in f) for f in told["files"]] == [("cuff.csv", 1, False), ("letter.csv", 0, True)]
    text = cli("source", "preview", "bp_csv", str(folder / "cuff.csv")).stdout
    assert "1 file, 1 record" in text
    assert "2025-03-03 to 2025-03-03" in text
    assert "121" not in text
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Which source"),
        (("nosuch",), "no source named"),
        (("bp_csv",), "nothing to look at"),
        (("bp_csv", "gone.csv"), "is not there"),
    ],
)
def test_a_preview_of_nothing_says_what_is_missing(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = Cli(tmp_path / "data")("source", "preview", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_many_names_of_what_is_not_read_are_one_line_of_the_summary(tmp_path: Path) -> None:
    export = tmp_path / "data/inbox/mi_fitness/export.zip"
    export.parent.mkdir(parents=True)
    with zipfile.ZipFile(export, "w") as archive:
        archive.writestr("1_hlth_center_fitness_data.csv", 'Uid,Sid,Key,Time,Value\n1,s,heart_rate,1741000000,"{""bpm"":60}"\n')
        for name in "abcde":
            archive.writestr(f"1_user_{name}.csv", "uid,what\n1,x\n")
    text = Cli(tmp_path / "data")("--until-stage", "ingestion").stdout
    assert "5 kinds of things in the export are not read here; named by: python main.py source preview mi_fitness\n" in text
    assert "user_a.csv" not in text
    told = Cli(tmp_path / "data").json("source", "preview", "mi_fitness")
    assert [row["name"] for row in told["not_read"]] == [f"user_{name}.csv" for name in "abcde"]
