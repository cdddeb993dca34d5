"""The API over the shipped year, run by the real pipeline: every answer is what the files, the registry and the database say."""

from __future__ import annotations

import csv
import io
import json
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pyarrow.parquet as pq
import pytest
import schemathesis
from hypothesis import HealthCheck, seed
from hypothesis import settings as drawing
from schemathesis import checks
from schemathesis.specs.openapi import checks as conformance

from config.sources import SOURCES
from processing.aggregators.columns import COLUMNS
from scripts.project import Project
from scripts.trace import trace
from serving.api import gold
from serving.api.app import application
from tests.api_bench import WITH_KEY, TestClient, client, configured
from tests.cli_bench import opened, run
from tests.made_once import cluster, example_year
from tests.postgres_bench import sql
from warehouse.bronze.embedded import server

EXAMPLES = 60
"""Requests drawn for each address and phase."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The shipped year, run once."""
    data = example_year(tmp_path_factory.mktemp("year") / "data")
    yield opened(data)
    server.release(str(data))


@pytest.fixture(scope="module")
def ask(project: Project) -> Iterator[TestClient]:
    with client(project) as asking:
        asking.headers.update(WITH_KEY)
        yield asking


def given(ask: TestClient, path: str, **query: Any) -> dict[str, Any]:
    answer = ask.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def walked(ask: TestClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """All rows, from page to page."""
    found: list[dict[str, Any]] = []
    while True:
        page = given(ask, path, **query)
        found += page["rows"]
        if not page["has_more"]:
            return found
        query["cursor"] = page["next"]


def test_health_tells_a_caller_with_a_key_how_things_are(project: Project, ask: TestClient) -> None:
    told = given(ask, "/health")
    assert (told["status"], told["reasons"], told["db_connected"], told["etl_status"]) == ("ok", [], True, "succeeded")
    stored = sum(file.stat().st_size for file in Path(project.data_dir, "store").rglob("*") if file.is_file())
    assert told["storage"]["bytes"] == stored
    assert told["storage"]["free"] > 0
    assert {source["source"] for source in told["sources"]} == set(project.sources)
    assert not any(source["stale"] for source in told["sources"])  # an invented year is not expected to grow


def test_bronze_is_given_whole(project: Project, ask: TestClient) -> None:
    first = given(ask, "/data", page_size=100)
    counted = {source: sql(project.data_dir, f"SELECT count(*) FROM bronze_{source}")[0][0] for source in project.sources}
    assert (first["total"], first["total_is_estimate"], first["page"], first["has_more"]) == (
        sum(counted.values()),
        False,
        1,
        True,
    )
    rows = walked(ask, "/data", source="bp_csv", page_size=100)
    assert len(rows) == counted["bp_csv"]
    (raw,) = sql(project.data_dir, "SELECT raw_data FROM bronze_bp_csv WHERE id = %s", rows[3]["id"])[0]
    assert rows[3]["raw"] == raw
    assert {row["source"] for row in rows} == {"bp_csv"}


def test_daily_is_the_daily_table(project: Project, ask: TestClient) -> None:
    table = pq.read_table(Path(project.data_dir, "processed/merged/merged_daily_metrics.parquet")).to_pylist()
    told = given(ask, "/daily")
    assert [row["date"] for row in told["rows"]] == [row["date"].isoformat() for row in table]
    for column in COLUMNS:
        kind = type(next((row[column.name] for row in table if row[column.name] is not None), None))
        if kind in (float, int, bool):
            mine = [row[column.name] for row in told["rows"]]
            assert mine == pytest.approx([row[column.name] for row in table], nan_ok=True), column.name
    few = given(ask, "/daily", columns="steps,systolic,steps", **{"from": "2025-03-01", "to": "2025-03-07"})
    assert few["columns"] == ["date", "steps", "systolic"]
    assert [row["date"] for row in few["rows"]] == [f"2025-03-0{n}" for n in range(1, 8)]


def test_a_column_nobody_knows_is_named_with_those_there_are(ask: TestClient) -> None:
    for columns in ("systolc", "date,1", "main.daily"):
        answer = ask.get("/daily", params={"columns": columns})
        assert answer.status_code == 422, columns
    answer = ask.get("/daily", params={"columns": "systolc"})
    assert "'systolc'" in answer.json()["error"]["message"]
    assert "systolic, diastolic" in answer.json()["error"]["mend"]


def test_one_source_alone_tells_its_own_days(ask: TestClient) -> None:
    mine = given(ask, "/daily", source="bp_csv", columns="systolic,steps")
    merged = given(ask, "/daily", columns="systolic,steps")
    assert 0 < len(mine["rows"]) < len(merged["rows"])
    assert {row["steps"] for row in mine["rows"]} == {None}


def test_the_csv_holds_what_the_json_holds(ask: TestClient) -> None:
    query = {"columns": "systolic,steps,bp_category", "from": "2025-03-01", "to": "2025-03-31"}
    answer = ask.get("/daily", params=query | {"format": "csv"})
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    wanted = given(ask, "/daily", **query)["rows"]
    assert [row["date"] for row in rows] == [row["date"] for row in wanted]
    assert [float(row["steps"]) if row["steps"] else None for row in rows] == [row["steps"] for row in wanted]
    nothing = ask.get("/daily", params=query | {"format": "csv", "from": "2031-01-01", "to": "2031-01-02"})
    assert nothing.text == "date,systolic,steps,bp_category\n"


@pytest.mark.parametrize("sort", ["start", "-start"])
def test_readings_come_once_and_in_order(project: Project, ask: TestClient, sort: str) -> None:
    rows = walked(ask, "/readings", metric="systolic", sort=sort, page_size=97)
    choices = pq.read_table(Path(project.data_dir, "processed/merged/choices.parquet")).to_pylist()
    wanted = [c for c in choices if c["metric"] == "systolic" and c["fate"] == "accepted"]
    assert Counter((r["raw_id"], r["value"], r["date"]) for r in rows) == Counter(
        (c["raw_id"], c["value"], c["local_date"].isoformat()) for c in wanted
    )
    starts = [row["start"] for row in rows]
    assert starts == sorted(starts, reverse=sort == "-start")
    assert {row["fate"] for row in rows} == {"accepted"}


def test_readings_that_did_not_count_are_there_for_the_asking(ask: TestClient) -> None:
    query = {"metric": "systolic", "page_size": 1000}
    counted, every = (walked(ask, "/readings", **query), walked(ask, "/readings", **query, all=True))
    assert len(every) > len(counted)
    assert {row["fate"] for row in every} > {"accepted"}
    march = walked(ask, "/readings", source="bp_csv", **query, **{"from": "2025-03-01", "to": "2025-03-31"})
    assert {row["date"][:7] for row in march} <= {"2025-03"}
    assert {row["source"] for row in march} <= {"bp_csv"}


def test_a_cursor_of_readings_is_one_of_readings(ask: TestClient) -> None:
    mine = given(ask, "/readings", page_size=1)["next"]
    assert ask.get("/data", params={"cursor": mine}).status_code == 422
    assert ask.get("/readings", params={"cursor": mine, "sort": "start"}).status_code == 422
    assert ask.get("/readings", params={"cursor": given(ask, "/data")["next"]}).status_code == 422
    assert ask.get("/readings", params={"cursor": "AAAA"}).status_code == 422


def test_stats_tell_runs_stages_and_what_each_step_holds(project: Project, ask: TestClient) -> None:
    told = given(ask, "/stats")
    assert (told["runs"]["count"], told["runs"]["succeeded"], told["runs"]["last_failure"]) == (1, 1, None)
    assert told["runs"]["last"]["run_id"] == told["runs"]["last_success"]["run_id"]
    stages = {stage["stage"]: stage for stage in told["stages"]}
    assert {"ingestion", "normalization", "validation", "merge", "bronze", "gold"} == set(stages)
    assert all(stage["attempts"] == stage["succeeded"] > 0 and stage["seconds_total"] > 0 for stage in stages.values())
    (mine,) = [total for total in told["totals"] if total["node"] == "bronze.mi_fitness"]
    assert (mine["source"], mine["rows"]) == ("mi_fitness", sql(project.data_dir, "SELECT count(*) FROM bronze_mi_fitness")[0][0])


def test_sources_tell_how_to_switch_them_on_and_how_far_they_reach(project: Project, ask: TestClient) -> None:
    told = given(ask, "/sources")
    assert told["examples"] is True
    assert [source["name"] for source in told["sources"]] == list(SOURCES)
    for source in told["sources"]:
        assert source["hint"] == SOURCES[source["name"]].hint
        assert bool(source["freshness"]) == (source["name"] in project.sources)
        assert all(reach["first_date"] <= reach["last_date"] for reach in source["freshness"] if reach["accepted"])


def test_lineage_follows_an_artifact_up_and_down(ask: TestClient) -> None:
    both = given(ask, "/lineage/records/mi_fitness.parquet")
    assert {step["name"].split("/")[0] for step in both["up"]} >= {"raw"}
    assert "gold/gold.duckdb" in {step["name"] for step in both["down"]}
    up = given(ask, "/lineage/records/mi_fitness.parquet@v1", direction="up")
    assert (up["up"], up["down"]) == (both["up"], [])
    for name in (
        "records/mi_fitnes.parquet",
        "records/mi_fitness.parquet@v9",
        "x@v" + "9" * 40,
        "a" * 2000,
        "..%2f..%2fetc%2fpasswd",
    ):
        assert ask.get(f"/lineage/{name}").status_code == 404, name


def test_a_trace_is_what_the_command_tells(project: Project, ask: TestClient) -> None:
    for metric in ("systolic", "total_duration", "bp_category"):
        command = trace(project, Namespace(date="2025-03-01", metric=metric)).data
        assert given(ask, f"/trace/2025-03-01/{metric}") == json.loads(json.dumps(command))
    assert ask.get("/trace/2025-03-01/nothing").status_code == 404
    assert ask.get("/trace/1999-03-01/systolic").status_code == 404
    assert ask.get("/trace/2025-02-30/systolic").status_code == 422
    assert ask.get("/trace/1735689600/systolic").status_code == 422


def test_metrics_are_those_of_prometheus(ask: TestClient) -> None:
    answer = ask.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "pdp_runs_total" in answer.text


def test_a_caller_who_has_the_answer_gets_it_not_again(ask: TestClient) -> None:
    for path in ("/daily?columns=steps", "/readings?metric=systolic"):
        answer = ask.get(path)
        for had in (answer.headers["ETag"], answer.headers["ETag"].removeprefix("W/")):
            assert ask.get(path, headers={"If-None-Match": f'"x", {had}'}).status_code == 304
        again = ask.get(path, headers={"If-None-Match": f'"other", {had}'})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", answer.headers["ETag"])
        assert again.headers["Cache-Control"] == "no-store"
        assert ask.get(path, headers={"If-None-Match": '"other"'}).content == answer.content
    assert ask.get("/daily?columns=systolic").headers["ETag"] != ask.get("/daily?columns=steps").headers["ETag"]


def test_so_many_answers_are_kept_and_no_large_one() -> None:
    made: list[str] = []

    def answer(kept: gold.Answers, question: str, size: int = 1) -> None:
        assert kept.get(question, lambda: made.append(question) or b"x" * size) == b"x" * size

    kept = gold.Answers()
    for question in ("a", "b", "a", "b"):
        answer(kept, question)
    assert made == ["a", "b"]
    for number in range(31):
        answer(kept, str(number))
    answer(kept, "b")
    answer(kept, "a")
    assert made[2:] == [*map(str, range(31)), "a"]
    answer(kept, "large", 2**21)
    answer(kept, "large", 2**21)
    assert made.count("large") == 2


def test_a_large_answer_is_packed_for_who_can_unpack_it(ask: TestClient) -> None:
    answer = ask.get("/daily", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) < len(answer.content) / 4
    plain = ask.get("/daily", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == answer.content


def test_a_run_that_makes_new_gold_is_answered_from_at_once(tmp_path: Path) -> None:
    data = cluster(tmp_path / "data")
    inbox = data / "inbox/google_sheets"
    inbox.mkdir(parents=True)
    (inbox / "log.csv").write_text("Date,Time,SYS,DIA,Pulse\n2025-03-01,07:30,128,82,61\n")
    assert run(data, "--start-stage", "ingestion").returncode == 0
    with client(opened(data)) as asking:
        asking.headers.update(WITH_KEY)
        before = asking.get("/daily?columns=systolic")
        assert before.json()["rows"] == [{"date": "2025-03-01", "systolic": 128.0}]
        (inbox / "log.csv").write_text("Date,Time,SYS,DIA,Pulse\n2025-03-01,07:30,128,82,61\n2025-03-02,07:30,118,72,61\n")
        done = run(data)
        assert done.returncode == 0, done.stderr
        after = asking.get("/daily?columns=systolic", headers={"If-None-Match": before.headers["ETag"]})
        assert [row["systolic"] for row in after.json()["rows"]] == [128.0, 118.0]
        assert after.headers["ETag"] != before.headers["ETag"]
        assert asking.get("/data").json()["total"] == 2
        told = asking.get("/sources").json()
        assert [source["name"] for source in told["sources"] if source["active"]] == ["google_sheets"]
        assert told["examples"] is False
    server.release(str(data))


def test_a_failed_run_is_told_with_its_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "inbox/bp_csv").mkdir(parents=True)
    (data / "inbox/bp_csv/bp.csv").write_text("Date,Heart rate,Systolic,Diastolic,Comments\n2025-03-01 07:31:00,61,128,82,\n")
    assert run(data, DATABASE_URL="postgresql://127.0.0.1:1/nowhere?connect_timeout=1").returncode == 1
    with client(opened(data)) as asking:
        told = asking.get("/stats", headers=WITH_KEY).json()["runs"]
        assert (told["count"], told["failed"], told["last_success"]) == (1, 1, None)
        assert told["last_failure"]["node"] == "bronze.bp_csv"
        assert told["last_failure"]["reason"].startswith("The PostgreSQL server cannot be reached.")
        health = asking.get("/health", headers=WITH_KEY)
        assert (health.status_code, health.json()["status"], health.json()["etl_status"]) == (503, "down", "failed")
        assert "The last run failed." in health.json()["reasons"]
        assert asking.get("/health").json() == {"status": "down"}


CHECKED = [
    checks.not_a_server_error,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_schema_conformance,
    conformance.response_headers_conformance,
    conformance.negative_data_rejection,
]
MODES = {"right": schemathesis.GenerationMode.POSITIVE, "wrong": schemathesis.GenerationMode.NEGATIVE}


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # the server's threads do, for their own ends
@pytest.mark.parametrize("mode", MODES)
def test_every_answer_is_as_the_document_says(project: Project, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", application(project, configured(hosts=frozenset("*")), lambda *_: None)
    )
    cases: Counter[str] = Counter()
    for result in schema.get_all_operations():
        operation = result.ok()
        if mode == "wrong" and not operation.query:
            continue

        @seed(20250301)
        @drawing(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @hypothesis.given(case=operation.as_strategy(generation_mode=MODES[mode]))
        def drawn(case: Any) -> None:
            hypothesis.assume(not any(value in ([], {}) for value in (case.query or {}).values()))  # sent as nothing at all
            response = case.call_and_validate(base_url="http://localhost", headers=WITH_KEY, checks=CHECKED)
            cases[f"{case.path} {response.status_code}"] += 1

        drawn()
    told = Counter(line.rpartition(" ")[2] for line in cases.elements())
    assert told["200"] if mode == "right" else told["422"]
    with capsys.disabled():
        print(f"\nschemathesis, {mode} questions: {sum(cases.values())} cases, 0 failures {dict(told)}")
