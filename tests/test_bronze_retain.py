"""Retention: whole months go and come back, the ledger still adds up, no load brings them back, and only the owner may."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench.bronze_servers import MissingError, running
from config.errors import UsageError, WarehouseError
from tests.cli_bench import Cli
from tests.made_once import cluster
from tests.postgres_bench import Artifacts, migrated, record, settings, sql
from tests.roles_bench import PEOPLE, Place, place
from tests.stage_bench import StageBench
from warehouse.bronze.checking.reconcile import reconcile
from warehouse.bronze.checking.repair import repair
from warehouse.bronze.checking.retention import due, kept, restore, retire
from warehouse.bronze.checking.status import status, verify
from warehouse.bronze.connection import connect
from warehouse.bronze.load import load


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with migrated(tmp_path_factory.mktemp("data")) as folder:
        yield folder


@pytest.fixture
def source(request: pytest.FixtureRequest) -> str:
    """A source of its own for each test: they share one server."""
    return f"s_{hashlib.sha256(request.node.name.encode()).hexdigest()[:10]}"


def at(year: int, month: int, day: int = 15) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


YEAR = [record(n, source_timestamp=at(2023, 1 + n % 12, 1 + n // 12)) for n in range(60)]
"""Five records in every month of 2023."""
RECORDS = [*YEAR, *(record(100 + n, source_timestamp=None) for n in range(3))]


class Bronze:
    """One source in the shared database."""

    def __init__(self, folder: Path, data: Path, source: str) -> None:
        self.settings, self.folder, self.source = settings(data), folder, source
        self.made = Artifacts(folder / "artifacts", source)
        self.inputs: dict[str, Any] = {}

    def load(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        self.inputs = self.made.inputs(rows)
        bench = StageBench(self.folder / f"out{len(list(self.folder.iterdir()))}")
        return dict(bench.run(load, self.inputs, self.settings)[0])

    def differences(self) -> list[tuple[str, int]]:
        files = {role: given if isinstance(given, list) else [given] for role, given in self.inputs.items()}
        (outcome,) = reconcile(self.settings, {self.source: files}, [self.source])
        if outcome.differences:
            repair(self.settings, outcome, files)
        assert [p for p in verify(self.settings, {}) if self.source in p] == []
        return [(d.code, d.count) for d in outcome.differences]

    def rows(self) -> int:
        return int(sql(self.settings["data_dir"], f"SELECT count(*) FROM bronze_{self.source}")[0][0])

    def status(self) -> dict[str, Any]:
        (found,) = [t for t in status(self.settings)["tables"] if t["source"] == self.source]
        return dict(found)


@pytest.fixture
def bronze(tmp_path: Path, data: Path, source: str) -> Bronze:
    found = Bronze(tmp_path, data, source)
    found.load(RECORDS)
    return found


def test_only_whole_months_before_the_day_are_due_and_undated_rows_never(bronze: Bronze) -> None:
    def months(before: date) -> list[str]:
        return [f"{m.month:%m}" for m in due(bronze.settings, before, [bronze.source])]

    assert months(date(2023, 1, 31)) == []
    assert months(date(2023, 2, 1)) == ["01"]
    assert months(date(2023, 4, 30)) == ["01", "02", "03"]
    assert months(date(9999, 12, 31)) == [f"{n:02}" for n in range(1, 13)]


def test_showing_what_is_due_changes_nothing(bronze: Bronze) -> None:
    before = sql(bronze.settings["data_dir"], "SELECT relname, relkind FROM pg_class WHERE relname LIKE 'bronze%' ORDER BY 1")
    (january, _) = due(bronze.settings, date(2023, 3, 1), [bronze.source], drop=True)
    assert january[:4] == (bronze.source, date(2023, 1, 1), f"bronze_{bronze.source}_y2023m01", False)
    assert january.rows == 5
    assert january.size > 8192
    assert january.first_loaded_at is not None
    assert january.first_loaded_at == january.last_loaded_at
    after = sql(bronze.settings["data_dir"], "SELECT relname, relkind FROM pg_class WHERE relname LIKE 'bronze%' ORDER BY 1")
    assert after == before
    assert bronze.rows() == 63


@pytest.mark.parametrize("drop", [False, True])
def test_a_month_that_went_is_no_difference_and_no_load_brings_it_back(bronze: Bronze, drop: bool) -> None:
    gone = retire(bronze.settings, date(2023, 4, 1), [bronze.source], drop=drop)
    assert [(m.month.month, m.rows) for m in gone] == [(1, 5), (2, 5), (3, 5)]
    assert bronze.rows() == 48
    assert bronze.differences() == []
    grown = [*RECORDS, record(200, source_timestamp=at(2023, 2)), record(201, source_timestamp=at(2023, 7))]
    bronze.load(grown)
    assert bronze.rows() == 49
    assert bronze.differences() == []
    bronze.load(grown[::2])
    assert bronze.differences() == []
    told = bronze.status()["retired"]
    assert (told["months"], told["rows"], told["bytes"] > 0) == (["2023-01", "2023-02", "2023-03"], 15, not drop)


def test_a_second_time_nothing_is_due(bronze: Bronze) -> None:
    assert len(retire(bronze.settings, date(2023, 4, 1), [bronze.source])) == 3
    assert retire(bronze.settings, date(2023, 4, 1), [bronze.source]) == []
    assert bronze.rows() == 48
    assert bronze.differences() == []


def test_a_detached_month_lives_on_as_a_table_and_is_dropped_when_asked(bronze: Bronze) -> None:
    retire(bronze.settings, date(2023, 3, 1), [bronze.source])
    table = f"bronze_{bronze.source}_y2023m01_kept"
    assert sql(bronze.settings["data_dir"], f"SELECT count(*) FROM {table}") == [(5,)]
    assert due(bronze.settings, date(2023, 3, 1), [bronze.source]) == []
    again = retire(bronze.settings, date(2023, 2, 1), [bronze.source], drop=True)
    assert [(m.table, m.detached) for m in again] == [(table, True)]
    assert sql(bronze.settings["data_dir"], "SELECT to_regclass(%s)", table) == [(None,)]
    query = "SELECT month, action, kept_as, rows FROM bronze_retired WHERE source = %s ORDER BY 1"
    assert sql(bronze.settings["data_dir"], query, bronze.source) == [
        (date(2023, 1, 1), "dropped", None, 5),
        (date(2023, 2, 1), "detached", f"bronze_{bronze.source}_y2023m02_kept", 5),
    ]
    query = "SELECT state, partition_name, rows, retired_rows, table_bytes > 0 FROM bronze_catalog WHERE source = %s ORDER BY month LIMIT 3"
    assert sql(bronze.settings["data_dir"], query, bronze.source) == [
        ("dropped", None, 0, 5, False),
        ("detached", f"bronze_{bronze.source}_y2023m02_kept", 0, 5, True),
        ("attached", f"bronze_{bronze.source}_y2023m03", 5, 0, True),
    ]
    assert bronze.differences() == []


def test_a_detached_month_comes_back_as_it_was(bronze: Bronze) -> None:
    data_dir, table = bronze.settings["data_dir"], f"bronze_{bronze.source}"
    before = sql(data_dir, f"SELECT * FROM {table} ORDER BY id")
    retire(bronze.settings, date(2023, 4, 1), [bronze.source])
    assert [m.rows for m in kept(bronze.settings, date(2023, 2, 20), [bronze.source])] == [5]
    for month in (1, 2, 3):
        assert len(restore(bronze.settings, date(2023, month, 1), [bronze.source])) == 1
    assert restore(bronze.settings, date(2023, 1, 1), [bronze.source]) == []
    assert sql(data_dir, f"SELECT * FROM {table} ORDER BY id") == before
    assert bronze.differences() == []
    assert bronze.status()["retired"]["months"] == []
    with pytest.raises(psycopg.errors.RestrictViolation):
        sql(data_dir, f"DELETE FROM {table} WHERE source_timestamp < '2023-02-01'")
    bronze.load([*RECORDS, record(200, source_timestamp=at(2023, 2))])
    assert bronze.rows() == 64
    assert bronze.differences() == []


def test_versions_that_lie_in_a_retired_month_are_no_gap_and_an_older_one_does_not_become_the_latest(bronze: Bronze) -> None:
    corrected = record(11, {"n": "corrected"}, source_timestamp=at(2023, 2), revision=1)  # was in December
    bronze.load([*RECORDS, corrected, record(0, {"n": "later"}, source_timestamp=at(2023, 12), revision=1)])  # was in January
    current = f"SELECT raw_id FROM bronze_{bronze.source}_current WHERE raw_id IN ('reading:0', 'reading:11')"
    assert sql(bronze.settings["data_dir"], current + " ORDER BY 1") == [("reading:0",), ("reading:11",)]
    for drop in (False, True):
        retire(bronze.settings, date(2023, 3, 1), [bronze.source], drop=drop)
        assert bronze.differences() == []
        assert sql(bronze.settings["data_dir"], current) == [("reading:0",)]


def test_a_month_that_is_there_again_by_hand_is_named_and_can_be_retired_again(bronze: Bronze) -> None:
    data_dir, table = bronze.settings["data_dir"], f"bronze_{bronze.source}"
    retire(bronze.settings, date(2023, 2, 1), [bronze.source], drop=True)
    sql(data_dir, "SELECT create_partition_if_not_exists(%s, '2023-01-01')", bronze.source)
    sql(
        data_dir,
        f"INSERT INTO {table} (source, raw_data, content_hash, raw_id, source_timestamp, partition_key)"
        " VALUES (%s, '{}', sha256('{}'), 'strange', '2023-01-05', '2023-01-05')",
        bronze.source,
    )
    outcome = reconcile(bronze.settings, {}, [bronze.source])[0]
    assert [(d.code, d.count, d.month) for d in outcome.differences] == [
        ("retired_back", 1, date(2023, 1, 1)),
        ("known_missing", 1, None),
    ]
    assert [m.rows for m in retire(bronze.settings, date(2023, 2, 1), [bronze.source])] == [1]
    left = reconcile(bronze.settings, {}, [bronze.source])[0].differences
    assert [(d.code, d.count, d.month) for d in left] == [("rows_unknown", 1, date(2023, 1, 1))]


def test_all_sources_are_meant_unless_some_are_named(bronze: Bronze, tmp_path: Path) -> None:
    other = Bronze(tmp_path / "other", Path(bronze.settings["data_dir"]), bronze.source + "_b")
    other.folder.mkdir(exist_ok=True)
    other.load(RECORDS)
    assert {bronze.source, other.source} <= {m.source for m in due(bronze.settings, date(2023, 2, 1))}
    assert {m.source for m in due(bronze.settings, date(2023, 2, 1), [other.source])} == {other.source}
    with pytest.raises(UsageError, match="no bronze table of 'nobody'"):
        due(bronze.settings, date(2023, 2, 1), ["nobody"])


def test_no_month_goes_beside_a_load_of_its_source(bronze: Bronze, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.bronze.connection._SESSION", {**_session(), "lock_timeout": "300ms"})
    with connect(bronze.settings) as loader:
        loader.execute("SELECT pg_advisory_lock(hashtextextended('bronze_load:' || %s, 0))", (f"bronze_{bronze.source}",))
        with pytest.raises(WarehouseError, match="55P03"):
            retire(bronze.settings, date(2023, 4, 1), [bronze.source])
    assert bronze.rows() == 63
    assert bronze.differences() == []


def _session() -> dict[str, str]:
    from warehouse.bronze import connection

    return dict(connection._SESSION)


@pytest.fixture(scope="module", params=["embedded", "system"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A database with the four roles, on the embedded server and on PostgreSQL 15 where that is installed."""
    folder = tmp_path_factory.mktemp(request.param)
    try:
        with running(request.param, folder) as server:
            found = place(server, "pdp", folder, "keeper", "CREATEROLE")
            found.init("keeper", ["demo"])
            for login, role in PEOPLE.items():
                found.run(f"CREATE ROLE {login} LOGIN; GRANT {role} TO {login}", "keeper")
            found.load("worker", RECORDS)
            yield found
    except MissingError as missing:
        pytest.skip(f"NOT TESTED on PostgreSQL 15: {missing}")


@pytest.mark.parametrize("login", ["worker", "ann"])
def test_only_the_owner_takes_months_out(shared: Place, login: str) -> None:
    for attempt in (due, retire):
        with pytest.raises(WarehouseError, match="does not own the bronze tables"):
            attempt(shared.settings(login), date(2023, 4, 1))
    assert shared.run("SELECT count(*) FROM bronze_retired") == [(0,)]


def test_the_comparison_and_the_repair_run_on_either_server(shared: Place, tmp_path: Path) -> None:
    inputs = Artifacts(tmp_path / "artifacts", "demo").inputs(RECORDS)  # the bytes that were loaded
    files = {role: given if isinstance(given, list) else [given] for role, given in inputs.items()}
    shared.run(
        "ALTER TABLE bronze_demo DISABLE TRIGGER USER; DELETE FROM bronze_demo WHERE raw_id IN ('reading:3', 'reading:101')"
    )
    for login in ("worker", "ann"):
        (outcome,) = reconcile(shared.settings(login), {"demo": files})
        assert {(d.code, d.count) for d in outcome.differences} == {("rows_lost", 1), ("records_missing", 1), ("known_stale", 2)}
    assert repair(shared.settings("chief"), outcome, files)
    shared.run("ALTER TABLE bronze_demo ENABLE TRIGGER USER")
    assert reconcile(shared.settings("ann"), {"demo": files})[0][:2] == ("demo", 63)
    assert reconcile(shared.settings("ann"), {"demo": files})[0].differences == []


def test_the_owner_takes_months_out_and_everybody_goes_on(shared: Place) -> None:
    owner = shared.settings("chief")
    assert len(retire(owner, date(2023, 3, 1))) == 2
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        shared.run("SELECT FROM bronze_demo_y2023m01_kept", "ann")
    for login in ("chief", "worker", "ann"):
        (outcome,) = reconcile(shared.settings(login), {})
        assert (outcome.rows, outcome.differences) == (53, [])
    shared.load("worker", [*RECORDS, record(200, source_timestamp=at(2023, 1)), record(201, source_timestamp=at(2024, 1))])
    assert shared.run("SELECT count(*) FROM bronze_demo_current", "board") == [(54,)]
    for month in (1, 2):
        assert len(restore(owner, date(2023, month, 1))) == 1
    assert shared.run("SELECT count(*) FROM bronze_demo_current", "board") == [(64,)]
    assert reconcile(shared.settings("ann"), {})[0].differences == []


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    found = Cli(cluster(tmp_path_factory.mktemp("retain") / "data"))
    path = found.data / "inbox/bp_csv/bp.csv"
    path.parent.mkdir(parents=True)
    lines = [f"2024-{month:02}-03 06:27:47,56,121,79,\n" for month in range(1, 7)]
    path.write_text("".join(["Date,Heart rate,Systolic,Diastolic,Comments\n", *lines]))
    assert found().returncode == 0
    return found


def test_the_command_shows_before_it_takes_and_gives_back(cli: Cli) -> None:
    shown = cli("bronze", "retain", "--before", "2024-04-01")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.rstrip().endswith("would be detached: add --apply.")
    assert cli.json("bronze", "retain", "--before", "2024-04-01")["rows"] == 3
    assert cli.json("bronze", "retain", "--before", "2024-04-01", "bp_csv", "--apply")["applied"]
    assert cli("bronze", "retain", "--before", "2024-04-01", "--apply").stdout == "No month lies entirely before that date.\n"
    assert "3 months retired" in cli("bronze", "status").stdout
    assert cli().stdout.startswith("Nothing to do")
    assert cli("verify").returncode == cli("bronze", "reconcile").returncode == 0
    assert "would be attached again" in cli("bronze", "retain", "--restore", "2024-02").stdout
    assert cli.json("bronze", "retain", "--restore", "2024-02", "--apply")["months"][0]["month"] == "2024-02"
    assert "would be dropped, for good" in cli("bronze", "retain", "--before", "2024-07-01", "--drop").stdout
    assert cli.json("bronze", "retain", "--before", "2024-02-01", "--drop", "--apply")["months"][0]["detached"]
    assert cli("verify").returncode == cli("bronze", "reconcile").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--before", "soon"],
        ["--restore", "2024-13"],
        ["--before", "2024-01-01", "--restore", "2024-01"],
        ["--restore", "2024-01", "--drop"],
        ["--before", "2024-01-01", "nobody"],
    ],
)
def test_what_is_asked_wrongly_is_told(cli: Cli, arguments: list[str]) -> None:
    done = cli("bronze", "retain", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
