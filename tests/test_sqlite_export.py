"""A stranger's SQLite file is read without running anything in it; what is damaged, too big or none is refused with a reason."""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import SourceRefused
from ingestion import sqlite_export
from ingestion.records import DeadLetter, Layout, Parsed, Record
from ingestion.sqlite_export import Database, Row, opened, parsed
from tests.stage_bench import as_file


def made(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def small(path: Path) -> Path:
    return made(path, "CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL)")


def cells(database: Database, table: str = "t") -> list[object]:
    return [row.cells if isinstance(row, Row) else row.reason for row in database.rows(table)]


def read(database: Database, where: str) -> Iterator[Parsed]:
    for table in database.tables:
        for row in database.rows(table):
            if isinstance(row, Row):
                yield Record(f"{table}/{row.number}", None, row.cells, f"{where}{table} row {row.number}")
            else:
                yield row


def test_rows_come_by_name_of_column_with_blobs_as_text(tmp_path: Path) -> None:
    path = made(tmp_path / "x.db", "CREATE TABLE t (b TEXT, a INTEGER, c BLOB)", "INSERT INTO t VALUES ('é', 1, x'00ff')")
    with opened(str(path)) as database:
        assert database.tables == {"t": ("b", "a", "c")}
        assert cells(database) == [{"b": "é", "a": 1, "c": "00ff"}]


def test_names_with_quotes_are_names(tmp_path: Path) -> None:
    path = made(tmp_path / "x.db", 'CREATE TABLE "a"" (b" ("c""; --" INTEGER)', 'INSERT INTO "a"" (b" VALUES (7)')
    with opened(str(path)) as database:
        assert cells(database, 'a" (b') == [{'c"; --': 7}]


def test_views_and_virtual_tables_do_not_exist_here_and_computed_columns_are_left_out(tmp_path: Path) -> None:
    path = made(
        tmp_path / "x.db",
        "CREATE TABLE t (a INTEGER, twice INTEGER AS (2 * a))",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW v AS SELECT randomblob(900000000) FROM t",
        "CREATE VIRTUAL TABLE f USING fts5(words)",
    )
    with opened(str(path)) as database:
        assert "v" not in database.tables
        assert "f" not in database.tables
        assert database.tables["t"] == ("a",)


def test_constraints_of_a_stranger_are_not_evaluated(tmp_path: Path) -> None:
    path = made(tmp_path / "x.db", "CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)", "PRAGMA writable_schema = ON")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE TABLE t (a INTEGER CHECK (length(randomblob(1000000000)) < 0))'"
        )
        connection.commit()
    with opened(str(path)) as database:
        assert cells(database) == [{"a": 1}]


def test_a_table_whose_key_is_not_its_first_columns_is_sound(tmp_path: Path) -> None:
    """SQLite 3.40's own check finds nulls in it that are not there; so Gadgetbridge keeps the level of batteries."""
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute(
            "CREATE TABLE b (t INTEGER NOT NULL, level INTEGER NOT NULL, i INTEGER NOT NULL, PRIMARY KEY (t, i)) WITHOUT ROWID"
        )
        made.executemany("INSERT INTO b VALUES (?, 50, 0)", [(t,) for t in range(300)])
        made.commit()
    with opened(str(path)) as database:
        assert len(list(database.rows("b"))) == 300


def test_damage_that_sqlite_tells_but_reads_past_is_refused(tmp_path: Path) -> None:
    path = small(tmp_path / "a.db")
    data = bytearray(path.read_bytes())
    cells_at = len(data) - 4096 + 8  # the pointers of the last page, a leaf
    data[cells_at : cells_at + 4] = data[cells_at + 2 : cells_at + 4] + data[cells_at : cells_at + 2]
    path.write_bytes(data)
    with pytest.raises(SourceRefused), opened(str(path)):
        pass


def test_a_last_page_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    """SQLite reads noughts where the file ends, and finds nothing wrong with them."""
    path = made(tmp_path / "a.db", "CREATE TABLE t (a TEXT)", f"INSERT INTO t VALUES ('{'x' * 3000}')")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceRefused) as refused, opened(str(path)):
        pass
    assert refused.value.reason == "damaged_database"


def test_a_log_beside_the_database_is_neither_needed_nor_replayed(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO t VALUES (2)")
        connection.commit()
        shutil.copy(path, tmp_path / "copy.db")
        shutil.copy(f"{path}-wal", tmp_path / "copy.db-wal")
    before = sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("copy"))
    with opened(str(tmp_path / "copy.db")) as database:
        assert cells(database) == [{"a": 1}]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("copy")) == before
    assert list(parsed(as_file(tmp_path / "copy.db-wal"), read)) == [Layout("log_not_read", 1, "copy.db-wal")]


def test_a_copy_made_while_the_app_was_writing_is_refused(tmp_path: Path) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
    path = made(tmp_path / "x.db", "CREATE TABLE t (a TEXT)", f"{many} INSERT INTO t SELECT hex(randomblob(40)) FROM n")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:8192] + bytes(8192) + whole[16384:], whole[:20], whole[:100]):
        path.write_bytes(damaged)
        with pytest.raises(SourceRefused) as refused, opened(str(path)):
            pass
        assert refused.value.reason == "damaged_database"
        assert str(tmp_path) not in str(refused.value)


def test_a_row_of_twenty_megabytes_is_a_dead_letter_and_the_others_are_read(tmp_path: Path) -> None:
    path = made(
        tmp_path / "x.db",
        "CREATE TABLE t (k INTEGER PRIMARY KEY, a TEXT) ",
        "INSERT INTO t VALUES (1, 'x'), (2, hex(zeroblob(10000000))), (3, 'y'), (4, hex(zeroblob(10000000)))",
    )
    with opened(str(path)) as database:
        found = list(database.rows("t"))
    assert [row.reason if isinstance(row, DeadLetter) else row.cells["k"] for row in found] == [1, "too_big", 3, "too_big"]
    assert [row.position for row in found if isinstance(row, DeadLetter)] == ["t row 2", "t row 4"]


def test_a_table_of_nothing_but_huge_rows_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_export, "MAX_TOO_BIG", 2)
    monkeypatch.setattr(sqlite_export, "MAX_RECORD", 10_000)
    statements = ["INSERT INTO t VALUES (zeroblob(20000))"] * 5
    with opened(str(made(tmp_path / "x.db", "CREATE TABLE t (a BLOB)", *statements))) as database:
        assert [row.reason for row in database.rows("t") if isinstance(row, DeadLetter)] == ["too_big"] * 4


def test_text_that_is_no_utf_8_is_kept_to_be_refused_as_a_record(tmp_path: Path) -> None:
    path = made(
        tmp_path / "x.db", "CREATE TABLE t (a TEXT)", "INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))", "INSERT INTO t VALUES ('b')"
    )
    with opened(str(path)) as database:
        assert cells(database) == [{"a": "\udcffA"}, {"a": "b"}]


def test_too_many_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_export, "MAX_TABLES", 2)
    path = made(tmp_path / "x.db", *(f"CREATE TABLE t{n} (a)" for n in range(3)))
    with pytest.raises(SourceRefused, match="tables"), opened(str(path)):
        pass


def test_an_archive_gives_its_databases_and_tells_the_rest(tmp_path: Path) -> None:
    inner = small(tmp_path / "inner")
    broken = inner.read_bytes()[:3000]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr("broken", broken)
        target.write(inner, "deep/down/export")
        target.writestr("note.txt", "hello")
        target.writestr("nothing", "")
        target.writestr("export-wal", b"\x37\x7f\x06\x82" + bytes(30))
    found = list(parsed(as_file(tmp_path / "a.zip"), read))
    assert [r.position for r in found if isinstance(r, Record)] == [f"deep/down/export t row {n}" for n in (1, 2, 3)]
    assert [(x.reason, x.position) for x in found if isinstance(x, DeadLetter)] == [("damaged_database", "broken")]
    assert [x for x in found if isinstance(x, Layout)] == [
        Layout("file_not_read", 1, "note.txt"),
        Layout("empty_file"),
        Layout("log_not_read", 1, "export-wal"),
    ]


@pytest.mark.parametrize("content", [b"SQLite format 2\0" + bytes(100), b"<html>", b"a,b\n1,2\n", b"\x89PNG\r\n"])
def test_a_file_that_is_no_database_is_refused_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "export.db"
    path.write_bytes(content)
    with pytest.raises(SourceRefused) as refused:
        list(parsed(as_file(path), read))
    assert refused.value.reason == "unknown_format"


def test_an_empty_file_is_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    assert list(parsed(as_file(tmp_path / "x.db"), read)) == [Layout("empty_file")]


def test_a_database_may_have_any_name_of_file(tmp_path: Path) -> None:
    path = small(tmp_path / "a b?mode=rw#%41.db")
    assert len(list(parsed(as_file(path), read))) == 3


def test_an_unpacked_database_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.write(small(tmp_path / "inner"), "x")
    assert len(list(parsed(as_file(tmp_path / "a.zip"), read))) == 3
    assert list((tmp_path / "tmp").iterdir()) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(changes=st.lists(st.tuples(st.integers(0, 12_287), st.binary(min_size=1, max_size=64)), min_size=1, max_size=6))
def test_no_damage_does_anything_but_refuse_or_dead_letters(tmp_path: Path, changes: list[tuple[int, bytes]]) -> None:
    path = tmp_path / "x.db"
    if not (tmp_path / "whole").exists():
        shutil.copy(
            made(path, "CREATE TABLE t (a INTEGER, b TEXT)", *["INSERT INTO t VALUES (1, hex(zeroblob(300)))"] * 20),
            tmp_path / "whole",
        )
    data = bytearray((tmp_path / "whole").read_bytes())
    for place, new in changes:
        data[place : place + len(new)] = new
    path.write_bytes(bytes(data))
    try:
        found = list(parsed(as_file(path), read))
    except SourceRefused:
        return
    assert all(isinstance(item, Record | DeadLetter) for item in found)
