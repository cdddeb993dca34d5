"""Unified records in PostgreSQL: the table says what the file says, exactly, however often it is loaded and wherever it is killed."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from config.errors import WarehouseError
from config.stage import File
from config.tables import REJECTED_RECORDS, TableWriter
from tests.postgres_bench import migrated, python, said, served, settings, sql
from tests.stage_bench import StageBench, as_file
from warehouse.bronze.connection import Connection, connect
from warehouse.silver import load as loading
from warehouse.silver import schema
from warehouse.silver.layout import UNIFIED
from warehouse.silver.ledger import holds
from warehouse.silver.load import load
from warehouse.silver.statements import COLUMNS

AT = datetime(2024, 5, 1, 12, tzinfo=UTC)
ROWS = "SELECT source, source_id, value, deleted FROM silver.records ORDER BY 1, 2"
RUNS = "SELECT action, came, inserted, updated, unchanged, deleted, removed, rows FROM silver.runs ORDER BY id"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with migrated(tmp_path_factory.mktemp("data")) as folder:
        yield folder


@pytest.fixture
def data(server: Path) -> Path:
    """The shared server, without silver in it."""
    sql(server, "DROP SCHEMA IF EXISTS silver CASCADE")
    return server


def row(number: int, **changed: Any) -> dict[str, Any]:
    plain = {"source": "demo", "source_id": f"id:{number}", "value": number / 7, "occurred_at": AT, "deleted": False}
    place = {"raw_id": f"id:{number}", "raw_artifact": "raw/demo/a.json", "position": f"record {number}"}
    return dict.fromkeys(UNIFIED.names) | plain | place | changed


def files(folder: Path, rows: list[dict[str, Any]], rejected: int = 0) -> dict[str, File]:
    folder.mkdir(exist_ok=True)
    name = folder / f"records{len(list(folder.iterdir()))}"
    with name.open("wb") as sink, TableWriter(sink, UNIFIED) as writer:
        for one in sorted(rows, key=lambda one: (one["source"], one["source_id"])):
            writer.append(one[column] for column in UNIFIED.names)
    refused = folder / f"{name.name}.rejected"
    with refused.open("wb") as sink, TableWriter(sink, REJECTED_RECORDS) as writer:
        for number in range(rejected):
            writer.append((f"bad:{number}", "value_type", "value", "demo", "raw/demo/a.json", "record"))
    return {"records": as_file(name), "rejected": as_file(refused)}


def run(tmp_path: Path, data: Path, inputs: dict[str, File], **changed: Any) -> dict[str, Any]:
    return dict(StageBench(tmp_path / f"out{time.monotonic_ns()}").run(load, inputs, settings(data) | changed)[0])


def held(inputs: dict[str, File], data: Path, **changed: Any) -> bool:
    return holds({role: [(f.name, f.sha256, 1)] for role, f in inputs.items()}, settings(data) | changed)


def test_only_what_differs_is_written_and_the_run_says_how_much(tmp_path: Path, data: Path) -> None:
    first = files(tmp_path / "f", [row(n) for n in range(5)], rejected=2)
    assert run(tmp_path, data, first)["balance"]["fates"] == {"accepted": 5, "unused:unchanged": 0, "unused:retired": 0}
    before = sql(data, "SELECT source_id, xmin::text, first_loaded_at FROM silver.records ORDER BY 1")
    rows = [row(0), row(1, value=99.0), row(2, deleted=True), row(4), row(7)]
    report = run(tmp_path, data, files(tmp_path / "f", rows))
    assert report["balance"]["fates"] == {"accepted": 3, "unused:unchanged": 2, "unused:retired": 0}
    assert report["findings"] == [
        {"code": "silver_removed", "message": "Rows whose records are no more were taken out of silver.records.", "count": 1}
    ]
    assert sql(data, ROWS) == [
        ("demo", "id:0", 0.0, False),
        ("demo", "id:1", 99.0, False),
        ("demo", "id:2", 2 / 7, True),
        ("demo", "id:4", 4 / 7, False),
        ("demo", "id:7", 1.0, False),
    ]
    after = {key: (xmin, at) for key, xmin, at in sql(data, "SELECT source_id, xmin::text, first_loaded_at FROM silver.records")}
    same = {key for key, xmin, at in before if after.get(key) == (xmin, at)}
    assert same == {"id:0", "id:4"}  # rows that say the same were not touched
    assert [at for key, _, at in before if key == "id:1"] == [after["id:1"][1]]
    assert sql(data, RUNS) == [("load", 5, 5, 0, 0, 0, 0, 5), ("load", 5, 1, 1, 2, 1, 1, 5)]
    assert sql(data, "SELECT rejected FROM silver.runs ORDER BY id") == [(2,), (0,)]
    assert sql(data, "SELECT source, records, deleted, newest_occurred_at FROM silver.checkpoints") == [("demo", 5, 1, AT)]


def test_the_same_file_again_changes_nothing_and_the_ledger_knows_only_the_newest(tmp_path: Path, data: Path) -> None:
    one, other = files(tmp_path / "f", [row(1)]), files(tmp_path / "f", [row(2)])
    assert not held(one, data)
    run(tmp_path, data, one)
    assert held(one, data)
    assert run(tmp_path, data, one)["balance"]["fates"] == {
        "accepted": 1,
        "unused:unchanged": 0,
        "unused:retired": 0,
    }  # one attempt
    run(tmp_path, data, other)
    assert (held(one, data), held(other, data)) == (False, True)
    run(tmp_path, data, one)
    assert sql(data, ROWS) == [("demo", "id:1", 1 / 7, False)]
    assert len(sql(data, RUNS)) == 3


def test_a_database_made_anew_is_loaded_again(tmp_path: Path, data: Path) -> None:
    inputs = files(tmp_path / "f", [row(n) for n in range(3)])
    run(tmp_path, data, inputs)
    for loss in ("DROP SCHEMA silver CASCADE", "DROP TABLE silver.records"):
        sql(data, loss)
        assert not held(inputs, data)
        run(tmp_path, data, inputs)
        assert (held(inputs, data), len(sql(data, ROWS))) == (True, 3)


def test_the_ledger_answers_without_a_server_after_a_clean_stop(tmp_path: Path) -> None:
    inputs = files(tmp_path / "f", [row(1)])
    with served(tmp_path / "data") as data:
        run(tmp_path, data, inputs)
    assert held(inputs, data)
    assert not list((data / "postgres").glob("pg*/postmaster.pid"))
    assert not held(files(tmp_path / "f", [row(2)]), data)


class _Stop(BaseException):
    """A death between two statements."""


def test_killed_before_any_statement_it_is_all_or_nothing(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = files(tmp_path / "f", [row(n) for n in range(4)]), files(tmp_path / "f", [row(n, value=-1.0) for n in range(2, 9)])
    run(tmp_path, data, old)
    before = sql(data, ROWS)
    left = [0]

    class Dying:
        """A session that dies before its nth statement."""

        def __init__(self, session: Connection) -> None:
            self._session = session

        def __getattr__(self, name: str) -> Any:
            if name in {"execute", "cursor"}:
                if not left[0]:
                    raise _Stop
                left[0] -= 1
            return getattr(self._session, name)

    whole = loading._load
    monkeypatch.setattr(loading, "_load", lambda session, *rest: whole(cast("Connection", Dying(session)), *rest))
    deaths = 0
    for left[0] in range(100):
        budget = left[0]
        try:
            report = run(tmp_path, data, new)
        except _Stop:
            deaths += 1
            assert sql(data, ROWS) == before
            assert (held(old, data), held(new, data)) == (True, False)
            left[0] = budget
            continue
        break
    assert deaths > 10
    assert report["balance"]["fates"]["accepted"] == 7
    assert [value for _, _, value, _ in sql(data, ROWS)] == [-1.0] * 7


def test_a_loader_killed_for_good_leaves_the_old_rows_and_the_next_one_finishes(tmp_path: Path, data: Path) -> None:
    old = files(tmp_path / "f", [row(1)])
    run(tmp_path, data, old)
    new = files(tmp_path / "f", [row(n) for n in range(2, 40_000)])
    code = """
        import sys, json
        from pathlib import Path
        from tests.stage_bench import StageBench, as_file
        from warehouse.silver.load import load
        files = {"records": as_file(sys.argv[1]), "rejected": as_file(sys.argv[2])}
        print(StageBench(Path(sys.argv[3])).run(load, files, json.loads(sys.argv[4]))[0]["balance"]["came"])
    """
    arguments = (new["records"].path, new["rejected"].path, str(tmp_path / "own"), json.dumps(settings(data)))
    with connect(settings(data)) as rival, rival.transaction():
        rival.execute("LOCK TABLE silver.records IN EXCLUSIVE MODE")  # it has sent all, and waits to write
        process = python(code, *arguments)
        waits = "SELECT count(*) FROM pg_locks WHERE relation = 'silver.records'::regclass AND NOT granted"
        deadline = time.monotonic() + 60
        while not sql(data, waits)[0][0]:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert len(sql(data, ROWS)) == 1
    assert said(python(code, *arguments[:2], str(tmp_path / "again"), arguments[3])) == "39998"
    assert sql(data, "SELECT count(*) FROM silver.records") == [(39_998,)]
    assert held(new, data)


def test_examples_make_room_for_real_records_and_are_refused_beside_them(tmp_path: Path, data: Path) -> None:
    shipped, real = files(tmp_path / "f", [row(1)]), files(tmp_path / "f", [row(2)])
    run(tmp_path, data, shipped, environment="example")
    run(tmp_path, data, real)
    assert sql(data, ROWS) == [("demo", "id:2", 2 / 7, False)]
    with pytest.raises(WarehouseError, match="real records"):
        run(tmp_path, data, shipped, environment="example")
    assert not held(real, data, environment="example")


def test_months_taken_out_of_bronze_do_not_come_back_through_silver(tmp_path: Path, data: Path) -> None:
    run(tmp_path, data, files(tmp_path / "f", []))
    sql(data, "INSERT INTO bronze_retired (source, month, rows, hash_sum, action) VALUES ('demo', '2024-05-01', 1, 0, 'dropped')")
    try:
        report = run(
            tmp_path,
            data,
            files(tmp_path / "f", [row(1), row(2, occurred_at=datetime(2024, 6, 1, tzinfo=UTC)), row(3, occurred_at=None)]),
        )
    finally:
        sql(data, "DELETE FROM bronze_retired")
    assert report["balance"]["fates"] == {"accepted": 2, "unused:unchanged": 0, "unused:retired": 1}
    assert [key for _, key, _, _ in sql(data, ROWS)] == ["id:2", "id:3"]


def test_text_that_looks_like_copy_syntax_and_numbers_arrive_unchanged(tmp_path: Path, data: Path) -> None:
    nasty = "\\N \\. \t \r\n \\\\ \x02 \u2028 ' \" {,} 😀"
    moment = datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC)
    run(tmp_path, data, files(tmp_path / "f", [row(1, source_id=nasty, description=nasty, value=5e-324, updated_at=moment)]))
    assert sql(data, "SELECT source_id, description, value, updated_at FROM silver.records") == [(nasty, nasty, 5e-324, moment)]


def test_two_at_once_and_a_newer_database_are_harmless(tmp_path: Path, data: Path) -> None:
    with connect(settings(data)) as session:
        schema.migrate(session)
        schema.migrate(session)
        with session.transaction(force_rollback=True):
            session.execute("INSERT INTO silver.migrations (name, sha256) VALUES ('9999_future.sql', '')")
            with pytest.raises(WarehouseError, match="newer version"):
                schema.migrate(session)


def test_a_login_that_only_loads_may_load_and_one_that_only_reads_may_not(tmp_path: Path, data: Path) -> None:
    from psycopg.conninfo import make_conninfo

    from warehouse.bronze.access.initialise import initialise
    from warehouse.bronze.embedded import server as embedded

    initialise(settings(data), [])
    schema.initialise(settings(data))
    for role in ("ingest", "dashboard"):
        sql(
            data,
            f"DO $$ BEGIN CREATE ROLE silver_{role} LOGIN IN ROLE bronze_{role}; EXCEPTION WHEN duplicate_object THEN END $$",
        )
    with embedded.embedded(str(data)) as dsn:
        inputs = files(tmp_path / "f", [row(1)])
        assert run(tmp_path, data, inputs, database=make_conninfo(dsn, user="silver_ingest"))["balance"]["fates"]["accepted"] == 1
        with psycopg.connect(dsn, user="silver_dashboard") as reader:
            assert reader.execute("SELECT count(*) FROM silver.records").fetchall() == [(1,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("DELETE FROM silver.records")
        for statement in ("ALTER SCHEMA silver OWNER TO CURRENT_USER", "ALTER TABLE silver.records OWNER TO CURRENT_USER"):
            sql(data, statement)  # as a restored backup leaves it
        initialise(settings(data), [])
        assert run(tmp_path, data, files(tmp_path / "f", [row(2)]))["balance"]["fates"]["accepted"] == 1


def test_the_table_has_the_columns_of_the_file() -> None:
    assert tuple(UNIFIED.names) == COLUMNS
