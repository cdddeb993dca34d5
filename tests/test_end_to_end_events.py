"""Events from the producer over the Lambda's very zip and S3 to bronze, silver and the daily table: the counts are equal at every hop.

In one process over real sockets; `bench/end_to_end.py` does the same with whole commands, and kills them.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from scripts.event_stream.function import Function
from scripts.event_stream.gateway import gateway
from scripts.event_stream.package import build
from scripts.event_stream.producer import Plan
from scripts.event_stream.send import deliver
from scripts.event_stream.tally import tally
from scripts.event_stream.targets import target
from scripts.project import Project, open_project
from tests import made_once
from tests.postgres_bench import sql
from tests.s3_bench import bucket, s3_server
from warehouse.bronze.embedded import server

EVENTS = Plan(events=150, disorder=0.2, duplicates=0.2, late=0.1, bad=0.1)
COUNTS = "SELECT (SELECT count(*) FROM bronze_{}_current), (SELECT count(*) FROM silver.records)"


@pytest.fixture(scope="module")
def cloud() -> Iterator[dict[str, str]]:
    """An S3 and a Kinesis, as the environment names them to whoever asks; and a bucket."""
    with s3_server() as endpoint, pytest.MonkeyPatch.context() as patch:
        named = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "something"}
        for name, value in (named | {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}).items():
            patch.setenv(name, value)
        yield {"endpoint": endpoint, "bucket": bucket(endpoint)}


@pytest.fixture(scope="module")
def project(cloud: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data root of a person who has nothing but these events."""
    data = made_once.cluster(tmp_path_factory.mktemp("data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_DIR", str(data))
        patch.setenv("TIMEZONE", "Europe/Warsaw")
        patch.setenv("S3_EVENTS_URL", f"s3://{cloud['bucket']}/events/")
        yield data
        server.release(str(data))


def nodes(project: Project) -> dict[str, Any]:
    run = project.pipeline.run(project.selection())
    assert run.status == "succeeded", [(o.node, o.error) for o in run.outcomes if o.action == "failed"]
    return {outcome.node: outcome for outcome in run.outcomes}


def fates(outcome: Any) -> dict[str, int]:
    return {fate: count for fate, count in outcome.report["balance"]["fates"].items() if count}


def test_every_good_event_is_counted_once_at_every_hop(cloud: dict[str, str], project: Path, tmp_path: Path) -> None:
    build(tmp_path / "events.zip")
    with (
        Function(tmp_path / "events.zip", {**os.environ, "EVENTS_BUCKET": cloud["bucket"]}) as function,
        gateway(function) as address,
    ):
        sent = deliver(EVENTS, target(address, 40))
    good = sent["events"]
    stored = tally(cloud["bucket"])
    assert (stored["events"], stored["rejected"]) == (good, sent["bad"])
    assert sent["sent"] == good + sent["duplicates"] + sent["bad"]
    assert sent["duplicates"] > 0 < sent["bad"]

    ran = nodes(open_project())
    assert fates(ran["silver.unify"]).get("accepted") == good
    assert sql(project, COUNTS.format("s3_events")) == [(good, good)]
    assert pq.read_metadata(project / "processed/silver/tables/s3_events/records.parquet").num_rows == good
    readings = pq.read_table(project / "processed/normalized/s3_events.parquet").to_pylist()
    assert len(readings) == good
    halves = [{row["raw_id"] for row in readings if row["metric"] == half} for half in ("systolic", "diastolic")]
    unified = pq.read_table(project / "processed/silver/records.parquet").to_pylist()
    with (project / "processed/merged/merged_daily_metrics.csv").open() as table:
        days = list(csv.DictReader(table))
    assert sum(int(day["hr_samples"] or 0) for day in days) == sum(row["name"] == "heart_rate" for row in unified)
    assert sum(int(day["bp_readings"] or 0) for day in days) == len(halves[0] & halves[1]) > 0
    assert sum(float(day["steps"] or 0) for day in days) == sum(row["value"] for row in unified if row["name"] == "steps")


def test_the_same_events_over_a_second_transport_add_no_row(
    cloud: dict[str, str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    boto3.client("kinesis").create_stream(StreamName="events", ShardCount=2)
    good = deliver(EVENTS, target("kinesis:events", 100))["events"]
    monkeypatch.setenv("KINESIS_STREAM", "events")
    ran = nodes(open_project())
    assert fates(ran["silver.unify"])["unused:same_event"] == good
    assert fates(ran["silver.load"]) == {"accepted": good}  # told by kinesis now: the first of the two by name
    assert sql(project, COUNTS.format("kinesis")) == [(good, good)]
    assert sql(project, "SELECT count(DISTINCT event_id) FROM silver.records") == [(good,)]
    again = nodes(open_project())
    assert {name for name, outcome in again.items() if outcome.action != "skipped"} <= {"ingestion.kinesis.extract"}


def test_a_database_lost_is_filled_again_from_what_was_fetched(cloud: dict[str, str], project: Path) -> None:
    before = sql(project, "SELECT count(*) FROM silver.records")
    sql(project, "DROP SCHEMA silver CASCADE")
    ran = nodes(open_project())
    assert {name for name, outcome in ran.items() if outcome.action != "skipped"} <= {"silver.load", "ingestion.kinesis.extract"}
    assert sql(project, "SELECT count(*) FROM silver.records") == before
