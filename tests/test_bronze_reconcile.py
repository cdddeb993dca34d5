"""Reconcile: every way in which records, ledger and rows may come apart is named, and mended or left alone as it should be."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.errors import UsageError, WarehouseError
from tests.cli_bench import Cli
from tests.made_once import example_year
from tests.postgres_bench import Artifacts, letter, migrated, record, settings, sql
from tests.reconcile_cases import FEB, JAN, LATER, LISTS, MENDED, NAMED, NO_TIME, RECORDS, STRANGE
from tests.stage_bench import StageBench
from warehouse.bronze import schema
from warehouse.bronze.checking.differences import _KINDS, Difference
from warehouse.bronze.checking.reconcile import Outcome, reconcile
from warehouse.bronze.checking.repair import repair
from warehouse.bronze.checking.status import verify
from warehouse.bronze.connection import connect
from warehouse.bronze.load import load
from warehouse.bronze.loading.staging import prefix_of


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with migrated(tmp_path_factory.mktemp("data")) as folder:
        yield folder


class Bronze:
    """One source of its own in the shared database: its artifact in force is loaded."""

    def __init__(self, folder: Path, data: Path, source: str) -> None:
        self.folder, self.data, self.source = folder, data, source
        self.table = f"bronze_{source}"
        self.made = Artifacts(folder / "artifacts", source)
        self.inputs: dict[str, Any] = {}

    def brings(self, records: list[dict[str, Any]], letters: list[dict[str, Any]] | None = None) -> None:
        """New artifacts are in force; not loaded."""
        self.inputs = self.made.inputs(records, [letter(90), letter(91)] if letters is None else letters)

    def load(self) -> None:
        StageBench(self.folder / f"out{time.monotonic_ns()}").run(load, self.inputs, settings(self.data))

    def outcome(self) -> Outcome:
        (found,) = reconcile(settings(self.data), {self.source: self.files()}, [self.source])
        return found

    def files(self) -> dict[str, list[Any]]:
        return {role: files if isinstance(files, list) else [files] for role, files in self.inputs.items()}

    def named(self) -> set[tuple[str, str | None, int]]:
        """(code, month, count) of all that differs."""
        told = [difference.told() for difference in self.outcome().differences]
        found = {(d["code"], d["month"], d["count"]) for d in told}
        assert len(found) == len(told)
        return found

    def repair(self) -> bool:
        return repair(settings(self.data), self.outcome(), self.files())

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """As a superuser who goes around the triggers; `T` is the table."""
        sql(self.data, f'ALTER TABLE "{self.table}" DISABLE TRIGGER USER')
        for short, name in (
            ("'S'", f"'{self.source}'"),
            ("_S'", f"_{self.source}'"),
            ("T_", f"{self.table}_"),
            ("T ", f"{self.table} "),
        ):
            statement = re.sub(rf"(?<![A-Z]){re.escape(short)}", name, statement)
        return sql(self.data, statement, *parameters)


@pytest.fixture
def bronze(request: pytest.FixtureRequest, tmp_path: Path, data: Path) -> Bronze:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:10]
    found = Bronze(tmp_path, data, f"s_{name}")  # of its own: the tests share one server
    found.brings(RECORDS)
    found.load()
    return found


def test_a_clean_database_differs_in_nothing(bronze: Bronze) -> None:
    assert bronze.outcome() == Outcome(bronze.source, 43, 45, 1, 3, [])
    assert not bronze.repair()


def test_superseded_artifacts_leave_versions_and_deleted_records_that_are_no_difference(bronze: Bronze) -> None:
    changed = [record(n, {"n": n, "corrected": True}) for n in range(5)]
    bronze.brings([*changed, *(record(n) for n in range(5, 20)), record(51, source_timestamp=record(51)["source_timestamp"])])
    bronze.load()
    assert bronze.named() == set()
    assert bronze.outcome().rows == 48


def test_a_source_that_was_never_loaded_or_is_not_known_is_told(bronze: Bronze) -> None:
    with pytest.raises(UsageError, match="Nothing is known of a source named 'nobody'"):
        reconcile(settings(bronze.data), {}, ["nobody"])
    other = Bronze(bronze.folder / "other", bronze.data, bronze.source[:30] + "_new")
    other.brings([record(0)], [])
    assert other.named() == {("table_missing", None, 0)}
    assert other.repair()
    assert other.named() == set()


def test_sources_without_artifacts_are_compared_with_the_ledger_alone(bronze: Bronze) -> None:
    bronze.inputs = {}
    assert bronze.outcome() == Outcome(bronze.source, 43, None, 1, 3, [])
    bronze.sql("DELETE FROM T WHERE raw_id = 'reading:7'")
    assert bronze.named() == {("rows_lost", FEB, 1), ("known_stale", None, 1)}


@pytest.mark.parametrize("done", MENDED)
def test_what_is_missing_is_named_and_mended(bronze: Bronze, done: str) -> None:
    statements, named = MENDED[done]
    for statement in statements:
        bronze.sql(statement)
    assert bronze.named() == named
    assert bronze.repair()
    assert bronze.named() == set()
    assert [p for p in verify(settings(bronze.data), {}) if bronze.source in p] == []
    assert bronze.sql("SELECT count(*), count(DISTINCT raw_id) FROM T ") == [(43, 42)]
    assert bronze.sql("SELECT version, raw_data FROM T WHERE raw_id = 'reading:9' ORDER BY 1") == [(1, {"n": 9}), (2, LATER)]


@pytest.mark.parametrize("done", NAMED)
def test_what_nobody_can_mend_is_named_and_left_alone(bronze: Bronze, done: str) -> None:
    statements, named = NAMED[done]
    for statement in statements:
        bronze.sql(statement)
    assert bronze.named() == named
    before = bronze.sql("SELECT id, version, raw_data FROM T ORDER BY id")
    bronze.repair()
    assert bronze.named() - LISTS == named - LISTS
    assert bronze.sql("SELECT id, version, raw_data FROM T ORDER BY id") == before


def test_a_deleted_ledger_row_is_named_and_the_records_are_not_loaded_twice(bronze: Bronze) -> None:
    bronze.sql(f"DELETE FROM bronze_loads WHERE target_table = '{bronze.table}'")
    assert bronze.named() == {("records_not_loaded", None, 45), ("load_unlisted", None, 1), ("letters_unknown", None, 2)}
    bronze.repair()
    assert bronze.named() == {("load_unlisted", None, 1), ("letters_unknown", None, 2)}
    assert bronze.sql("SELECT count(*) FROM T ") == [(43,)]


def test_a_repair_brings_back_what_it_can_and_goes_on_naming_the_rest(bronze: Bronze) -> None:
    bronze.brings([record(n) for n in range(2, 40)])
    bronze.load()
    bronze.sql("DELETE FROM T WHERE raw_id IN ('reading:0', 'reading:1', 'reading:7', 'reading:50')")
    bronze.sql(STRANGE.replace("'strange'", "'strange a'"))
    bronze.sql(STRANGE.replace("'strange'", "'strange b'"))
    lost = {("rows_lost", JAN, 1), ("rows_lost", FEB, 2), ("rows_unknown", NO_TIME, 1), ("records_missing", FEB, 1)}
    assert bronze.named() == lost | {("known_stale", None, 4), ("known_missing", None, 2)}
    assert bronze.repair()
    assert bronze.named() == {("rows_lost", JAN, 1), ("rows_lost", FEB, 1), ("rows_unknown", NO_TIME, 1)}
    bronze.repair()
    assert bronze.named() == {("rows_lost", JAN, 1), ("rows_lost", FEB, 1), ("rows_unknown", NO_TIME, 1)}


def test_a_row_exchanged_together_with_its_hash_is_named_and_the_record_comes_back_beside_it(bronze: Bronze) -> None:
    bronze.sql("UPDATE T SET raw_data = '{}', content_hash = sha256('{}') WHERE raw_id = 'reading:7'")
    assert bronze.named() == {("rows_exchanged", FEB, 40), ("records_missing", FEB, 1)}
    assert bronze.repair()
    assert bronze.named() == {("rows_exchanged", FEB, 41)}
    assert bronze.sql("SELECT version, raw_data FROM T WHERE raw_id = 'reading:7' ORDER BY 1") == [(1, {}), (2, {"n": 7})]


def test_an_earlier_version_that_was_lost_does_not_come_back_as_the_latest(bronze: Bronze) -> None:
    bronze.sql("DELETE FROM T WHERE raw_id = 'reading:9' AND version = 1")
    assert bronze.named() == {("rows_lost", FEB, 1), ("records_missing", FEB, 1), ("versions_missing", None, 1)}
    assert bronze.repair()
    assert bronze.named() == set()
    assert bronze.sql("SELECT version, raw_data FROM T WHERE raw_id = 'reading:9' ORDER BY 1") == [(1, {"n": 9}), (2, LATER)]


def test_records_in_force_that_are_not_loaded_are_named_and_loaded(bronze: Bronze) -> None:
    bronze.brings([*RECORDS[:-4], record(50), record(70, raw_id="new")], [letter(92)])
    missing = {("records_missing", FEB, 1), ("rows_undated", None, 1), ("letters_missing", None, 1)}
    assert bronze.named() == {("records_not_loaded", None, 43), *missing}
    assert bronze.repair()
    assert bronze.named() == set()


def test_without_the_records_bytes_the_database_is_compared_with_itself(bronze: Bronze) -> None:
    bronze.inputs["records"] = bronze.inputs["records"]._replace(path=str(bronze.folder / "gone"))
    bronze.sql("DELETE FROM T WHERE raw_id = 'reading:7'")
    assert bronze.named() == {("records_gone", None, 1), ("rows_lost", FEB, 1), ("known_stale", None, 1)}
    bronze.repair()
    assert bronze.named() == {("records_gone", None, 1), ("rows_lost", FEB, 1)}


def test_scratch_of_a_killed_load_is_named_and_that_of_a_running_one_is_not(bronze: Bronze) -> None:
    left = f"{prefix_of(bronze.table)}0123_rest"
    bronze.sql(f"CREATE TABLE {left} (n int)")
    (difference,) = bronze.outcome().differences
    assert (difference.code, difference.table) == ("scratch_left", left)
    with connect(settings(bronze.data)) as loader:
        loader.execute("SELECT pg_advisory_lock(hashtextextended('bronze_load:' || %s, 0))", (bronze.table,))
        assert bronze.named() == set()
    assert {code for code, _, _ in bronze.named()} == {"scratch_left"}
    bronze.brings(RECORDS[:-1])
    bronze.load()
    assert bronze.named() == set()


def test_a_load_beside_it_makes_no_difference(bronze: Bronze) -> None:
    before = bronze.inputs
    for n in range(5):
        bronze.brings([*RECORDS, *(record(100 + k) for k in range(200 * n, 200 * n + 200))])
        grown, bronze.inputs = bronze.inputs, before
        with ThreadPoolExecutor(1) as pool:
            bronze.inputs = grown
            running = pool.submit(bronze.load)
            while not running.done():
                bronze.inputs = before
                assert bronze.named() - {("scratch_left", None, 1)} == set()
            running.result()


def test_an_older_database_is_told_to_be_brought_up_to_date(bronze: Bronze) -> None:
    last = max(schema.source_migrations())
    bronze.sql("DELETE FROM bronze_migrations WHERE name = %s", f"{bronze.table}/{last}")
    with pytest.raises(WarehouseError, match="older version"):
        bronze.outcome()
    assert [p for p in verify(settings(bronze.data), {}) if bronze.source in p] == [
        f"{bronze.table}: it was made by an older version of this program. Bring it up to date: python main.py bronze init"
    ]
    with connect(settings(bronze.data)) as session:
        schema.create_source(session, bronze.source)
    assert bronze.named() == set()


def test_no_value_and_no_raw_id_is_told(bronze: Bronze) -> None:
    for statements, _ in [*MENDED.values(), *NAMED.values()]:
        with contextlib.suppress(psycopg.Error):  # some take away what others need
            for statement in statements:
                bronze.sql(statement)
        text = json.dumps([d.told() for d in bronze.outcome().differences])
        assert "reading:" not in text
        assert "strange" not in text


def test_every_difference_has_a_sentence_and_a_mend() -> None:
    for code in _KINDS:
        for count in (1, 2000):
            difference = Difference(code, "demo", "bronze_demo", count, date(2024, 2, 1))
            assert difference.what.startswith("bronze_demo: ")
            assert difference.what.endswith(".") or "python" in difference.what
            assert difference.mend
            assert "{" not in difference.what + difference.mend
    assert Difference("rows_lost", "demo", "bronze_demo", 2000, date(1, 1, 1)).what == (
        "bronze_demo: the ledger knows 2,000 rows without a time that the table no longer holds."
    )


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The examples: a year of three sources."""
    return Cli(example_year(tmp_path_factory.mktemp("year") / "data"))


def test_a_year_of_examples_reconciles_without_a_difference(year: Cli) -> None:
    done = year("bronze", "reconcile")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("The records in force, the ledger and the rows agree.")
    found = year.json("bronze", "reconcile", "mi_fitness")
    (source,) = found["sources"]
    assert found["ok"]
    assert source["records"] == source["rows"] > 1000
    assert source["months"] >= 12


def test_the_command_names_mends_and_ends_in_one_while_something_differs(year: Cli) -> None:
    sql(year.data, "ALTER TABLE bronze_bp_csv DISABLE TRIGGER USER; DELETE FROM bronze_bp_csv WHERE id % 7 = 0")
    done = year("bronze", "reconcile")
    assert done.returncode == 1
    assert "that the table no longer holds." in done.stdout
    assert "python main.py bronze reconcile bp_csv --repair" in done.stdout
    mended = year.json("bronze", "reconcile", "bp_csv", "--repair")
    assert mended["ok"]
    assert mended["repaired"][0]["rows"] > 0
    assert {"rows_lost", "records_missing", "known_stale"} <= set(mended["repaired"][0]["mended"])
    assert year("bronze", "reconcile").returncode == 0
    assert year("bronze", "reconcile", "nobody").returncode == 2
