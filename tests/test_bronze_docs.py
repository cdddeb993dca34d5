"""`docs/bronze.md` says what is there: its columns, its statements, what becomes of values PostgreSQL refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres_bench import Artifacts, migrated, record, settings, sql
from tests.stage_bench import StageBench
from warehouse.bronze import schema
from warehouse.bronze.connection import connect
from warehouse.bronze.load import load
from warehouse.bronze.loading import columns

DOC = (Path(__file__).parent.parent / "docs" / "bronze.md").read_text(encoding="utf-8")
SOURCES = ("google_sheets", "mi_fitness", "bp_csv")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with migrated(tmp_path_factory.mktemp("data")) as folder:
        with connect(settings(folder)) as session:
            for source in SOURCES:
                schema.create_source(session, source)
        yield folder


def test_every_column_has_a_line_and_every_line_a_column(data: Path) -> None:
    table = DOC.partition("## Columns of")[2].partition("\n## ")[0]
    told = {name for line in table.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    query = "SELECT attname FROM pg_attribute WHERE attrelid = 'bronze_bp_csv'::regclass AND attnum > 0"
    assert told == {name for (name,) in sql(data, query)}


def test_the_statements_of_the_first_look_run(data: Path) -> None:
    console = re.sub(r"\npdp-#", "", DOC.partition("## A first look")[2].partition("\n## ")[0])
    statements = re.findall(r"^pdp=# ([A-Z].*;)$", console, re.MULTILINE)
    assert len(statements) == 7
    for statement in statements[:5] + statements[6:]:
        sql(data, statement)
    assert statements[5] == "DELETE FROM bronze_bp_csv;"


def test_every_shared_table_is_told_of(data: Path) -> None:
    query = (
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v', 'p') AND relname LIKE 'bronze\\_%%' AND NOT relispartition "
        "AND relname !~ '^bronze_(google_sheets|mi_fitness|bp_csv)'"
    )
    shared = {name for (name,) in sql(data, query)}
    assert "bronze_quality" in shared
    assert {name for name in shared if f"`{name}`" not in DOC} == set()


@pytest.mark.parametrize("limit", [40, 1000])
def test_a_text_longer_than_jsonb_takes_is_a_dead_letter(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(columns, "_JSON_CAP", limit)
    source = f"long{limit}"
    rows = [record(0), record(1, {"text": "x" * limit}), record(2, raw_id="i" * 2001), record(3, raw_id="é" * 1001)]
    rows += [record(4, raw_id=""), record(5, raw_id="a\0b"), record(6, status="odd")]
    inputs = Artifacts(tmp_path / "artifacts", source).inputs(rows)
    report = StageBench(tmp_path / "out").run(load, inputs, settings(data))[0]
    assert report["balance"]["fates"] == {
        "accepted": 1,
        "duplicate": 0,
        "rejected:no_raw_id": 1,
        "rejected:raw_id_nul": 1,
        "rejected:raw_id_too_long": 2,
        "rejected:too_big": 1,
        "rejected:unknown_status": 1,
    }
    kept = "SELECT octet_length(raw_bytes) FROM bronze_dead_letters WHERE source = %s AND error_class = 'too_big'"
    assert sql(data, kept, source) == [(limit + 12,)]
