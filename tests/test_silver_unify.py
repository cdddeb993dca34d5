"""Records of many sources as one table: typed fields, one row per identity, an event once, whatever order they come in."""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.mapping import Unify, plain
from config.settings import for_nodes, load
from config.tables import RECORDS, TableWriter
from config.timezones import PersonZones
from ingestion.csv_url.records import records as csv_records
from ingestion.demo_api.api import DemoApi
from pipeline.nodes import nodes
from tests.postgres_bench import record
from tests.stage_bench import StageBench, as_file
from warehouse.silver.fields import Fields, Reader, Refused
from warehouse.silver.tables import tables_by_stream
from warehouse.silver.unify import unify

PERSON = {"timezone": "Europe/Warsaw", "timezone_overrides": []}
PLAIN = Unify("id", name="title|name", value="value", occurred_at="at", updated_at="changed", deleted="gone", event_id="event")


def made(
    mapping: dict[str, Unify], rows: dict[str, list[dict[str, Any]]]
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """(report, unified records, refused ones) of records by source."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source, own in rows.items():
            with (folder / source).open("wb") as sink, TableWriter(sink, RECORDS) as writer:
                for one in own:
                    writer.append(one[column] for column in RECORDS.names)
        told = {f"unify_{source}": plain(unified) for source, unified in mapping.items()}
        report, out = StageBench(folder / "out").run(unify, {source: folder / source for source in rows}, PERSON | told)
        assert not list(out.glob("*.scratch"))
        return dict(report), pq.read_table(out / "records").to_pylist(), pq.read_table(out / "rejected").to_pylist()


def of(source: str, number: int, content: Any, **changed: Any) -> dict[str, Any]:
    return record(
        number, content if isinstance(content, str) else json.dumps(content), raw_artifact=f"raw/{source}/a.json", **changed
    )


def test_an_api_and_a_table_of_text_become_one_schema() -> None:
    """What `demo_api` and `csv_url` bring is of two shapes and two types; here it is alike."""
    api = [of("api", 0, {"id": 7, "title": "first", "value": 1.5, "at": "2024-05-01T10:00:00+02:00"}, raw_id="posts:7")]
    table = [
        of("csv", 0, {"fields": {"id": "A1", "name": "second", "value": "2.50", "occurred_at": "2024-05-01 10:00"}}, raw_id="x")
    ]
    csv = Unify("fields.id", name="fields.name", value="fields.value", occurred_at="fields.occurred_at")
    report, rows, refused = made({"api": PLAIN._replace(source_id=""), "csv": csv}, {"api": api, "csv": table})
    moment = datetime(2024, 5, 1, 8, tzinfo=UTC)
    assert [(r["source"], r["source_id"], r["name"], r["value"], r["occurred_at"], r["deleted"]) for r in rows] == [
        ("api", "posts:7", "first", 1.5, moment, False),
        ("csv", "A1", "second", 2.5, moment, False),
    ]
    assert (report["balance"]["fates"], refused) == ({"accepted": 2}, [])
    assert (rows[0]["raw_id"], rows[0]["raw_artifact"], rows[0]["position"]) == ("posts:7", "raw/api/a.json", "line 2")


def test_what_demo_api_and_csv_url_really_bring_becomes_one_schema(tmp_path: Path) -> None:
    """Pages of an API and a spreadsheet's rows, through both sources' own steps and mappings."""
    own: dict[str, Any] = {**for_nodes(load([], Path("no.env"))), **PERSON}
    bench = StageBench(tmp_path)
    pages = {
        "posts/000000-aaaaaaaaaaaa.json": [{"userId": 1, "id": 1, "title": "a walk", "body": "in the wood"}],
        "todos/000000-bbbbbbbbbbbb.json": [{"userId": 1, "id": 1, "title": "buy bread", "completed": True}],
    }
    for member, page in pages.items():
        (tmp_path / member.replace("/", "-")).write_text(json.dumps(page))
    raw = [as_file(tmp_path / member.replace("/", "-"), f"raw/demo_api/{member}") for member in pages]
    _, api = bench.run(DemoApi.records, {"raw": raw}, own | {"rest_demo_api": {}})
    (tmp_path / "sheet.csv").write_text("id,name,value,unit,date\nA1,morning,71.5,kg,2024-05-01\n,evening,,kg,2024-05-02\n")
    _, table = bench.run(csv_records, {"raw": [as_file(tmp_path / "sheet.csv", "raw/csv_url/sheet.csv")]}, own)
    report, out = bench.run(unify, {"demo_api": api / "records", "csv_url": table / "records"}, own)
    rows = pq.read_table(out / "records").to_pylist()
    assert [
        (r["source"], r["source_id"], r["name"], r["value"], r["description"]) for r in rows if r["source"] == "demo_api"
    ] == [
        ("demo_api", "posts:1", "a walk", None, "in the wood"),
        ("demo_api", "todos:1", "buy bread", 1.0, None),
    ]
    assert [(r["name"], r["value"], r["unit"], r["occurred_at"]) for r in rows if r["source"] == "csv_url"] == [
        ("morning", 71.5, "kg", datetime(2024, 4, 30, 22, tzinfo=UTC)),
        ("evening", None, "kg", datetime(2024, 5, 1, 22, tzinfo=UTC)),
    ]
    assert report["balance"] == {"unit": "record", "came": 4, "fates": {"accepted": 4}}
    _, typed = bench.run(tables_by_stream, {"records": api / "records"}, own)
    assert pq.read_table(typed / "tables/todos.parquet").to_pylist() == [
        {"_key": "todos:1", "completed": True, "id": 1, "title": "buy bread", "userId": 1}
    ]


@pytest.mark.parametrize(
    ("content", "reason", "field"),
    [
        ({"value": 1}, "source_id_missing", "source_id"),
        ({"id": ""}, "source_id_missing", "source_id"),
        ({"id": {"x": 1}}, "source_id_type", "source_id"),
        ({"id": "ż" * 1001}, "source_id_too_long", "source_id"),
        ({"id": 1, "value": "12,5"}, "value_type", "value"),
        ({"id": 1, "value": "0x10"}, "value_type", "value"),
        ({"id": 1, "value": [1]}, "value_type", "value"),
        ('{"id": 1, "value": 1e999}', "value_range", "value"),
        ({"id": 1, "at": "03/04/26"}, "occurred_at_type", "occurred_at"),
        ({"id": 1, "at": "yesterday"}, "occurred_at_type", "occurred_at"),
        ({"id": 1, "at": True}, "occurred_at_type", "occurred_at"),
        ({"id": 1, "at": "2024-02-30"}, "occurred_at_type", "occurred_at"),
        ({"id": 1, "at": 1e30}, "occurred_at_range", "occurred_at"),
        ({"id": 1, "at": "0001-01-01T00:00:00Z"}, "occurred_at_range", "occurred_at"),
        ({"id": 1, "changed": "9999-12-31"}, "updated_at_range", "updated_at"),
        ({"id": 1, "title": "a\0b"}, "name_unstorable", "name"),
        ('{"id": 1, "title": "\\ud800"}', "name_unstorable", "name"),
        ({"id": 1, "title": []}, "name_type", "name"),
        ("[1]", "not_an_object", None),
        ("{", "not_json", None),
        ('{"id": NaN}', "not_json", None),
        ("[" * 200_000, "json_too_deep", None),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_what_it_must_be_is_refused_with_the_reason(content: Any, reason: str, field: str | None) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    assert Reader(plain(PLAIN), PersonZones("Europe/Warsaw")).read(text, "r", None) == Refused(reason, field)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00+00:00"),
        ("2024-05-01T10:00:00.123456789+02:00", "2024-05-01T08:00:00.123456+00:00"),
        ("2024-05-01", "2024-04-30T22:00:00+00:00"),
        ("2024-03-31 02:30", "2024-03-31T01:30:00+00:00"),  # the clock never showed it: moved on by the gap
        ("2024-10-27 02:30", "2024-10-27T00:30:00+00:00"),  # it showed it twice: the first
        (1714557600, "2024-05-01T10:00:00+00:00"),
        (1714557600123, "2024-05-01T10:00:00.123000+00:00"),
        ("1714557600", "2024-05-01T10:00:00+00:00"),
        (-1, "1969-12-31T23:59:59+00:00"),
    ],
)
def test_a_time_is_read_as_it_is_meant(written: Any, meant: str) -> None:
    said = Reader(plain(PLAIN), PersonZones("Europe/Warsaw")).read(json.dumps({"id": 1, "at": written}), "r", None)
    assert isinstance(said, Fields)
    assert said.occurred_at is not None
    assert (
        datetime.fromtimestamp(said.occurred_at // 1_000_000, UTC).replace(microsecond=said.occurred_at % 1_000_000).isoformat()
        == meant
    )


def test_where_no_time_is_named_the_records_own_counts_and_may_be_missing() -> None:
    rows = [of("a", 0, {"id": 1}), of("a", 1, {"id": 2}, source_timestamp=None)]
    _, found, _ = made({"a": Unify("id")}, {"a": rows})
    assert [row["occurred_at"] for row in found] == [record(0)["source_timestamp"], None]


def test_the_newest_of_an_identity_counts_and_a_deleted_one_stays_as_deleted() -> None:
    rows = [
        of("a", 0, {"id": 1, "value": 1}, raw_id="1", revision=3),
        of("a", 1, {"id": 1, "gone": True}, raw_id="1", revision=9),
        of("a", 2, {"id": 1, "value": 2}, raw_id="1", revision=5),
        of("a", 3, {"id": 2, "value": 1, "changed": "2024-01-02T00:00:00Z"}, raw_id="2"),
        of("a", 4, {"id": 2, "value": 2, "changed": "2024-01-03T00:00:00Z"}, raw_id="2"),
        of("a", 5, {"id": 3, "value": 3, "gone": "false"}, raw_id="3"),
        of("a", 6, {"id": 3, "value": 3, "gone": "false"}, raw_id="3"),
        of("a", 7, {"id": 4}, raw_id="4", status="invalid"),
    ]
    report, found, refused = made({"a": PLAIN}, {"a": rows})
    assert [(row["source_id"], row["value"], row["deleted"]) for row in found] == [
        ("1", None, True),
        ("2", 2.0, False),
        ("3", 3.0, False),
    ]
    assert found[2]["position"] == "line 7"  # the first place that says it
    assert [(row["raw_id"], row["reason"]) for row in refused] == [("4", "invalid_record")]
    assert report["balance"]["fates"] == {"accepted": 3, "duplicate": 1, "rejected:invalid_record": 1, "unused:superseded": 3}


def test_an_event_that_came_over_several_transports_is_told_once() -> None:
    same = {"id": "e1", "event": "e1", "value": 60, "at": "2024-05-01T10:00:00Z"}
    rows = {
        "kinesis": [of("kinesis", 0, same), of("kinesis", 1, same | {"id": "e2", "event": "e2"})],
        "s3_events": [of("s3_events", 0, same), of("s3_events", 1, same | {"id": "e3", "event": None})],
        "cdc": [of("cdc", 0, same | {"id": 5, "event": "e2", "value": 61, "changed": "2024-05-01T11:00:00Z"})],
    }
    report, found, _ = made(dict.fromkeys(rows, PLAIN), rows)
    assert [(row["source"], row["source_id"]) for row in found] == [("cdc", "5"), ("kinesis", "e1"), ("s3_events", "e3")]
    assert report["balance"]["fates"] == {"accepted": 3, "unused:same_event": 2}
    assert [finding["code"] for finding in report["findings"]] == ["same_event"]


CONTENT = st.fixed_dictionaries(
    {"id": st.integers(0, 3)},
    optional={
        "value": st.integers(0, 2) | st.text(max_size=2),
        "event": st.sampled_from(["e1", "e2", None]),
        "changed": st.sampled_from(["2024-01-01", "2024-01-02T00:00:00Z", "?"]),
        "gone": st.booleans(),
    },
)


@settings(max_examples=15)
@given(st.data())
def test_any_order_gives_the_same_rows_and_every_record_one_fate(data: Any) -> None:
    contents = data.draw(st.lists(st.tuples(st.sampled_from(["a", "b"]), CONTENT, st.integers(0, 2)), min_size=1, max_size=12))
    rows = [
        (source, of(source, n, content, raw_id=str(content["id"]), revision=revision))
        for n, (source, content, revision) in enumerate(contents)
    ]
    once, again = (
        made({"a": PLAIN, "b": PLAIN}, {source: [row for name, row in order if name == source] for source in ("a", "b")})
        for order in (rows, data.draw(st.permutations(rows)))
    )
    assert once == again
    report, found, refused = once
    keys = [(row["source"], row["source_id"]) for row in found]
    assert keys == sorted(set(keys))
    events = [row["event_id"] for row in found if row["event_id"]]
    assert len(events) == len(set(events))
    assert report["balance"]["came"] == len(rows)
    assert (len(found), len(refused)) == (report["rows"]["records"], report["rows"]["rejected"])


def test_who_only_drops_exports_has_no_silver_and_a_source_takes_part_when_its_settings_say_how() -> None:
    assert [node.name for node in nodes(["bp_csv", "mi_fitness"]) if node.stage == "silver"] == []
    assert [node.name for node in nodes(["bp_csv", "csv_url"], unified=[]) if node.stage == "silver"] == []
    made = [node for node in nodes(["bp_csv", "csv_url", "demo_api"]) if node.stage == "silver"]
    assert [node.name for node in made] == ["silver.unify", "silver.tables.csv_url", "silver.tables.demo_api", "silver.load"]
    assert made[0].inputs == {name: f"records/{name}.parquet" for name in ("csv_url", "demo_api")}
    assert [node.run.partition(":")[2] for node in made[1:3]] == ["tables", "tables_by_stream"]
