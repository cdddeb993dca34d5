"""Gold made again from the records in Postgres: table by table what a run makes of the files."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from argparse import Namespace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from config.errors import WarehouseError
from tests.cli_bench import CSV, SHEET, Cli
from tests.gold_building import rows_of
from tests.made_once import cluster, example_year

TABLES = "SELECT table_name AS name, estimated_size AS n FROM duckdb_tables() WHERE NOT temporary"
AS_POSTGRES_KEEPS_IT = ("raw", "arrived")
"""Columns of `records` that may differ: keys of the JSON in another order, and the time of loading."""


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The shipped year, with its bronze."""
    return Cli(example_year(tmp_path_factory.mktemp("bronze") / "data"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Four measurements."""
    data = tmp_path_factory.mktemp("small") / "data"
    for name, text in {"google_sheets/log.csv": SHEET, "bp_csv/bp.csv": CSV}.items():
        path = data / "inbox" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    cli = Cli(cluster(data))
    done = cli()
    assert done.returncode == 0, done.stdout + done.stderr
    return cli


def tables(path: Path) -> dict[str, int]:
    """Table → how many rows it has."""
    return {row["name"]: row["n"] for row in rows_of(path, TABLES)}


def differing(one: Path, other: Path) -> set[str]:
    """The tables that do not hold the same rows as often in both."""
    with duckdb.connect() as both:
        both.execute(f"ATTACH '{one}' AS one (READ_ONLY)")
        both.execute(f"ATTACH '{other}' AS other (READ_ONLY)")
        bags = "SELECT 1 FROM (FROM {0}.{2} EXCEPT ALL FROM {1}.{2}) LIMIT 1"
        ways = [("one", "other"), ("other", "one")]
        return {name for name in tables(one) for way in ways if both.execute(bags.format(*way, name)).fetchall()}


def records(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["source"], row["raw_id"]): row for row in rows_of(path, "FROM records")}


def test_every_table_equals_that_of_the_run(year: Cli) -> None:
    told = year.json("gold", "--from-bronze")
    assert told["read_by"] == "psycopg"
    ours, again = year.data / "gold/gold.duckdb", year.data / "gold/from_bronze.duckdb"
    assert tables(ours).keys() == tables(again).keys()
    assert differing(ours, again) == {"records"}
    assert told["rows"] == sum(tables(again).values())
    mine, theirs = records(ours), records(again)
    assert mine.keys() == theirs.keys()
    for key, row in mine.items():
        known = theirs[key]
        assert {k: v for k, v in row.items() if k not in AS_POSTGRES_KEEPS_IT} == {
            k: v for k, v in known.items() if k not in AS_POSTGRES_KEEPS_IT
        }
        assert json.loads(row["raw"]) == json.loads(known["raw"])
        assert known["arrived"] is not None


def test_the_run_in_force_stays_as_it_is_and_the_file_is_private(year: Cli) -> None:
    before = os.readlink(year.data / "gold/gold.duckdb")
    assert year("gold", "--from-bronze", "--out", str(year.data.parent / "mine.duckdb")).returncode == 0
    assert os.readlink(year.data / "gold/gold.duckdb") == before
    assert year.json("verify") == {"ok": True, "problems": []}
    out = year.data.parent / "mine.duckdb"
    assert stat.S_IMODE(os.stat(out).st_mode) == 0o600
    assert sorted(path.name for path in out.parent.iterdir()) == ["data", "mine.duckdb"]


def test_it_replaces_its_own_file_and_nothing_else(small: Cli, tmp_path: Path) -> None:
    out, note = tmp_path / "gold.duckdb", tmp_path / "note.txt"
    for _ in range(2):
        done = small("gold", "--from-bronze", "--out", str(out))
        assert done.returncode == 0, done.stderr
    assert "4 records read from bronze" in done.stdout
    note.write_text("my own words")
    refused = small("gold", "--from-bronze", "--out", str(note))
    assert (refused.returncode, note.read_text()) == (2, "my own words")
    assert "is no DuckDB file" in refused.stderr
    linked = small("gold", "--from-bronze", "--out", str(small.data / "gold/gold.duckdb"))
    assert linked.returncode == 2
    assert "is a link" in linked.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gold.duckdb", "note.txt"]


def test_a_changed_measurement_counts_as_bronze_knows_it_last(small: Cli, tmp_path: Path) -> None:
    sheet = small.data / "inbox/google_sheets/log.csv"
    sheet.write_text(SHEET.replace("128,82,61", "138,92,61"))
    try:
        assert small().returncode == 0
        small("gold", "--from-bronze", "--out", str(tmp_path / "gold.duckdb"))
        (row,) = rows_of(tmp_path / "gold.duckdb", "SELECT systolic_morning AS s FROM daily WHERE date = DATE '2025-03-01'")
        assert row["s"] == 138
        assert "daily" not in differing(tmp_path / "gold.duckdb", small.data / "gold/gold.duckdb")
    finally:
        sheet.write_text(SHEET)


def test_what_a_killed_one_left_goes_and_two_at_once_are_refused(small: Cli, tmp_path: Path) -> None:
    out = tmp_path / "gold.duckdb"
    left = tmp_path / "gold.duckdb.making"
    (left / "records").mkdir(parents=True)
    (left / "records/bp_csv.parquet").write_text("half")
    held = os.open(left, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    busy = small("gold", "--from-bronze", "--out", str(out))
    os.close(held)
    assert (busy.returncode, out.exists()) == (75, False)
    assert "Another command is making this file." in busy.stderr
    assert small("gold", "--from-bronze", "--out", str(out)).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["gold.duckdb"]


def test_without_a_database_it_says_so_and_makes_none(tmp_path: Path) -> None:
    done = Cli(tmp_path / "data")("gold", "--from-bronze", "--out", str(tmp_path / "out.duckdb"))
    assert (done.returncode, done.stderr) == (1, "There is no bronze database yet.\nRun the pipeline once.\n")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_bronze_must_be_named(tmp_path: Path) -> None:
    done = Cli(tmp_path / "data")("gold")
    assert done.returncode == 2
    assert "--from-bronze" in done.stderr


def test_an_extension_that_cannot_be_fetched_is_told_with_the_way_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from scripts.bronze.duckdb_reader import attached

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with pytest.raises(WarehouseError, match="could not be fetched"), attached(Namespace(), install=True):  # type: ignore[arg-type]
        pass
    with attached(Namespace(), install=False) as reader:  # type: ignore[arg-type]
        assert reader is None
