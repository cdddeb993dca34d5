"""Metrics: true to the registry, gold and bronze; named by convention; no label says anything private."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from config.errors import RegistryError
from config.sources import SOURCES
from pipeline.nodes import STAGES
from pipeline.registry import Registry
from serving.metrics.bronze_facts import Bronze, read_bronze
from serving.metrics.catalog import CATALOG
from serving.metrics.exposition import text_of
from serving.metrics.facts import gather
from serving.metrics.freshness import Readings, read_freshness
from serving.metrics.rate_limits import RateLimit, quota_of, read_rate_limits
from serving.metrics.registry_facts import read_history, read_steps
from serving.metrics.samples import Sample, merged, samples
from tests.engine_bench import Project
from tests.monitoring_bench import CANARY, NOW, Cli, facts, step

Told = dict[str, dict[tuple[str, ...], float]]


def parsed(text: str) -> Told:
    """Sample name → label values, sorted by label → value."""
    found: Told = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(value for _, value in sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {}), f"{sample.name} {labels} comes twice"
            found[sample.name][labels] = sample.value
    return found


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    found = Cli(tmp_path_factory.mktemp("metrics") / "data")
    found.feed()
    first = found(METRICS_TEXTFILE="pdp.prom")
    assert first.returncode == 0, first.stdout + first.stderr
    return found


@pytest.fixture
def told(cli: Cli) -> Told:
    return parsed((cli.data / "pdp.prom").read_text())


def test_a_run_tells_its_steps_rows_and_rejections(cli: Cli, told: Told) -> None:
    with sqlite3.connect(cli.data / "registry.db") as db:
        states = dict(db.execute("SELECT node, count(*) FROM attempt WHERE state = 'committed' GROUP BY node"))
        (seconds,) = db.execute("SELECT seconds FROM attempt WHERE node = 'merge.daily_metrics'").fetchone()
    db.close()
    assert {node: n for (node, _, state), n in told["pdp_node_attempts_total"].items() if state == "committed"} == states
    assert told["pdp_node_last_duration_seconds"]["merge.daily_metrics", "merge"] == seconds
    assert told["pdp_node_duration_seconds_sum"]["merge.daily_metrics", "merge"] == seconds
    assert told["pdp_node_rows"]["merge.daily_metrics", "", "merge"] == 3
    assert told["pdp_node_rows"]["ingestion.google_sheets.records", "google_sheets", "ingestion"] == 3
    assert told["pdp_node_received_records"]["bronze.google_sheets", "google_sheets", "bronze"] == 3
    rejected = {labels[0]: count for labels, count in told["pdp_node_rejected_records"].items()}
    assert rejected == {"normalization.google_sheets": 1}
    assert told["pdp_runs_total"] == {("succeeded",): 1, ("failed",): 0, ("interrupted",): 0, ("running",): 0}
    assert told["pdp_last_run_failed"][()] == 0
    assert told["pdp_last_run_timestamp_seconds"] == told["pdp_last_success_timestamp_seconds"]
    assert 0 < told["pdp_run_duration_seconds_sum"][()] == pytest.approx(told["pdp_last_run_duration_seconds"][()])


def test_a_run_tells_how_fresh_gold_is_and_how_good_bronze(cli: Cli, told: Told) -> None:
    from datetime import UTC, datetime

    newest = datetime(2025, 3, 3, 5, 27, 47, tzinfo=UTC).timestamp()
    assert told["pdp_last_reading_timestamp_seconds"]["blood_pressure", "bp_csv"] == newest
    assert told["pdp_readings"]["accepted", "blood_pressure", "bp_csv"] == 3
    assert told["pdp_database_up"] == {("embedded",): 1}
    assert told["pdp_quality_ratio"]["validity", "bp_csv"] == 1
    assert 0 < told["pdp_quality_ratio"]["completeness", "google_sheets"] < 1
    assert told["pdp_sla_missed"]["completeness", "google_sheets"] == 1
    assert told["pdp_sla_missed"]["validity", "bp_csv"] == 0
    assert {place for (place,) in told["pdp_storage_bytes"]} == {"registry", "store", "gold", "postgres"}
    assert all(size > 0 for size in told["pdp_storage_bytes"].values())
    assert 0 < told["pdp_disk_free_bytes"][()] <= told["pdp_disk_size_bytes"][()]


def test_no_label_of_a_run_says_more_than_the_program_itself_does(cli: Cli) -> None:
    text = (cli.data / "pdp.prom").read_text()
    assert CANARY not in text
    assert str(cli.data) not in text
    allowed = {*SOURCES, *STAGES, ""}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for label, value in sample.labels.items():
                assert re.fullmatch(r"[a-z0-9_.]*", value), (sample.name, label, value)
                assert label not in {"source", "stage"} or value in allowed


def test_what_is_told_is_in_the_catalogue_with_its_labels(cli: Cli) -> None:
    for family in text_string_to_metric_families((cli.data / "pdp.prom").read_text()):
        metric = CATALOG.get(family.name) or CATALOG[f"{family.name}_total"]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)
        assert {label for sample in family.samples for label in sample.labels} == set(metric.labels)


def test_every_metric_of_the_catalogue_can_be_told() -> None:
    bronze = Bronze("configured", True, {"bp_csv": {"score": 0.5}}, {"bp_csv": 2}, 10)
    full = facts(
        readings=[Readings("bp_csv", "sleep", NOW, {"accepted": 1})],
        rate_limits=[RateLimit("google_sheets", 100, 5, NOW)],
        bronze=bronze,
        steps=[step("bronze.bp_csv", source="bp_csv", rejected={"zero": 1}, missed=["validity"])],
    )
    assert {sample.metric for sample in samples(full, {"storage": 1})} == set(CATALOG)
    for sample in samples(full, {"storage": 1}):
        assert len(sample.labels) == len(CATALOG[sample.metric].labels), sample


def test_names_follow_the_conventions() -> None:
    for metric in CATALOG.values():
        assert re.fullmatch(r"pdp(_[a-z]+)+", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert not re.search(r"_(ms|millis|minutes|hours|days|kb|mb|percent|count|sum|bucket)(_|$)", metric.name)
        assert "timestamp" not in metric.name or metric.name.endswith("_timestamp_seconds")
        assert metric.kind != "summary" or metric.name.endswith("_seconds")
        assert metric.meaning.endswith(".")


def test_a_code_that_is_none_is_told_as_other_and_counts_together(tmp_path: Path) -> None:
    odd = step(source="bp_csv", rejected={"CANARY 187/113": 2, "/home/CANARY": 3, "zero": 4})
    readings = [Readings("CANARY source", "CANARY kind", NOW, {"accepted": 1})]
    text = text_of(facts(steps=[odd, step("CANARY step")], readings=readings), str(tmp_path)).decode()
    assert CANARY not in text
    rejected = parsed(text)["pdp_node_rejected_records"]
    assert rejected == {
        ("validation.sleep", "other", "bp_csv", "validation"): 5,
        ("validation.sleep", "zero", "bp_csv", "validation"): 4,
    }


def test_series_that_would_come_twice_are_put_together() -> None:
    twice = [Sample("a", ("x",), 1), Sample("a", ("y",), 2), Sample("a", ("x",), 3), Sample("s", (), 1, 1), Sample("s", (), 2, 5)]
    assert merged(twice) == [Sample("a", ("x",), 4), Sample("a", ("y",), 2), Sample("s", (), 3, 6)]


def test_before_the_first_run_there_is_little_to_tell_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scripts.project import open_project

    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    found = gather(open_project())
    assert (found.history, found.steps, found.readings, found.last_start, found.bronze) == (None, [], None, None, None)
    assert set(parsed(text_of(found, str(tmp_path / "data")).decode())) == {"pdp_info", "pdp_storage_bytes", "pdp_alerts_active"}
    assert list(tmp_path.iterdir()) == []


def test_a_registry_that_is_damaged_inside_is_told_as_one(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts.project import open_project

    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    project = open_project()
    content = (cli.data / "registry.db").read_bytes()
    (tmp_path / "registry.db").write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(RegistryError):
        gather(project)


def test_a_configured_server_that_does_not_answer_is_told_as_down(tmp_path: Path) -> None:
    address = "postgresql://me:CANARY@127.0.0.1:1/pdp"
    assert read_bronze({"database": address, "data_dir": str(tmp_path)}) == Bronze("configured", False, {}, {}, None)


def test_an_embedded_server_that_sleeps_is_not_woken(cli: Cli) -> None:
    pid = list((cli.data / "postgres").rglob("postmaster.pid"))
    assert pid == []
    assert read_bronze({"database": "", "data_dir": str(cli.data)}) is None
    assert list((cli.data / "postgres").rglob("postmaster.pid")) == []


def test_gold_of_another_shape_is_left_out(tmp_path: Path) -> None:
    import duckdb

    project = Project(
        tmp_path, [{"name": "gold.metrics", "stage": "gold", "run": "stage:make", "outputs": {"g": "gold/gold.duckdb"}}]
    )
    with duckdb.connect(str(tmp_path / "odd.duckdb")) as odd:
        odd.execute("CREATE TABLE other AS SELECT 1 AS x")
    project.write({"stage.py": MAKE.format(source=str(tmp_path / "odd.duckdb"))})
    assert project.run() == {"gold.metrics": "ran"}
    with registry_of(project) as registry:
        assert read_freshness(registry, str(project.data)) is None


MAKE = """
import shutil
def make(inputs, outputs, settings):
    shutil.copyfile({source!r}, outputs.path("g"))
    return {{}}
"""


@contextmanager
def registry_of(project: Project) -> Iterator[Registry]:
    found = Registry.read(str(project.data))
    assert found is not None
    try:
        yield found
    finally:
        found.close()


NODES: list[dict[str, Any]] = [
    {
        "name": "ingestion.google_sheets.extract",
        "stage": "ingestion",
        "run": "stage:fetch",
        "files": {"in": "inbox/**"},
        "outputs": {"calls": "raw/google_sheets.calls/**"},
    },
    {
        "name": "mapped",
        "stage": "s",
        "run": "stage:part",
        "files": {"in": "inbox/**"},
        "outputs": {"out": "out/**"},
        "each": "in",
    },
    {"name": "bad", "stage": "s", "run": "stage:bad", "files": {"in": "inbox/**"}, "outputs": {"out": "bad.txt"}},
]
STAGE = """
import json, os
def fetch(inputs, outputs, settings):
    told = {"old.json": {"x-ratelimit-limit": 100, "x-ratelimit-remaining": 90}, "none.json": None}
    for name, limits in told.items():
        with outputs.open("calls", name) as out:
            out.write(json.dumps({"rate_limit": limits}).encode())
    return {"rows": {"calls": len(inputs.many("in"))}}
def part(inputs, outputs, settings):
    text = open(inputs.one("in").path).read()
    if "bad" in text:
        raise ValueError(text)
    with outputs.open("out") as out:
        out.write(text.encode())
    return {"rows": {"out": 1}}
def bad(inputs, outputs, settings):
    if not os.path.exists(os.environ["MENDED"]):
        raise ValueError("not yet")
    with outputs.open("out") as out:
        out.write(b"x")
    return {}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path, NODES)
    found.write({"stage.py": STAGE, "data/inbox/CANARY of a person.csv": "118"})
    found.env = {"MENDED": str(tmp_path / "mended")}
    return found


def test_parts_of_a_step_are_told_as_the_step(project: Project) -> None:
    project.call()
    project.write({"data/inbox/CANARY two.csv": "bad"})
    project.call()
    with registry_of(project) as registry:
        history = read_history(registry)
        assert history.last is not None
        assert set(history.last.failed) == {"mapped", "bad"}
        assert CANARY not in str(history) + str(read_steps(registry, [n["name"] for n in NODES]))


def test_a_failing_step_stops_failing_when_it_succeeds(project: Project) -> None:
    project.call()
    with registry_of(project) as registry:
        before = read_history(registry)
    (project.root / "mended").touch()
    project.call()
    with registry_of(project) as registry:
        after = read_history(registry)
    assert ([a.node for a in before.attempts if a.failing], [a.node for a in after.attempts if a.failing]) == (["bad"], [])
    assert (before.last_success, before.runs["failed"]) == (None, 1)
    assert (after.last_success is not None, after.runs["succeeded"], after.runs["failed"]) == (True, 1, 1)


def test_usual_rows_are_the_middle_of_earlier_attempts(project: Project) -> None:
    for number in range(5):
        project.write({f"data/inbox/{number}.csv": str(number)})
        project.call()
    with registry_of(project) as registry:
        (fetch,) = read_steps(registry, ["ingestion.google_sheets.extract"])
    assert (fetch.rows, fetch.usual_rows, fetch.earlier, fetch.source) == (6, 3.5, 4, "google_sheets")


def test_a_run_that_was_killed_is_told_as_interrupted(project: Project) -> None:
    project.call()
    with sqlite3.connect(project.data / "registry.db") as db:
        db.execute("UPDATE run SET status = 'running', ended_at = NULL")
    db.close()
    with registry_of(project) as registry:
        history = read_history(registry)
    assert history.last is not None
    assert (history.runs["interrupted"], history.runs["running"], history.last.status) == (1, 0, "interrupted")


def test_the_newest_call_that_told_a_limit_is_the_one_that_counts(project: Project) -> None:
    project.call()
    with registry_of(project) as registry:
        (told,) = read_rate_limits(registry, str(project.data), ["google_sheets", "mi_fitness"])
    assert (told.source, told.limit, told.remaining) == ("google_sheets", 100, 90)
    assert abs(time.time() - told.told_at) < 600


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        ({}, None),
        ({"retry-after": 5}, None),
        ({"x-ratelimit-remaining": 5}, None),
        ({"x-ratelimit-limit": 60, "x-ratelimit-remaining": 5, "x-ratelimit-reset": 12}, (60, 5)),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": 7}, (100, 7)),
        ({"x-rate-limit-limit": 10, "x-rate-limit-remaining": 0}, (10, 0)),
        (
            {
                "x-ratelimit-limit-requests": 10,
                "x-ratelimit-remaining-requests": 9,
                "x-ratelimit-limit-tokens": 4,
                "x-ratelimit-remaining-tokens": 1,
            },
            (4, 1),
        ),
        ({"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'}, (100, 50)),
        ({"ratelimit": "limit=100, remaining=30, reset=5"}, (100, 30)),
        ({"x-ratelimit-limit": 0, "x-ratelimit-remaining": 0}, None),
        ({"x-ratelimit-limit": "many", "x-ratelimit-remaining": 3}, None),
    ],
)
def test_rate_limit_headers_of_every_habit_are_understood(headers: dict[str, Any], quota: tuple[float, float] | None) -> None:
    assert quota_of(headers) == quota
