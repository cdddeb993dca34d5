"""REST sources as people declare them: what becomes of their pages and records, run after run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config.errors import SourceRefused
from config.rest import RestDeclaration, json_schema
from ingestion.rest import (
    Answer,
    Bearer,
    Busy,
    Cursor,
    Incremental,
    Limited,
    Mapped,
    RestSource,
    Stream,
    Unauthorized,
    declared,
)
from ingestion.rest.records import records
from tests.rest_bench import Bench, MemoryOutputs, declaration, stream
from tests.rest_fake import FakeAPI, fake_api, rows
from tests.stage_bench import StageBench

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAPI]:
    with fake_api() as api:
        yield api


@pytest.fixture
def api(server: FakeAPI) -> FakeAPI:
    server.forget()
    server.lists, server.size, server.token, server.headers, server.around = {"hr": rows(7)}, 3, "", {}, dict
    return server


class Heart(RestSource):
    name = "t"
    base_url = "https://heart.example/v1"
    auth = Bearer("HEART_TOKEN")
    rate = "100/s,100000/h"
    streams = (
        Stream(
            "hr",
            path="cursor/hr",
            records="data",
            id="id",
            cursor=Incremental("updated_at", "updated_since", initial="2025-01-01", lag="2s"),
            pages=Cursor("next_cursor", "cursor"),
        ),
    )
    readings = (Mapped("heart_rate", "bpm", "measured_at"),)


SETTINGS: dict[str, Any] = {"tokens_t": {"HEART_TOKEN": "key"}}


def read(
    pages: Mapping[str, Any], said: dict[str, Any], tmp_path: Path, source: type[RestSource] = declared.Declared, **more: Any
) -> tuple[Any, list[dict[str, Any]], list[dict[str, Any]]]:
    """(report, records, dead letters) of pages given as {name below raw/t/: JSON or bytes}."""
    import pyarrow.parquet as pq

    from tests.stage_bench import as_file

    files = []
    for name, body in pages.items():
        path = tmp_path / "pages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        files.append(as_file(path, f"raw/t/{name}"))
    settings = {"rest_t": said, "on_drift_t": "evolve", **more}
    report, out = StageBench(tmp_path).run(
        lambda inputs, outputs, settings: records(source, inputs, outputs, settings), {"raw": files}, settings
    )
    return report, pq.read_table(out / "records").to_pylist(), pq.read_table(out / "dead_letters").to_pylist()


def said(**more: Any) -> dict[str, Any]:
    return {"name": "t", "base_url": "https://heart.example", "streams": [{"name": "hr", "records": "data", "id": "id", **more}]}


def test_a_source_is_declared_in_ten_lines_of_python_and_read_to_its_end(api: FakeAPI, tmp_path: Path) -> None:
    api.token = "key"
    outputs = MemoryOutputs(tmp_path)
    settings = {**SETTINGS, "rest_t": {"base_url": api.url}}
    report = Heart.fetch(outputs, settings)
    assert report["balance"] == {"unit": "file", "came": 3, "fates": {"accepted": 3}}
    assert Heart.check(settings) == ["ok: hr answers, 3 records on its first page."]
    found = Heart.discover(settings)["hr"]
    assert found["fields"]["bpm"] == ["integer"]


def test_the_same_source_in_yaml_says_the_same() -> None:
    in_python = Heart.declared()
    text = in_python.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert RestDeclaration.model_validate(text) == in_python
    assert in_python.tokens() == ("HEART_TOKEN",)


def test_the_schema_for_editors_is_that_of_the_models() -> None:
    assert (REPO / "config" / "rest.schema.json").read_text() == json_schema(), (
        "python -c 'from config.rest import json_schema; …'"
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"base_url": "http://api.example"}, "https"),
        ({"base_url": "https://user:pw@api.example"}, "password"),
        ({"base_url": "https://api.example/?key=1"}, "before any"),
        ({"rate": "20 per second"}, "20/s"),
        ({"headers": {"X-Api-Key": "secret"}}, "auth"),
        ({"streams": []}, "at least 1"),
        ({"streams": [{"name": "a"}, {"name": "a"}]}, "two streams"),
        ({"streams": [{"name": "a", "path": "https://evil.example"}]}, "below the base"),
        ({"streams": [{"name": "a", "path": "x/{id}"}]}, "placeholder"),
        ({"streams": [{"name": "a", "path": "x/{id}", "parent": {"stream": "b"}}]}, "before it"),
        ({"streams": [{"name": "a", "pages": {"type": "windows"}}]}, "windows need"),
        ({"streams": [{"name": "a", "params": {"api_key": "x"}}]}, "auth"),
        ({"auth": {"type": "bearer", "token": "not-a-variable"}}, "pattern"),
        ({"colour": "blue"}, "Extra inputs"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_reason(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        RestDeclaration.model_validate({**said(), **change})


def test_a_next_round_asks_from_the_newest_change_less_the_lag(api: FakeAPI, tmp_path: Path) -> None:
    api.token = "key"
    outputs, settings = MemoryOutputs(tmp_path), {**SETTINGS, "rest_t": {"base_url": api.url}}
    Heart.fetch(outputs, settings)
    for pages in outputs.streams.values():
        pages.in_force = len(pages.pages)
    api.forget()
    api.lists["hr"] += rows(2, 7)
    report = Heart.fetch(outputs, settings)
    assert api.requests[0].params["updated_since"] == "2025-01-01T00:00:04Z"  # 00:00:06 less two seconds
    assert report["balance"]["fates"] == {"accepted": 2}
    assert outputs.streams["hr"].state()["cursor"] == "2025-01-01T00:00:08+00:00"  # type: ignore[index]


def test_a_change_told_by_a_clock_nobody_names_is_asked_for_by_that_clock(api: FakeAPI, tmp_path: Path) -> None:
    api.lists["hr"] = [{**row, "updated_at": row["updated_at"].rstrip("Z")} for row in api.lists["hr"]]
    cursor = {"field": "updated_at", "param": "updated_since"}
    with pytest.raises(SourceRefused, match="local"):
        MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor", cursor=cursor)))
    outputs = MemoryOutputs(tmp_path)
    for _ in (1, 2):
        api.forget()
        outputs.fetch(declaration(api, stream("cursor", cursor={**cursor, "format": "local", "lag": "3s"})))
    assert api.requests[0].params["updated_since"] == "2025-01-01T00:00:03"


def test_every_parents_list_may_be_asked_for_in_every_run(api: FakeAPI, tmp_path: Path) -> None:
    api.lists = {"posts": [{"id": n} for n in range(4)], "comments": [{"id": n, "parent": n % 4} for n in range(8)]}
    parent = {"stream": "posts", "every": True}
    child = {**stream("cursor", "comments"), "path": "cursor/posts/{id}/comments", "parent": parent}
    outputs, whole = MemoryOutputs(tmp_path), declaration(api, stream("cursor", "posts"), child)
    outputs.fetch(whole)
    api.lists["comments"].append({"id": 99, "parent": 2})
    api.forget()
    report = outputs.fetch(whole)
    assert sum("comments" in path for path in api.asked) == 4
    assert report["balance"]["fates"] == {"accepted": 1, "duplicate": 5}


def test_a_record_of_the_future_does_not_hide_those_that_come_before_it(api: FakeAPI, tmp_path: Path) -> None:
    api.lists["hr"][3]["updated_at"] = "2999-01-01T00:00:00Z"
    outputs = MemoryOutputs(tmp_path)
    cursor = {"field": "updated_at", "param": "updated_since"}
    outputs.fetch(declaration(api, stream("cursor", cursor=cursor)))
    reached = datetime.fromisoformat(outputs.streams["hr"].state()["cursor"])  # type: ignore[index]
    assert datetime.now(UTC) - timedelta(minutes=1) < reached <= datetime.now(UTC)


def test_a_list_that_has_not_changed_costs_no_page(api: FakeAPI, tmp_path: Path) -> None:
    outputs = MemoryOutputs(tmp_path)
    clock = iter(range(100))
    api.around = lambda answer: {**answer, "served": next(clock)}
    for fates in ({"accepted": 3}, {"duplicate": 3}, {"duplicate": 3}):
        assert outputs.fetch(declaration(api, stream("cursor")))["balance"]["fates"] == fates


def kept(outputs: MemoryOutputs) -> dict[str, bytes]:
    """The pages as `records` finds them."""
    return {page.member: Path(page.path).read_bytes() for pages in outputs.streams.values() for page in pages.pages}


def test_a_value_that_goes_back_is_news(api: FakeAPI, tmp_path: Path) -> None:
    outputs, whole = MemoryOutputs(tmp_path), declaration(api, stream("single"))
    for bpm in (60, 99, 60, 60):
        api.lists = {"hr": [{"id": 1, "bpm": bpm}]}
        outputs.fetch(whole)
    _, found, _ = read(kept(outputs), whole, tmp_path)
    assert [json.loads(row["raw"])["bpm"] for row in found] == [60, 99, 60]
    assert [row["revision"] for row in found] == [1, 2, 3]


def test_pages_are_kept_byte_for_byte_and_their_calls_beside_them(api: FakeAPI, tmp_path: Path) -> None:
    api.headers = {"X-Request-Id": "r-1"}
    bench = Bench(tmp_path, declaration(api, stream("cursor")))
    bench.run()
    (first,) = (tmp_path / "raw/t/hr").glob("000000-*.json")
    assert first.read_bytes() == json.dumps({"data": rows(3), "next_cursor": "My4w", "has_more": True}).encode()
    call = json.loads((tmp_path / f"raw/t.calls/hr/{first.name}.json").read_text())
    assert (call["request_id"], call["response_code"]) == ("r-1", 200)
    assert first.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("kind", "reason"), [("html", "bad_json"), ("nonsense", "no_records")])
def test_an_answer_that_is_none_becomes_a_dead_letter_and_the_round_waits(
    kind: str, reason: str, api: FakeAPI, tmp_path: Path
) -> None:
    outputs, whole = MemoryOutputs(tmp_path), declaration(api, stream("cursor"), retries=1)
    for _ in (1, 2):
        api.fail(1 if outputs.pages("raw", "hr").pages else 2, kind, times=2)
        report = outputs.fetch(whole)
        assert [f["code"] for f in report["findings"]] == ["incomplete"]
        assert len(outputs.pages("raw", "hr").pages) == 2  # the second time it is known
    outputs.fetch(whole)
    _, found, dead = read(kept(outputs), whole, tmp_path)
    assert [row["reason"] for row in dead] == [reason]
    assert sorted(row["raw_id"] for row in found) == [f"hr:{n}" for n in range(7)]


def test_comments_of_new_posts_only_are_fetched(api: FakeAPI, tmp_path: Path) -> None:
    api.lists = {"posts": [{"id": n} for n in range(4)], "comments": [{"id": n, "parent": n % 5} for n in range(10)]}
    child = {
        **stream("cursor", "comments"),
        "path": "cursor/posts/{post}/comments",
        "parent": {"stream": "posts", "param": "post"},
    }
    outputs, whole = MemoryOutputs(tmp_path), declaration(api, stream("cursor", "posts"), child)
    outputs.fetch(whole)
    assert sum("comments" in path for path in api.asked) == 4
    api.forget()
    outputs.fetch(whole)
    assert sum("comments" in path for path in api.asked) == 0
    api.lists["posts"].append({"id": 4})
    outputs.fetch(whole)
    assert {path.split("/")[3] for path in api.asked if "comments" in path} == {"3", "4"}  # the page that changed held both
    found = sorted(row["id"] for body in outputs.bodies("comments") for row in body["data"])
    assert sorted(set(found)) == list(range(10))


def test_parents_that_are_counted_anew_have_their_children_fetched_anew(api: FakeAPI, tmp_path: Path) -> None:
    api.lists = {"posts": [{"id": n} for n in range(7)], "comments": [{"id": n, "parent": n} for n in range(9)]}
    child = {**stream("cursor", "comments"), "path": "cursor/posts/{id}/comments", "parent": {"stream": "posts"}}
    outputs, whole = MemoryOutputs(tmp_path), declaration(api, stream("cursor", "posts"), child)
    outputs.fetch(whole)
    del outputs.streams["posts"]  # as `clean --raw` does
    api.lists["posts"] = [{"id": n} for n in range(8, -1, -1)]
    outputs.fetch(whole)
    assert {row["id"] for body in outputs.bodies("comments") for row in body["data"]} == set(range(9))


def test_a_parent_that_is_gone_is_passed_over(api: FakeAPI, tmp_path: Path) -> None:
    api.lists = {"posts": [{"id": n} for n in range(3)], "comments": [{"id": n, "parent": n} for n in range(3)]}
    child = {**stream("cursor", "comments"), "path": "cursor/posts/{id}/comments", "parent": {"stream": "posts"}}
    api.fail(3, "404")
    outputs = MemoryOutputs(tmp_path)
    outputs.fetch(declaration(api, stream("cursor", "posts"), child))
    assert [row["id"] for body in outputs.bodies("comments") for row in body["data"]] == [0, 2]


def test_a_stream_that_is_declared_otherwise_begins_anew_and_says_so(api: FakeAPI, tmp_path: Path) -> None:
    outputs = MemoryOutputs(tmp_path)
    cursor = {"field": "updated_at", "param": "updated_since"}
    outputs.fetch(declaration(api, stream("cursor", cursor={**cursor, "lag": "0s"})))
    assert outputs.fetch(declaration(api, stream("cursor", cursor={**cursor, "lag": "2h"})))["findings"] == []
    api.forget()
    report = outputs.fetch(declaration(api, stream("offset", cursor=cursor)))
    assert [(f["code"], f["where"]) for f in report["findings"]] == [("declared_anew", "hr")]
    assert "updated_since" not in api.requests[0].params


def test_answers_meant_to_hurt_are_refused_and_leave_nothing_behind(api: FakeAPI, tmp_path: Path) -> None:
    api.around = lambda answer: {**answer, "next_cursor": "x" * 99_999}
    with pytest.raises(SourceRefused, match="longer than any"):
        MemoryOutputs(tmp_path).fetch(declaration(api, stream("cursor")))
    deep: Any = {"id": 1}
    for _ in range(600):
        deep = {"id": 1, "in": deep}
    for depth in (1, 2):
        api.around = lambda answer: {"data": [deep] * depth, "next_cursor": None}
        MemoryOutputs(tmp_path / str(depth)).fetch(declaration(api, stream("cursor"), retries=0))
    whole = said()
    body = b'{"data": [' + b'{"a":' * 99_999 + b"1" + b"}" * 99_999 + b"]}"
    _, found, dead = read({"hr/000000-a.json": body}, whole, tmp_path)
    assert (found, [row["reason"] for row in dead]) == ([], ["json_too_deep"])


def test_every_record_is_kept_as_it_came_under_its_own_id(tmp_path: Path) -> None:
    body = {"data": [{"id": 7, "at": "2025-07-01T10:00:00+02:00", "x": [1, None]}, {"id": "a/b"}, {"no": "id"}, "none", 3]}
    report, found, dead = read({"hr/000000-abc.json": body}, said(time="at"), tmp_path)
    assert [row["raw_id"] for row in found[:2]] == ["hr:7", "hr:a/b"]
    assert json.loads(found[0]["raw"]) == body["data"][0]
    assert (found[0]["source_timestamp"], found[0]["utc_offset"]) == (datetime(2025, 7, 1, 8, tzinfo=UTC), 7200)
    assert [row["reason"] for row in dead] == ["not_an_object"] * 2
    assert [row["position"] for row in dead] == ["record 4", "record 5"]
    assert report["balance"]["came"] == 5
    assert len(found[2]["raw_id"]) == len("hr:") + 32


@pytest.mark.parametrize("path", ["data", ""])
def test_of_a_page_with_one_bad_record_the_others_are_read(path: str, tmp_path: Path) -> None:
    items = b'[{"id": 1}, {"id": 2, "v": NaN}, {"id": 3, "id": 4}, {"id": 5}]'
    body = b'{"n": 4, "data": ' + items + b"}" if path else items
    _, found, dead = read({"hr/000000-abc.json": body}, said(records=path), tmp_path)
    assert [row["raw_id"] for row in found] == ["hr:1", "hr:5"]
    assert [row["reason"] for row in dead] == ["not_json", "duplicate_json_keys"]


def test_a_time_without_an_offset_is_the_persons_clock(tmp_path: Path) -> None:
    body = {"data": [{"id": 1, "at": "2025-07-01 10:00:00"}, {"id": 2, "at": "soon"}, {"id": 3, "at": 1751360400}]}
    _, found, _ = read({"hr/000000-a.json": body}, said(time="at"), tmp_path, timezone="Europe/Warsaw", timezone_overrides=[])
    assert found[0]["source_timestamp"] == datetime(2025, 7, 1, 8, tzinfo=UTC)
    assert found[1]["errors"] == ["bad_time"]
    assert found[2]["source_timestamp"] == datetime(2025, 7, 1, 9, tzinfo=UTC)


def test_each_stream_has_its_schema_and_its_word_on_drift(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    streams = [
        {"name": "hr", "id": "id", "schema": schema, "on_drift": "quarantine"},
        {"name": "notes", "id": "id", "schema": {"type": "object", "properties": {"id": {"type": "string"}}}},
    ]
    pages = {"hr/000000-a.json": [{"id": 1}, {"id": 2, "new": 1}], "notes/000000-a.json": [{"id": "x", "more": 1}]}
    report, found, _ = read(pages, {**said(), "streams": streams}, tmp_path)
    assert {row["raw_id"]: row["status"] for row in found} == {"hr:1": "valid", "hr:2": "invalid", "notes:x": "valid"}
    assert sorted(f["message"].split(":")[1].split(".")[0].strip() for f in report["findings"]) == ["more", "new"]


def test_what_lies_in_no_streams_folder_is_refused_and_the_rest_read(tmp_path: Path) -> None:
    _, found, dead = read({"hr/dropped.json": {"data": [{"id": 1}]}, "stray.json": {}}, said(), tmp_path)
    assert [row["raw_id"] for row in found] == ["hr:1"]
    assert [row["reason"] for row in dead] == ["unknown_stream"]


def envelope(error: Callable[[], Exception], times: int) -> type[RestSource]:
    """A source whose server puts errors into good answers."""

    class Wrapped(Heart):
        left = times

        @classmethod
        def judge(cls, answer: Answer) -> None:
            if cls.left:
                cls.left -= 1
                raise error()

    return Wrapped


def test_errors_within_good_answers_are_told_by_the_source(api: FakeAPI, tmp_path: Path) -> None:
    api.token = "key"
    settings = {**SETTINGS, "rest_t": {"base_url": api.url, "first_wait": 0}}
    report = envelope(lambda: Busy("busy"), 2).fetch(MemoryOutputs(tmp_path / "busy"), settings)
    assert report["balance"]["fates"] == {"accepted": 3}
    report = envelope(lambda: Limited("enough", wait=9999), 1).fetch(MemoryOutputs(tmp_path / "limited"), settings)
    assert [f["code"] for f in report["findings"]] == ["incomplete"]
    with pytest.raises(Exception, match="does not accept"):
        envelope(lambda: Unauthorized("who"), 1).fetch(MemoryOutputs(tmp_path / "stranger"), settings)


def test_a_server_that_gives_one_page_for_ever_is_left(api: FakeAPI, tmp_path: Path) -> None:
    api.around = lambda answer: {"data": rows(2), "next_cursor": str(len(api.requests))}
    with pytest.raises(SourceRefused) as refused:
        MemoryOutputs(tmp_path).fetch(declaration(api, {**stream("single"), "pages": {"type": "cursor"}}, retries=0))
    assert refused.value.reason == "endless_pages"
