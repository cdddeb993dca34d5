"""`query`: SQL on the gold tables at one's own terminal, and nothing but the gold tables."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from config.errors import UsageError
from scripts.query import Found, _as_csv, _as_table, _plain, ask
from tests.cli_bench import CSV, Cli
from tests.gold_building import built
from tests.readings_bench import at, blood_pressure, reading


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = [row for day in range(1, 10) for row in blood_pressure(at(f"2025-03-0{day} 08:00"), 119 + day, 80, 60)]
    return str(built(tmp_path_factory.mktemp("gold"), [*rows, reading("heart_rate", 61, at("2025-03-01 09:00"))]).path)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A data directory with one measurement; without bronze, which a query does not need."""
    data = tmp_path_factory.mktemp("query") / "data"
    (data / "inbox/bp_csv").mkdir(parents=True)
    (data / "inbox/bp_csv/bp.csv").write_text(CSV)
    found = Cli(data)
    for arguments in (["--until-stage", "merge"], ["--only-stage", "gold"]):
        done = found(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    return found


# --- the command


def test_a_query_prints_a_table_json_or_csv(cli: Cli) -> None:
    sql = "SELECT date, systolic, bp_category FROM daily"
    assert cli("query", sql).stdout.splitlines() == [
        "date        systolic  bp_category",
        "──────────  ────────  ───────────",
        "2025-03-03       121  elevated",
        "",
        "1 row.",
    ]
    assert cli.json("query", sql) == {
        "columns": ["date", "systolic", "bp_category"],
        "rows": [["2025-03-03", 121.0, "elevated"]],
        "truncated": False,
    }
    assert cli("query", sql, "--csv").stdout == "date,systolic,bp_category\n2025-03-03,121,elevated\n"


def test_without_sql_it_lists_every_table_and_column_with_its_meaning(cli: Cli) -> None:
    text = cli("query").stdout
    assert "medication_comparison\n  Days before and after every event" in text
    assert re.search(r"^    systolic_sd +double +Sample standard deviation of the readings, mmHg\.$", text, re.MULTILINE)
    tables = {table["table"]: table for table in cli.json("query")["tables"]}
    assert len(tables) == 25
    assert {column["column"] for column in tables["events"]["columns"]} == {"date", "label", "kind"}
    assert all(table["meaning"] and all(c["meaning"] and c["type"] for c in table["columns"]) for table in tables.values())


def test_a_wrong_query_is_one_sentence_and_a_mend(cli: Cli) -> None:
    done = cli("query", "SELECT systol FROM daily")
    assert (done.returncode, done.stdout) == (2, "")
    what, mend = done.stderr.splitlines()
    assert what == 'Referenced column "systol" not found in FROM clause.'
    assert mend.startswith('There are: "systolic"')


def test_before_there_is_gold_it_says_so_and_makes_nothing(tmp_path: Path) -> None:
    done = Cli(tmp_path / "data")("query", "SELECT 1")
    assert (done.returncode, done.stderr) == (1, "There are no gold tables yet.\nRun the pipeline: python main.py\n")
    assert list(tmp_path.iterdir()) == []


def test_it_answers_from_what_is_in_force_not_from_the_plain_name(cli: Cli) -> None:
    view = cli.data / "gold/gold.duckdb"
    kept = os.readlink(view)
    view.unlink()
    view.write_text("something else")
    try:
        assert cli.json("query", "SELECT count(*) AS n FROM daily")["rows"] == [[1]]
    finally:
        view.unlink()
        view.symlink_to(kept)


# --- what it can reach


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{there}')",
        "SELECT * FROM read_text('{there}')",
        "SELECT * FROM read_blob('{there}')",
        "SELECT * FROM read_parquet('{there}')",
        "SELECT * FROM read_json('{there}')",
        "SELECT * FROM '{there}'",
        "SELECT * FROM sniff_csv('{there}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "SELECT * FROM query('SELECT * FROM read_csv(''{there}'')')",
        "COPY daily TO '{folder}/out.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "CREATE TABLE x AS SELECT 1",
        "DELETE FROM daily",
        "SELECT 1; SELECT 2",
        "CALL enable_logging()",
        "",
    ],
)
def test_it_reads_the_tables_and_nothing_else(gold: str, tmp_path: Path, sql: str) -> None:
    there = tmp_path / "secret.csv"
    there.write_text("CANARY\n")
    with pytest.raises(UsageError) as refused:
        ask(gold, sql.format(there=there, folder=tmp_path), 10)
    assert "CANARY" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def test_a_python_variable_is_no_table(gold: str) -> None:
    private = {"a": [1]}
    with pytest.raises(UsageError):
        ask(gold, "SELECT * FROM private", 10)
    assert private


def test_an_error_over_values_quotes_none(gold: str) -> None:
    with pytest.raises(UsageError) as refused:
        ask(gold, "SELECT CAST(raw_id || 'CANARY' AS INTEGER) FROM bp_readings", 10)
    assert str(refused.value) == "The query could not be finished: conversion error. Mend the query."


@pytest.mark.parametrize(
    "day", ["'infinity'::DATE", "DATE '20000-01-01'", "TIMESTAMP '290000-01-01'", "'-infinity'::TIMESTAMPTZ"]
)
def test_a_day_beyond_the_calendar_is_a_sentence(gold: str, day: str) -> None:
    with pytest.raises(UsageError, match=r"value::VARCHAR"):
        ask(gold, f"SELECT {day} AS day", 10)
    assert ask(gold, f"SELECT ({day})::VARCHAR AS day", 10).rows


def test_bytes_that_are_no_text_are_no_traceback(gold: str) -> None:
    assert ask(gold, "SELECT '\udcff' AS odd", 10).rows == [("?",)]


def test_a_query_that_outgrows_its_memory_says_so(gold: str) -> None:
    with pytest.raises(UsageError, match="needs more memory"):
        ask(gold, "SELECT list(range) FROM range(400000000)", 10)


# --- what it shows


@pytest.mark.parametrize(("limit", "rows", "more"), [(3, 3, True), (9, 9, False), (1000, 9, False)])
def test_no_more_rows_than_asked_for_and_a_note_if_there_are(gold: str, limit: int, rows: int, more: bool) -> None:
    found = ask(gold, "SELECT date FROM daily ORDER BY date", limit)
    assert (len(found.rows), found.more) == (rows, more)
    note = _as_table(found).splitlines()[-1]
    assert note == (f"The first {rows} rows; --limit N shows more." if more else f"{rows} rows.")


def test_a_huge_result_is_not_read_beyond_its_cap(gold: str) -> None:
    found = ask(gold, "SELECT range AS n FROM range(1000000000000)", 5)
    assert ([row[0] for row in found.rows], found.more) == ([0, 1, 2, 3, 4], True)


def test_numbers_stand_right_and_nothing_moves_the_terminal(gold: str) -> None:
    sql = "SELECT * FROM (VALUES (1.5::DOUBLE, 'a'), (100.25, chr(27) || '[31m'), (NULL, repeat('x', 100))) AS t (n, said)"
    lines = _as_table(ask(gold, sql, 10)).splitlines()
    assert lines[2:5] == ["   1.5  a", "100.25  ?[31m", "        " + "x" * 59 + "…"]


def test_every_type_becomes_json(gold: str) -> None:
    sql = """SELECT CAST(1 AS HUGEINT) AS a, CAST(2.50 AS DECIMAL(9, 2)) AS b, [1, 2] AS c, {'k': DATE '2025-01-01'} AS d, NULL AS e,
        TIMESTAMPTZ '2025-03-01 08:00:00+01' AS f, CAST('nan' AS DOUBLE) AS g, true AS h, TIME '07:30' AS i, INTERVAL 1 DAY AS j"""
    (row,) = ask(gold, sql, 10).rows
    cells = [_plain(cell) for cell in row]
    assert cells[:9] == [1, 2.5, [1, 2], {"k": "2025-01-01"}, None, "2025-03-01T07:00:00+00:00", None, True, "07:30:00"]
    assert json.dumps(cells)


def test_csv_is_never_taken_for_a_formula_and_says_what_it_leaves_out(capsys: Any) -> None:
    text = _as_csv(Found(["said", "n"], [("=1+1", 1.0), (None, 2.5)], more=True))
    assert list(csv.reader(io.StringIO(text))) == [["said", "n"], ["'=1+1", "1"], ["", "2.5"]]
    assert capsys.readouterr().err == "Only the first 2 rows; --limit N gives more.\n"


def test_the_functions_of_gold_may_be_used(gold: str) -> None:
    assert ask(gold, "SELECT bp_aha_2017(130, 70), round(student_t_quantile(0.975, 7), 4)", 1).rows == [("stage_1", 2.3646)]
