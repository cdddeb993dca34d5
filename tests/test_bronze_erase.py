"""Erasing from bronze: whole months, part of a month, detached ones, dead letters; the ledger adds up and only the owner may."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest

from bench.bronze_servers import running
from config.errors import BusyError, WarehouseError
from tests.keeping_bench import copied
from tests.made_once import cluster
from tests.postgres_bench import Artifacts, letter, record, settings, sql
from tests.roles_bench import PEOPLE, place
from tests.stage_bench import StageBench
from warehouse.bronze.checking.reconcile import reconcile
from warehouse.bronze.checking.retention import restore, retire
from warehouse.bronze.checking.status import verify
from warehouse.bronze.embedded import server
from warehouse.bronze.erasing.erase import Cut, erase, erase_everything, plan
from warehouse.bronze.load import load

CUT = datetime(2023, 4, 10)
MARK = "canaryrow"


def at(month: int, day: int) -> datetime:
    return datetime(2023, month, day, 12, tzinfo=UTC)


class Bronze:
    """A year of one source: rows on the 5th and the 15th of every month, undated ones, one record in two versions, letters."""

    def __init__(self, data: Path, made: Artifacts) -> None:
        self.where, self.made, self.source = settings(data), made, made.source

    def load(self, folder: Path) -> Bronze:
        """Fill its table."""
        days = [(month, day) for month in range(1, 13) for day in (5, 15)]
        rows = [record(100 * m + d, {"n": m, "mark": f"{MARK}{m:02}{d:02}"}, source_timestamp=at(m, d)) for m, d in days]
        rows += [record(5000 + n, source_timestamp=None) for n in range(3)]
        again = {"n": -1, "mark": f"{MARK}0105"}
        rows += [record(105, again, source_timestamp=at(1, 5), revision=2, record_index=9001)]
        rows += [record(1205, {"n": -1}, source_timestamp=at(12, 5), revision=2, record_index=9002)]
        StageBench(folder / f"{self.source}.out").run(load, self.made.inputs(rows, [letter(1), letter(2)]), self.where)
        return self

    @property
    def file(self) -> str:
        """SHA-256 of the raw artifact."""
        return hashlib.sha256(b"time,value\n").hexdigest()

    def cut(self, *files: str) -> dict[str, Cut]:
        return {self.source: Cut(CUT, files)}

    def adds_up(self, rows: int) -> None:
        """As many rows as this, and nobody finds anything to say of them."""
        assert sql(self.where["data_dir"], f"SELECT count(*) FROM bronze_{self.source}") == [(rows,)]
        assert verify(self.where, {}) == []
        (outcome,) = [o for o in reconcile(self.where, {}) if o.source == self.source]
        assert outcome.differences == []


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Bronze:
    """A data root with a loaded year; stopped."""
    folder = tmp_path_factory.mktemp("filled")
    found = Bronze(cluster(folder / "data"), Artifacts(folder / "demo")).load(folder)
    server.release(str(folder / "data"))
    return found


@pytest.fixture
def data(filled: Bronze, tmp_path: Path) -> Iterator[Path]:
    """The same for each test."""
    folder = copied(Path(filled.where["data_dir"]), tmp_path / "data")
    yield folder
    server.release(str(folder))
    server.stop_if_unused(str(folder))
    shutil.rmtree(tmp_path)  # a database for each test fills a disk


@pytest.fixture
def bronze(filled: Bronze, data: Path) -> Bronze:
    return Bronze(data, filled.made)


def held(data: Path, mark: str) -> list[str]:
    """Files of the database that hold a mark, its log included."""
    server.release(str(data))
    return [str(p.relative_to(data)) for p in (data / "postgres").rglob("*") if p.is_file() and mark.encode() in p.read_bytes()]


def test_what_is_older_goes_to_the_row_and_the_ledger_adds_up(bronze: Bronze, data: Path) -> None:
    bronze.adds_up(29)
    found = plan(bronze.where, bronze.cut())
    assert [(s.rows, s.months, s.dead_letters, s.loads) for s in found] == [(8, 3, 0, 0)]
    bronze.adds_up(29)
    assert erase(bronze.where, bronze.cut()) == found
    bronze.adds_up(21)
    assert sql(data, "SELECT min(source_timestamp)::date::text FROM bronze_demo") == [("2023-04-15",)]
    assert sql(data, "SELECT count(*) FROM bronze_demo WHERE source_timestamp IS NULL") == [(3,)]
    assert sql(data, "SELECT raw_id FROM bronze_revisions") == [("reading:1205",)]
    assert plan(bronze.where, bronze.cut()) == []


def test_no_page_no_statistic_and_no_log_keeps_it(bronze: Bronze, data: Path) -> None:
    assert any("pg_wal" in path for path in held(data, f"{MARK}0405"))
    sql(data, "ANALYZE bronze_demo")
    erase(bronze.where, bronze.cut())
    for gone in ("0105", "0315", "0405"):
        assert held(data, f"{MARK}{gone}") == []
    assert held(data, f"{MARK}0415")


def test_rows_are_immutable_again_afterwards(bronze: Bronze, data: Path) -> None:
    erase(bronze.where, bronze.cut())
    for month in ("2023m04", "2023m12"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            sql(data, f"DELETE FROM bronze_demo_y{month}")


def test_what_is_younger_is_not_loaded_twice(bronze: Bronze, tmp_path: Path) -> None:
    erase(bronze.where, bronze.cut())
    rows = [record(1215, {"n": 12, "mark": f"{MARK}1215"}, source_timestamp=at(12, 15))]
    report, _ = StageBench(tmp_path / "again").run(load, bronze.made.inputs(rows), bronze.where)
    assert report["balance"]["fates"] == {"accepted": 0, "duplicate": 1}
    bronze.adds_up(21)


def test_detached_and_dropped_months_are_erased_too_and_younger_ones_come_back(bronze: Bronze, data: Path) -> None:
    retire(bronze.where, date(2023, 3, 1), drop=True)
    retire(bronze.where, date(2023, 6, 1))
    bronze.adds_up(17 + 1)
    found = erase(bronze.where, bronze.cut())
    assert [(s.rows, s.months) for s in found] == [(3, 1)]
    bronze.adds_up(18)
    assert sql(data, "SELECT month::text, rows::int FROM bronze_retired ORDER BY 1") == [("2023-04-01", 1), ("2023-05-01", 2)]
    assert held(data, f"{MARK}0405") == held(data, f"{MARK}0315") == []
    for month in (4, 5):
        assert len(restore(bronze.where, date(2023, month, 1))) == 1
    bronze.adds_up(21)


def test_dead_letters_of_a_file_go_with_it(bronze: Bronze, data: Path) -> None:
    assert [s.dead_letters for s in plan(bronze.where, bronze.cut(bronze.file))] == [2]
    erase(bronze.where, bronze.cut(bronze.file))
    assert sql(data, "SELECT count(*) FROM bronze_dead_letters") == [(0,)]
    bronze.adds_up(21)


def test_a_source_goes_whole_and_another_is_left_alone(bronze: Bronze, data: Path, tmp_path: Path) -> None:
    other = Bronze(data, Artifacts(tmp_path / "other", "other")).load(tmp_path)
    found = erase(bronze.where, {"demo": Cut(None)})
    assert [(s.source, s.rows, s.months, s.dead_letters) for s in found] == [("demo", 29, 13, 2)]
    assert sql(data, "SELECT relname FROM pg_class WHERE relname LIKE 'bronze_demo%'") == []
    for table in ("loads", "dead_letters", "loaded_months", "revisions", "quality", "retired"):
        assert sql(data, f"SELECT count(*) FROM bronze_{table} WHERE source = 'demo'") == [(0,)]
    other.adds_up(29)
    assert plan(bronze.where, {"demo": Cut(None)}) == []
    assert erase(bronze.where, {"demo": Cut(None)}) == []


def test_while_somebody_uses_the_database_its_log_is_not_emptied_and_that_is_told(bronze: Bronze) -> None:
    with server.embedded(bronze.where["data_dir"]), pytest.raises(BusyError, match="uses the embedded database"):
        erase(bronze.where, bronze.cut())
    assert erase(bronze.where, bronze.cut()) == []
    bronze.adds_up(21)


def test_without_a_database_there_is_nothing_to_erase_and_none_is_made(tmp_path: Path) -> None:
    assert plan(settings(tmp_path), {"demo": Cut(None)}) == []
    assert erase(settings(tmp_path), {"demo": Cut(None)}) == []
    assert list(tmp_path.iterdir()) == []


def test_on_a_configured_server_the_owner_may_and_everything_can_go(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with running("embedded", tmp_path / "server") as theirs:
        there = place(theirs, "first", tmp_path, "keeper", "CREATEROLE")
        there.init("keeper")
        for login, role in PEOPLE.items():
            there.run(f"CREATE ROLE {login} LOGIN; GRANT {role} TO {login}", "keeper")
        there.load("worker", [record(n) for n in range(40)], [letter(1)])
        with pytest.raises(WarehouseError, match="does not own the bronze tables"):
            erase(there.settings("worker"), {"demo": Cut(None)})
        assert there.run("SELECT count(*) FROM bronze_demo") == [(40,)]
        half = datetime(2024, 2, 1, 12)
        assert [s.rows for s in erase(there.settings("chief"), {"demo": Cut(half)})] == [13]
        assert verify(there.settings("ann"), {}) == []
        assert there.objects() != []
        assert erase_everything(there.settings("chief")) == ["demo", "other"]
        assert there.objects() == []
        there.load("keeper", [record(n) for n in range(5)])
        assert there.run("SELECT count(*) FROM bronze_demo") == [(5,)]
