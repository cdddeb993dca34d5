"""Silver is told of by `bronze status`, compared by `verify`, emptied by `erase`, and follows `bronze retain`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests import made_once
from tests.postgres_bench import Artifacts, migrated, record, settings, sql
from tests.stage_bench import StageBench
from tests.test_silver_load import files, held, row, run
from warehouse.bronze.checking import retention
from warehouse.bronze.erasing import erase as bronze_erasing
from warehouse.bronze.load import load as load_bronze
from warehouse.silver import erasing
from warehouse.silver.checking import status, verify

OLD, YOUNG = datetime(2020, 1, 5, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
IDS = "SELECT source, source_id FROM silver.records ORDER BY 1, 2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with migrated(tmp_path_factory.mktemp("data")) as folder:
        yield folder


@pytest.fixture
def data(server: Path) -> Path:
    sql(server, "DROP SCHEMA IF EXISTS silver CASCADE")
    return server


def test_status_says_what_is_there_and_what_the_last_load_did(tmp_path: Path, data: Path) -> None:
    assert status(settings(data)) is None
    run(tmp_path, data, files(tmp_path / "f", [row(1), row(2, deleted=True), row(3, source="other")], rejected=4))
    found = status(settings(data))
    assert found is not None
    assert (found["table"], found["rows"]) == ("silver.records", 3)
    assert [(s["source"], s["records"], s["deleted"]) for s in found["sources"]] == [("demo", 2, 1), ("other", 1, 0)]
    assert [(r["action"], r["inserted"], r["rejected"]) for r in found["runs"]] == [("load", 3, 4)]


def test_verify_sees_lost_altered_doubled_and_missing_rows(tmp_path: Path, data: Path) -> None:
    inputs = files(tmp_path / "f", [row(1, event_id="e1"), row(2, event_id="e2")])
    wanted = inputs["records"].sha256
    assert verify(settings(data), wanted) == ["silver.records: nothing was ever loaded."]
    assert verify(settings(data), None) == []
    run(tmp_path, data, inputs)
    assert verify(settings(data), wanted) == []
    assert verify(settings(data), "0" * 64) == ["silver.records: the current records are not loaded."]
    sql(data, "UPDATE silver.records SET event_id = 'e1', value = 5")
    assert verify(settings(data), wanted) == [
        "silver.records: the rows are not those that were loaded; their checksum differs from the ledger's.",
        "silver.records: 1 events are told more than once.",
    ]
    sql(data, "DELETE FROM silver.records WHERE source_id = 'id:1'")
    assert verify(settings(data), wanted) == ["silver.records: the ledger says 2 rows, the table has 1."]


def test_an_erased_source_is_gone_and_the_same_file_is_loaded_again_when_it_comes_back(tmp_path: Path, data: Path) -> None:
    both = files(tmp_path / "f", [row(1), row(2), row(1, source="other")])
    run(tmp_path, data, both)
    assert erasing.plan(settings(data), ["demo", "none"]) == [("demo", 2)]
    assert erasing.erase(settings(data), ["demo", "none"]) == [("demo", 2)]
    assert sql(data, IDS) == [("other", "id:1")]
    assert sql(data, "SELECT source FROM silver.checkpoints") == [("other",)]
    assert not held(both, data)
    assert erasing.erase(settings(data), ["demo"]) == []
    run(tmp_path, data, both)
    assert len(sql(data, IDS)) == 3


def test_nothing_of_an_erased_row_is_left_on_disk(tmp_path: Path) -> None:
    data, secret = made_once.cluster(tmp_path / "data"), "a word only this person would write"
    run(tmp_path, data, files(tmp_path / "f", [row(1, description=secret), row(2, source="other")]))
    erasing.erase(settings(data), ["demo"])
    bronze_erasing.erase(settings(data), {})
    left = [path for path in (data / "postgres").rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert left == []


def test_erasing_everything_of_a_configured_database_drops_the_schema(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data, files(tmp_path / "f", [row(1)]))
    erasing.erase_everything(settings(data))
    assert sql(data, "SELECT count(*) FROM pg_namespace WHERE nspname = 'silver'") == [(0,)]
    erasing.erase_everything(settings(data))


def test_a_month_taken_out_of_bronze_leaves_silver_until_it_is_brought_back(tmp_path: Path, data: Path) -> None:
    rows = [record(0, source_timestamp=OLD), record(1, source_timestamp=YOUNG)]
    StageBench(tmp_path / "bronze").run(load_bronze, Artifacts(tmp_path / "a", "demo").inputs(rows), settings(data))
    inputs = files(tmp_path / "f", [row(0, occurred_at=OLD), row(1, occurred_at=YOUNG)])
    run(tmp_path, data, inputs)
    assert len(retention.retire(settings(data), date(2021, 1, 1))) == 1
    assert sql(data, IDS) == [("demo", "id:1")]
    assert held(inputs, data)
    assert verify(settings(data), inputs["records"].sha256) == []
    retention.restore(settings(data), date(2020, 1, 1))
    assert not held(inputs, data)
    run(tmp_path, data, inputs)
    assert sql(data, IDS) == [("demo", "id:0"), ("demo", "id:1")]
