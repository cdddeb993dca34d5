"""The catalog views and `bronze status`: what there is, how it grew, how fresh and how good it is; and what `verify` says by month."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.errors import WarehouseError
from tests.cli_bench import Cli
from tests.postgres_bench import Artifacts, letter, migrated, record, served, settings, sql
from tests.stage_bench import StageBench
from warehouse.bronze import schema
from warehouse.bronze.checking.status import status, verify
from warehouse.bronze.connection import connect
from warehouse.bronze.load import load

COLUMNS = (
    "source, table_name, partition_name, month, state, rows, table_bytes, index_bytes, first_loaded_at, last_loaded_at, examples, "
    "retired_rows, retired_at"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with migrated(tmp_path_factory.mktemp("data")) as folder:
        yield folder


@pytest.fixture
def source(request: pytest.FixtureRequest) -> str:
    """A source of its own for each test: they share one server."""
    return f"s_{hashlib.sha256(request.node.name.encode()).hexdigest()[:10]}"


def loaded(folder: Path, data: Path, source: str, *artifacts: list[dict[str, Any]], **changed: Any) -> list[Any]:
    """Load these artifacts one after the other; gives the records files."""
    made, files = Artifacts(folder / "artifacts", source), []
    for number, rows in enumerate(artifacts):
        inputs = made.inputs(rows, [letter(90)])
        StageBench(folder / f"out{number}").run(load, inputs, settings(data) | changed)
        files.append(inputs["records"])
    return files


TWO_MONTHS = [*(record(n) for n in range(20)), record(50, source_timestamp=None)]


def test_the_catalog_has_a_row_for_every_partition_with_what_it_holds(tmp_path: Path, data: Path, source: str) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)
    loaded(tmp_path, data, source, TWO_MONTHS, [*TWO_MONTHS, record(30), record(50)])
    found = sql(data, f"SELECT {COLUMNS} FROM bronze_catalog WHERE source = %s ORDER BY month", source)
    table = f"bronze_{source}"
    assert [row[:6] for row in found] == [
        (source, table, f"{table}_y2024m01", date(2024, 1, 1), "attached", 1),
        (source, table, f"{table}_y2024m02", date(2024, 2, 1), "attached", 21),
        (source, table, f"{table}_default", None, "attached", 0),  # its one row is told its time by the second load
    ]
    counted = dict(sql(data, f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1"))
    assert {row[2]: row[5] for row in found if row[5]} == counted
    sizes = dict(sql(data, "SELECT relname::text, pg_total_relation_size(oid) FROM pg_class WHERE relname LIKE %s", f"{table}_%"))
    assert {row[2]: row[6] + row[7] for row in found} == {row[2]: sizes[row[2]] for row in found}
    first, last = found[1][8:10]
    assert began < first < last < datetime.now(UTC) + timedelta(seconds=2)
    assert [row[10:] for row in found] == [(False, 0, None)] * 3


def test_growth_counts_loads_rows_and_bytes_by_the_month_of_loading(tmp_path: Path, data: Path, source: str) -> None:
    files = loaded(tmp_path, data, source, TWO_MONTHS, [*TWO_MONTHS, record(30)], TWO_MONTHS[:3])
    sql(data, "UPDATE bronze_loads SET loaded_at = '2024-05-06' WHERE source = %s AND file_hash = %s", source, files[0].sha256)
    this_month = datetime.now(UTC).date().replace(day=1)
    found = sql(data, "SELECT month, loads, rows, artifact_bytes FROM bronze_growth WHERE source = %s ORDER BY month", source)
    assert found == [(date(2024, 5, 1), 1, 21, files[0].size), (this_month, 2, 1, files[1].size + files[2].size)]


def test_the_views_read_no_row_of_a_source_and_need_no_right_on_its_table(tmp_path: Path, data: Path, source: str) -> None:
    loaded(tmp_path, data, source, TWO_MONTHS)
    with connect(settings(data)) as session, session.transaction(force_rollback=True):
        session.execute(
            "CREATE ROLE onlooker; GRANT SELECT ON bronze_catalog, bronze_growth TO onlooker; SET LOCAL ROLE onlooker"
        )
        rows = session.execute("SELECT sum(rows) FROM bronze_catalog WHERE source = %s", (source,)).fetchone()
        assert rows == (21,)
        assert session.execute("SELECT sum(rows) FROM bronze_growth WHERE source = %s", (source,)).fetchone() == (21,)
        plan = "\n".join(row[0] for row in session.execute("EXPLAIN SELECT * FROM bronze_catalog, bronze_growth").fetchall())
        assert f"bronze_{source}" not in plan
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(f"SELECT FROM bronze_{source}")


def test_examples_are_marked_and_a_table_without_a_load_has_its_empty_partition(tmp_path: Path, data: Path, source: str) -> None:
    loaded(tmp_path, data, source, TWO_MONTHS, environment="example")
    with connect(settings(data)) as session:
        schema.create_source(session, f"{source}_b")
    marked = (
        "SELECT source, bool_or(examples), sum(rows), count(*) FROM bronze_catalog WHERE source LIKE %s GROUP BY 1 ORDER BY 1"
    )
    assert sql(data, marked, f"{source}%") == [(source, True, 21, 3), (f"{source}_b", False, 0, 1)]
    sql(data, f"DROP TABLE bronze_{source} CASCADE; DROP TABLE bronze_{source}_b CASCADE")
    for table in ("bronze_loads", "bronze_loaded_months"):
        sql(data, f"DELETE FROM {table} WHERE source = %s", source)


def test_a_month_whose_partition_is_gone_is_missing_in_the_catalog(tmp_path: Path, data: Path, source: str) -> None:
    loaded(tmp_path, data, source, TWO_MONTHS)
    sql(data, f"DROP TABLE bronze_{source}_y2024m02")
    states = sql(data, "SELECT month, state, partition_name, rows, table_bytes FROM bronze_catalog WHERE source = %s", source)
    assert (date(2024, 2, 1), "missing", None, 19, 0) in states


def test_rows_loaded_before_the_ledger_knew_months_are_in_it_after_the_migration(tmp_path: Path, data: Path, source: str) -> None:
    loaded(tmp_path, data, source, TWO_MONTHS, [*TWO_MONTHS, record(30)])
    months = "SELECT load_id, month, rows, hash_sum FROM bronze_loaded_months WHERE source = %s ORDER BY 1, 2"
    before = sql(data, months, source)
    sql(data, "DELETE FROM bronze_loaded_months WHERE source = %s", source)
    sql(data, "DELETE FROM bronze_migrations WHERE name = %s", f"bronze_{source}/0004_months.sql")
    with connect(settings(data)) as session:
        schema.create_source(session, source)
    assert sql(data, months, source) == before
    assert len(before) == 4


def test_status_tells_size_growth_freshness_quality_and_retired_months(tmp_path: Path, data: Path, source: str) -> None:
    newest = datetime.now(UTC) - timedelta(hours=5)
    loaded(tmp_path, data, source, [*TWO_MONTHS, record(60, source_timestamp=newest)])
    (found,) = [t for t in status(settings(data))["tables"] if t["source"] == source]
    for key, value in {"rows": 22, "partitions": 4, "dead_letters": 1, "loads": 1, "example": False}.items():
        assert found[key] == value
    assert found["table_bytes"] + found["index_bytes"] == found["bytes"] > 0
    assert 4.9 < found["fresh_hours"] < 5.1
    assert [(g["loads"], g["rows"]) for g in found["growth"]] == [(1, 22)]
    assert found["retired"] == {"months": [], "rows": 0, "bytes": 0}
    sql(
        data,
        "INSERT INTO bronze_quality (load_id, source, environment, lineage_id, measured_at, records, completeness, validity, score,"
        " duplicates, dead, wanted, missed) VALUES (gen_random_uuid(), %s, '', '', '2099-01-01', 1, 0.5, 0.75, 0.6, 0, 0, '{}',"
        " '{completeness}')",
        source,
    )
    (found,) = [t for t in status(settings(data))["tables"] if t["source"] == source]
    assert found["quality"] == {
        "measured_at": "2099-01-01T00:00:00+00:00",
        "completeness": 0.5,
        "validity": 0.75,
        "score": 0.6,
        "missed": ["completeness"],
    }


def test_verify_sees_rows_that_lie_in_another_month_than_the_ledger_says(tmp_path: Path, data: Path, source: str) -> None:
    loaded(tmp_path, data, source, TWO_MONTHS)
    sql(data, "UPDATE bronze_loaded_months SET month = '2024-03-01' WHERE source = %s AND month = '2024-01-01'", source)
    assert [p for p in verify(settings(data), {}) if source in p] == [
        f"bronze_{source}: 2 months do not hold the rows the ledger says: python main.py bronze reconcile {source}"
    ]


def test_a_database_of_an_older_program_is_told_to_be_brought_up_to_date(tmp_path: Path) -> None:
    with served(tmp_path / "data") as data:
        with connect(settings(data)) as session:
            session.execute(psycopg.sql.SQL(schema.migrations()["0001_common.sql"]))
        with pytest.raises(WarehouseError, match="older version"):
            status(settings(data))
        assert verify(settings(data), {"demo": ""}) == [
            "bronze: The bronze database was made by an older version of this program. Bring it up to date: python main.py bronze init"
        ]


def test_the_command_shows_it_as_a_table(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    assert "There is no bronze database yet" in cli("bronze", "status").stdout
    path = cli.data / "inbox/bp_csv/bp.csv"
    path.parent.mkdir(parents=True)
    path.write_text("Date,Heart rate,Systolic,Diastolic,Comments\n2024-03-03 06:27:47,56,121,79,\n")
    assert cli().returncode == 0
    head, line = cli("bronze", "status").stdout.splitlines()
    assert head.split() == ["table", "rows", "size", "partitions", "dead", "letters", "newest", "quality"]
    assert line.split()[:2] == ["bronze_bp_csv", "1"]
    assert " d ago" in line
    assert {"database", "server_version", "tables", "rows", "dead_letters", "loads", "bytes", "silver"} == set(
        cli.json("bronze", "status")
    )
