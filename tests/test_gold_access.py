"""Asking gold: one query at a time, plain types, no other file within reach, any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from config.errors import StoreError
from serving.gold import Gold, demo, open_file

ROWS = """
CREATE TABLE meta AS SELECT {synthetic} AS synthetic;
CREATE TABLE daily AS SELECT DATE '2025-03-01' + n::INTEGER AS date, 120 + n AS systolic FROM range(10) AS r(n);
CREATE VIEW late AS FROM daily WHERE date > DATE '2025-03-05';
"""


def gold_file(path: Path, synthetic: str = "false") -> str:
    with duckdb.connect(str(path)) as database:
        database.execute(ROWS.format(synthetic=synthetic))
    return str(path)


def shipped(folder: Path, file: str) -> Path:
    folder.mkdir()
    with duckdb.connect(file, read_only=True) as database:
        for name in ("meta", "daily"):
            database.execute(f"COPY {name} TO $file (FORMAT parquet)", {"file": str(folder / f"{name}.parquet")})
    return folder


@pytest.fixture(params=["file", "demo"])
def gold(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gold]:
    file = gold_file(tmp_path / "gold.duckdb", "true" if request.param == "demo" else "false")
    with demo(shipped(tmp_path / "it's", file)) if request.param == "demo" else open_file(file) as opened:
        assert opened.synthetic is (request.param == "demo")
        yield opened


def test_a_query_takes_named_parameters_and_ignores_those_it_does_not_name(gold: Gold) -> None:
    found = gold.table("SELECT date FROM daily WHERE date >= $first", {"first": date(2025, 3, 9), "source": "bp_csv"})
    assert [d.date() for d in found["date"]] == [date(2025, 3, 9), date(2025, 3, 10)]


def test_sums_and_decimals_are_floats_and_days_are_datetimes(gold: Gold) -> None:
    found = gold.table(
        "SELECT sum(systolic) AS s, 1.5 * 2 AS d, min(date) AS day, TIMESTAMPTZ '2025-03-01 10:00+02' AS t FROM daily"
    )
    assert [str(kind) for kind in found.dtypes] == ["float64", "float64", "datetime64[us]", "datetime64[us, UTC]"]
    assert found["s"][0] == 1245
    assert str(found["t"][0]) == "2025-03-01 08:00:00+00:00"


@pytest.mark.parametrize(
    "query", ["SELECT 1; SELECT 2", "DROP TABLE daily", "SET threads = 8", "ATTACH ':memory:' AS x", "COPY daily TO 'x'"]
)
def test_anything_but_one_query_is_refused(gold: Gold, query: str) -> None:
    with pytest.raises(ValueError, match="one query at a time"):
        gold.table(query)


def test_no_other_file_can_be_read(gold: Gold, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for query in (f"FROM read_csv('{secret}')", f"FROM read_text('{secret}')", f"FROM glob('{tmp_path}/*')", f"FROM '{secret}'"):
        with pytest.raises(duckdb.Error, match=r"disabled|does not exist"):
            gold.table(query)


def test_a_python_variable_is_never_a_table(gold: Gold) -> None:
    with pytest.raises(duckdb.CatalogException):
        gold.table("FROM parameters")


def test_many_threads_may_ask_at_once(gold: Gold) -> None:
    wrong: list[object] = []

    def ask() -> None:
        for n in range(20):
            found = gold.table("SELECT count(*) AS n FROM daily WHERE systolic >= $low", {"low": 120 + n % 10})["n"][0]
            if found != 10 - n % 10:
                wrong.append(found)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_what_is_closed_answers_no_more(gold: Gold) -> None:
    gold.close()
    gold.close()
    with pytest.raises(StoreError, match="closed"):
        gold.table("SELECT 1")


def test_the_same_file_may_be_open_twice_and_its_views_work(tmp_path: Path) -> None:
    file = gold_file(tmp_path / "gold.duckdb")
    with open_file(file) as one, open_file(file) as other:
        assert len(one.table("FROM late")) == len(other.table("FROM late")) == 5


def test_what_is_no_gold_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all" * 500)
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute("CREATE TABLE meta AS SELECT 1 AS x")
    (tmp_path / "empty").mkdir()
    for path in ("missing.duckdb", "text", "other.duckdb"):
        with pytest.raises(StoreError) as caught:
            open_file(str(tmp_path / path))
        assert str(tmp_path) not in str(caught.value)
    with pytest.raises(StoreError, match="make examples"):
        demo(tmp_path / "empty")


def test_the_shipped_example_answers_from_small_and_from_large_tables() -> None:
    with demo() as gold:
        assert gold.table("SELECT count(*) AS n FROM daily")["n"][0] == 365
        assert gold.table("SELECT count(*) AS n FROM readings JOIN records USING (source, raw_id)")["n"][0] > 10_000
        with pytest.raises(duckdb.Error):
            gold.table("FROM glob('/*')")
