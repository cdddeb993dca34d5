"""The question the engine asks before it skips a load: is this artifact in the database? Never yes when it is not."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import made_once
from tests.postgres_bench import ROOT, Artifacts, asked, letter, record, settings, sql
from tests.stage_bench import StageBench
from warehouse.bronze.checking.status import verify
from warehouse.bronze.console import psql
from warehouse.bronze.embedded import cluster, lifecycle, server
from warehouse.bronze.ledger import holds
from warehouse.bronze.load import load


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return Artifacts(tmp_path_factory.mktemp("artifacts")).inputs([record(0), record(1)], [letter(2)])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, inputs: dict[str, Any]) -> Path:
    """A data root in which `inputs` were loaded, its server stopped cleanly."""
    folder = tmp_path_factory.mktemp("template")
    StageBench(folder / "out").run(load, inputs, settings(made_once.cluster(folder / "data")))
    server.release(str(folder / "data"))
    return folder / "data"


@pytest.fixture
def data(tmp_path: Path, template: Path) -> Iterator[Path]:
    subprocess.run(["cp", "-a", str(template), str(tmp_path / "data")], check=True)
    yield tmp_path / "data"
    server.release(str(tmp_path / "data"))


def running(data: Path) -> bool:
    return lifecycle.running(cluster.locate(str(data))) is not None


def ledger(data: Path) -> Path:
    return data / "postgres" / "ledger.json"


def test_after_a_clean_stop_the_file_answers_and_nothing_is_started(data: Path, inputs: dict[str, Any]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (data / "postgres").rglob("*")}
    assert holds(asked(inputs), settings(data))
    assert not holds(asked(inputs | {"records": inputs["dead_letters"]._replace(name="records/demo.parquet")}), settings(data))
    assert before == {path: path.stat().st_mtime_ns for path in (data / "postgres").rglob("*")}
    assert stat.S_IMODE(ledger(data).stat().st_mode) == 0o600


def test_the_answer_needs_no_driver_and_no_server(data: Path, inputs: dict[str, Any]) -> None:
    code = (
        "import json, sys; from warehouse.bronze.ledger import holds;"
        "print(holds(json.loads(sys.argv[1]), json.loads(sys.argv[2])),"
        " [m for m in ('psycopg', 'pyarrow', 'pandas', 'subprocess', 'multiprocessing') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, json.dumps(asked(inputs)), json.dumps(settings(data))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"


def test_records_whose_dead_letters_are_not_loaded_are_not_held(data: Path, inputs: dict[str, Any]) -> None:
    other = inputs | {"dead_letters": inputs["dead_letters"]._replace(sha256="0" * 64)}
    assert not holds(asked(other), settings(data))


def test_example_and_real_loads_are_told_apart(data: Path, inputs: dict[str, Any]) -> None:
    assert not holds(asked(inputs), settings(data, environment="example"))


def test_without_a_database_nothing_is_held_and_none_is_made(tmp_path: Path, inputs: dict[str, Any]) -> None:
    assert not holds(asked(inputs), settings(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_a_running_server_is_asked(data: Path, inputs: dict[str, Any]) -> None:
    with server.embedded(str(data)):
        ledger(data).write_text("{}")
        assert holds(asked(inputs), settings(data))


def test_after_a_crash_the_database_is_asked_and_then_the_file_again(data: Path, inputs: dict[str, Any]) -> None:
    with server.embedded(str(data)):
        served = lifecycle.running(cluster.locate(str(data)))
        assert served
        os.kill(served, signal.SIGKILL)
    assert holds(asked(inputs), settings(data))
    assert running(data)
    server.release(str(data))
    assert holds(asked(inputs), settings(data))
    assert not running(data)


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE bronze_demo CASCADE", "DELETE FROM bronze_loads"],
)
def test_what_was_removed_by_hand_is_not_held(data: Path, inputs: dict[str, Any], statement: str) -> None:
    assert psql(settings(data), ["-Xqc", statement]) == 0
    assert not holds(asked(inputs), settings(data))
    server.release(str(data))
    assert not holds(asked(inputs), settings(data))
    assert not running(data)


def test_a_write_by_psql_alone_makes_the_file_stale_until_the_last_one_leaves(data: Path, inputs: dict[str, Any]) -> None:
    told = ledger(data).read_text()
    sql(data, "CREATE TABLE other (n int)")
    assert ledger(data).read_text() != told
    ledger(data).write_text(told)  # what a crash before the rename would have left
    assert holds(asked(inputs), settings(data))
    assert running(data)  # it did not believe the file


def test_a_dropped_database_holds_nothing_and_the_next_load_makes_it_again(
    data: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    with server.embedded(str(data)) as dsn, psycopg.connect(dsn, dbname="postgres", autocommit=True) as session:
        session.execute(f"DROP DATABASE {server.DATABASE}")
    assert not holds(asked(inputs), settings(data))
    assert verify(settings(data), {"demo": inputs["records"].sha256}) != []
    report, _ = StageBench(tmp_path / "out").run(load, inputs, settings(data))
    assert report["balance"]["fates"] == {"accepted": 2, "duplicate": 0}
    server.release(str(data))
    assert holds(asked(inputs), settings(data))


@pytest.mark.parametrize("content", ["", '{"cluster": "pg18"}'])
def test_a_damaged_file_is_not_believed(data: Path, inputs: dict[str, Any], content: str) -> None:
    ledger(data).write_text(content)
    assert holds(asked(inputs), settings(data))


def test_a_removed_cluster_holds_nothing_whatever_the_file_says(data: Path, inputs: dict[str, Any]) -> None:
    (found,) = (data / "postgres").glob("pg[0-9][0-9]")
    found.rename(tmp := data / "postgres" / "away")
    assert tmp.exists()
    assert not holds(asked(inputs), settings(data))
    assert verify(settings(data), {"demo": inputs["records"].sha256}) == [
        "bronze: There is no bronze database yet. Run the pipeline once."
    ]


def test_a_configured_server_is_asked_and_one_that_is_gone_holds_nothing(
    data: Path, inputs: dict[str, Any], tmp_path: Path
) -> None:
    with server.embedded(str(data)) as dsn:
        assert holds(asked(inputs), settings(tmp_path / "unused", database=dsn))
        assert not holds(asked(inputs), settings(tmp_path / "unused", database=dsn + " dbname=absent"))
    assert not holds(asked(inputs), settings(tmp_path / "unused", database=dsn))
