"""Backup and restore: the same rows afterwards, a whole file or none, and nothing lost when it fails or is stopped."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bench.bronze_servers import running
from config.errors import BusyError, PDPError, UsageError, WarehouseError
from tests.keeping_bench import (
    OLD,
    copied,
    eventually,
    everything,
    everything_of,
    fill,
    kill_with_its_program,
    old_server,
    processes,
    servers,
    stall,
    typed,
)
from tests.made_once import cluster
from tests.postgres_bench import asked, python, record, said, settings, sql
from tests.roles_bench import PEOPLE, Place, place
from warehouse.bronze import ledger
from warehouse.bronze.checking.status import status, verify
from warehouse.bronze.embedded import server
from warehouse.bronze.saving import programs
from warehouse.bronze.saving.backup import backup
from warehouse.bronze.saving.restore import restore


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with loaded rows; stopped."""
    folder = tmp_path_factory.mktemp("filled")
    fill(folder, settings(cluster(folder / "data")))
    server.release(str(folder / "data"))
    return folder / "data"


@pytest.fixture(scope="module")
def saved(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it."""
    path = tmp_path_factory.mktemp("saved") / "bronze.dump"
    backup(settings(filled), str(path))
    server.release(str(filled))
    return path


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Iterator[Path]:
    """A data root of its own for each test, with the same rows."""
    yield copied(filled, tmp_path / "data")
    server.release(str(tmp_path / "data"))
    server.stop_if_unused(str(tmp_path / "data"))


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """A data root without a database."""
    yield tmp_path / "empty"
    server.release(str(tmp_path / "empty"))
    server.stop_if_unused(str(tmp_path / "empty"))


@pytest.fixture
def at_home(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands work on it."""
    for name in ("DATABASE_URL", "PG_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(data))
    monkeypatch.setenv("TIMEZONE", "Europe/Warsaw")
    return data


def beside(path: Path) -> list[str]:
    """What lies in the folder of a backup."""
    return sorted(entry.name for entry in path.parent.iterdir() if entry.name.startswith(path.name))


def told(where: dict[str, Any]) -> dict[str, Any]:
    """What `bronze status` says, but for sizes on disk and the time that passes."""
    found = status(where)
    tables = [{k: v for k, v in t.items() if not k.endswith("bytes") and k != "fresh_hours"} for t in found["tables"]]
    return {**found, "tables": tables, "bytes": 0}


def test_a_backup_restored_elsewhere_holds_the_same_rows_and_agrees_with_its_ledger(
    filled: Path, saved: Path, empty: Path, tmp_path: Path
) -> None:
    restore(settings(empty), str(saved))
    assert everything_of(empty) == everything_of(filled)
    assert len(everything_of(empty)["bronze_demo"]) == 42
    assert verify(settings(empty), {}) == []
    assert told(settings(empty)) == told(settings(filled))
    assert sql(empty, "SELECT count(*) FROM pg_statistic s JOIN pg_class c ON c.oid = starelid WHERE relname LIKE 'bronze%'") > [
        (0,)
    ]


def test_a_restored_database_takes_new_loads_and_refuses_changed_rows(saved: Path, empty: Path, tmp_path: Path) -> None:
    restore(settings(empty), str(saved))
    fill(tmp_path, settings(empty), first=100, count=900)  # more months
    assert verify(settings(empty), {}) == []
    assert sql(empty, "SELECT count(*), count(DISTINCT id) FROM bronze_demo") == [(944, 944)]
    with pytest.raises(psycopg.errors.RestrictViolation):
        sql(empty, "DELETE FROM bronze_demo")


def test_the_backup_is_private_counted_and_leaves_nothing_beside_it(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "bronze.dump"
    found = backup(settings(data), str(path))
    assert found.tables == {"bronze_demo": 42}
    assert (found.rows, found.dead_letters, found.loads) == (42, 3, 2)
    assert found.size == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert beside(path) == ["bronze.dump"]


def test_a_file_that_is_there_is_only_replaced_when_asked_and_by_a_whole_backup(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "bronze.dump"
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"already\. .*--force"):
        backup(settings(data), str(path))
    assert path.read_text() == "mine"
    backup(settings(data), str(path), replace=True)
    assert path.read_bytes()[:5] == b"PGDMP"
    with pytest.raises(UsageError, match="folder"):
        backup(settings(data), str(tmp_path), replace=True)
    with pytest.raises(UsageError, match="cannot be written"):
        backup(settings(data), str(tmp_path / "nowhere" / "bronze.dump"))


def test_what_is_loaded_while_it_is_saved_is_not_half_in_it(
    data: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = programs.run

    def late(*arguments: Any, **streams: Any) -> None:
        fill(tmp_path, settings(data), first=100)
        run(*arguments, **streams)

    monkeypatch.setattr(programs, "run", late)
    found = backup(settings(data), str(tmp_path / "bronze.dump"))
    monkeypatch.undo()
    assert found.rows == 42
    assert sql(data, "SELECT count(*) FROM bronze_demo") == [(84,)]
    restore(settings(empty), str(tmp_path / "bronze.dump"))
    assert sql(empty, "SELECT count(*) FROM bronze_demo") == [(42,)]
    assert verify(settings(empty), {}) == []


def test_a_dump_that_fails_leaves_nothing_and_what_was_there_stays(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "bronze.dump"
    path.write_text("mine")
    blocked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pdp backup' AND wait_event_type = 'Lock'"

    with server.embedded(str(data)) as dsn, psycopg.connect(dsn) as holder, psycopg.connect(dsn, autocommit=True) as other:
        holder.execute("LOCK TABLE bronze_migrations IN ACCESS EXCLUSIVE MODE")

        def terminate() -> None:
            eventually(lambda: bool(other.execute(blocked).fetchall()))
            other.execute(f"SELECT pg_terminate_backend(pid) FROM ({blocked}) AS waiting")

        thread = threading.Thread(target=terminate)
        thread.start()
        with pytest.raises(WarehouseError, match="pg_dump lost its connection"):
            backup(settings(data), str(path), replace=True)
        thread.join()
    assert path.read_text() == "mine"
    assert beside(path) == ["bronze.dump"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_backup_leaves_no_file_no_program_and_no_server(at_home: Path, tmp_path: Path, number: int) -> None:
    child = typed("bronze", "backup", str(tmp_path / "bronze.dump"), stalled="pg_dump")
    assert child.stdout
    assert child.stdout.readline() == "stalled\n"
    assert beside(tmp_path / "bronze.dump")
    child.send_signal(number)
    child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert beside(tmp_path / "bronze.dump") == []
    assert processes(stall(child)) == []
    assert servers(at_home) == []


def test_what_a_killed_backup_has_left_goes_with_the_next_but_not_while_it_is_written(at_home: Path, tmp_path: Path) -> None:
    path = tmp_path / "bronze.dump"
    child = typed("bronze", "backup", str(path), stalled="pg_dump")
    assert child.stdout
    child.stdout.readline()
    eventually(lambda: bool(processes(stall(child))))
    (left,) = beside(path)
    child.kill()
    child.communicate()
    backup(settings(at_home), str(path))  # the program lives on and writes
    assert beside(path) == ["bronze.dump", left]
    for pid in processes(stall(child)):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes(stall(child)) == [])
    backup(settings(at_home), str(path), replace=True)
    assert beside(path) == ["bronze.dump"]


def test_a_database_that_holds_something_is_only_replaced_when_asked(data: Path, saved: Path, tmp_path: Path) -> None:
    fill(tmp_path, settings(data), first=100)
    server.release(str(data))
    with pytest.raises(UsageError, match=r"not empty\. Add --force"):
        restore(settings(data), str(saved))
    assert sql(data, "SELECT count(*) FROM bronze_demo") == [(84,)]
    restore(settings(data), str(saved), replace=True)
    assert sql(data, "SELECT count(*) FROM bronze_demo") == [(42,)]
    assert sql(data, "SELECT datname FROM pg_database WHERE datname LIKE 'pdp%'") == [("pdp",)]


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_restore_that_fails_leaves_what_was_there(data: Path, saved: Path, tmp_path: Path, kept: float) -> None:
    torn = tmp_path / "torn.dump"
    whole = saved.read_bytes()
    start = whole.rindex(b"\x78\x01")  # the last compressed block
    torn.write_bytes(whole[: start + 20] + b"\0" * (len(whole) - start - 20) if kept > 0.5 else whole[: int(len(whole) * kept)])
    before = everything_of(data)
    with pytest.raises(PDPError, match=r"archive|pg_restore"):
        restore(settings(data), str(torn), replace=True)
    assert everything_of(data) == before
    assert sql(data, "SELECT datname FROM pg_database WHERE datname LIKE 'pdp%'") == [("pdp",)]


def test_a_database_in_use_is_not_replaced(data: Path, saved: Path) -> None:
    with server.embedded(str(data)) as dsn, psycopg.connect(dsn) as reader:
        with pytest.raises(BusyError):
            restore(settings(data), str(saved), replace=True)
        assert reader.execute("SELECT count(*) FROM bronze_demo").fetchone() == (42,)


def test_a_database_that_comes_into_use_during_the_restore_is_not_replaced(
    data: Path, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = programs.run
    with server.embedded(str(data)) as dsn:
        readers = []

        def late(*arguments: Any, **streams: Any) -> None:
            run(*arguments, **streams)
            readers.append(psycopg.connect(dsn))

        monkeypatch.setattr(programs, "run", late)
        with pytest.raises(BusyError):
            restore(settings(data), str(saved), replace=True)
        with readers[0] as reader:
            assert reader.execute("SELECT count(*) FROM bronze_demo").fetchone() == (42,)
    assert sql(data, "SELECT datname FROM pg_database WHERE datname LIKE 'pdp%'") == [("pdp",)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_restore_leaves_the_old_rows_no_program_and_no_server(at_home: Path, saved: Path, number: int) -> None:
    child = typed("bronze", "restore", str(saved), "--force", stalled="pg_restore")
    assert child.stdout
    assert child.stdout.readline() == "stalled\n"
    child.send_signal(number)
    child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert processes(stall(child)) == []
    assert servers(at_home) == []
    assert sql(at_home, "SELECT count(*) FROM bronze_demo") == [(42,)]
    assert sql(at_home, "SELECT datname FROM pg_database WHERE datname LIKE 'pdp%'") == [("pdp",)]


def test_a_killed_restore_leaves_the_old_rows_and_the_next_one_works(at_home: Path, saved: Path) -> None:
    child = typed("bronze", "restore", str(saved), "--force", stalled="pg_restore")
    assert child.stdout
    child.stdout.readline()
    kill_with_its_program(child)
    assert sql(at_home, "SELECT count(*) FROM bronze_demo") == [(42,)]
    restore(settings(at_home), str(saved), replace=True)
    assert sql(at_home, "SELECT datname FROM pg_database WHERE datname LIKE 'pdp%'") == [("pdp",)]
    assert verify(settings(at_home), {}) == []


def test_after_a_restore_the_ledger_in_the_file_says_what_the_database_says(data: Path, saved: Path, tmp_path: Path) -> None:
    later = asked(fill(tmp_path, settings(data), first=100))
    server.release(str(data))
    assert ledger.holds(later, settings(data))
    restore(settings(data), str(saved), replace=True)
    assert not ledger.holds(later, settings(data))  # the file is of before: the database is asked
    server.release(str(data))
    held = {tuple(row) for row in sql(data, "SELECT source, target_table, file_hash FROM bronze_loads")}
    server.release(str(data))
    cluster = ledger.cluster_folder(str(data))
    assert cluster
    recorded = ledger._recorded(cluster)
    assert recorded is not None
    assert {row[:3] for row in recorded} == held
    assert not ledger.holds(later, settings(data))


def test_after_a_restore_that_was_killed_at_its_end_the_database_is_asked(data: Path, saved: Path, tmp_path: Path) -> None:
    later = asked(fill(tmp_path, settings(data), first=100))
    server.release(str(data))
    code = """
    import os, signal, sys
    from warehouse.bronze.saving.restore import restore
    restore({"database": "", "data_dir": sys.argv[1]}, sys.argv[2], replace=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    python(code, str(data), str(saved)).communicate(timeout=60)
    assert not ledger.holds(later, settings(data))


@pytest.fixture
def configured(empty: Path) -> Iterator[str]:
    """A server of the person's own, with an empty database."""
    with server.embedded(str(cluster(empty))) as dsn:
        with psycopg.connect(dsn, dbname="postgres", autocommit=True) as session:
            session.execute("CREATE DATABASE theirs TEMPLATE template0")
        yield make_conninfo(dsn, dbname="theirs")


def test_a_backup_moves_to_a_configured_server_and_back(filled: Path, saved: Path, configured: str, tmp_path: Path) -> None:
    theirs = settings(tmp_path, database=configured)
    restore(theirs, str(saved))
    assert everything(configured) == everything_of(filled)
    assert verify(theirs, {}) == []
    backup(theirs, str(tmp_path / "back.dump"))
    restore(settings(tmp_path / "home"), str(tmp_path / "back.dump"))
    assert everything_of(tmp_path / "home") == everything_of(filled)
    server.release(str(tmp_path / "home"))


def test_a_configured_server_is_never_replaced(saved: Path, configured: str, tmp_path: Path) -> None:
    theirs = settings(tmp_path, database=configured)
    with pytest.raises(UsageError, match="embedded database only"):
        restore(theirs, str(saved), replace=True)
    with psycopg.connect(configured, autocommit=True) as session:
        session.execute("CREATE TABLE bronze_mine (n INT)")
        with pytest.raises(UsageError, match="holds bronze tables"):
            restore(theirs, str(saved))
        session.execute("DROP TABLE bronze_mine")


def test_what_fails_on_a_configured_server_leaves_it_empty(saved: Path, configured: str, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    start = whole.rindex(b"\x78\x01")
    torn = tmp_path / "torn.dump"
    torn.write_bytes(whole[: start + 20] + b"\0" * (len(whole) - start - 20))
    theirs = settings(tmp_path, database=configured)
    with pytest.raises(WarehouseError, match="pg_restore"):
        restore(theirs, str(torn))
    with psycopg.connect(configured, autocommit=True) as session:
        session.execute("CREATE FUNCTION bronze_immutable() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        with pytest.raises(WarehouseError, match="psql brings what is there already"):
            restore(theirs, str(saved))
        assert session.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'bronze%'").fetchone() == (0,)


@pytest.mark.skipif(not OLD, reason="there is one PostgreSQL only")
def test_a_backup_of_the_newest_version_can_be_brought_to_an_older_server(saved: Path, filled: Path, tmp_path: Path) -> None:
    with old_server(tmp_path / "old") as dsn:
        restore(settings(tmp_path, database=dsn), str(saved))
        assert everything(dsn) == everything_of(filled)


def test_a_password_stands_on_no_command_line_and_the_persons_files_are_used(
    configured: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSFILE", "/somewhere")
    monkeypatch.setenv("DATABASE_URL", "postgresql://x:hidden@y/z")
    seen: list[tuple[list[str], dict[str, str]]] = []
    started = programs.started

    def spy(command: list[str], variables: dict[str, str], **streams: Any) -> Any:
        seen.append((command, variables))
        return started(command, variables, **streams)

    monkeypatch.setattr(programs, "started", spy)
    theirs = settings(tmp_path, database=configured + " password=hidden")
    restore(theirs, str(saved))
    backup(theirs, str(tmp_path / "again.dump"))
    assert {Path(command[0]).name for command, _ in seen} == {"pg_restore", "psql", "pg_dump"}
    for command, variables in seen:
        assert "hidden" not in " ".join(command)
        assert variables["PGPASSWORD"] == "hidden"
        assert variables["PGPASSFILE"] == "/somewhere"
        assert "DATABASE_URL" not in variables
    assert "PGPASSFILE" not in programs.environment("host=/tmp", "x", embedded=True)


def test_a_program_older_than_the_server_or_without_encryption_is_told_with_the_mend() -> None:
    with pytest.raises(WarehouseError, match=r"pg_dump is of PostgreSQL \d+, the server is 99\. Install .* 99 or newer"):
        programs.find("pg_dump", embedded=False, server=99)
    with pytest.raises(WarehouseError, match="pg_nothing is not installed"):
        programs.find("pg_nothing", embedded=False)
    found = programs.failure(
        "/usr/bin/pg_dump", b'pg_dump: error: sslmode value "require" invalid when SSL support is not compiled in'
    )
    assert "cannot encrypt" in str(found)
    assert "postgresql-client" in found.mend


def test_what_is_no_backup_is_told_as_such(empty: Path, tmp_path: Path, data: Path) -> None:
    (tmp_path / "text").write_text("x" * 5000)
    with pytest.raises(WarehouseError, match="cannot read the archive"):
        restore(settings(empty), str(tmp_path / "text"))
    with pytest.raises(UsageError, match="cannot be read"):
        restore(settings(empty), str(tmp_path / "nothing"))
    with server.embedded(str(data)) as dsn:
        program = programs.find("pg_dump", embedded=True)
        with (tmp_path / "other").open("wb") as target:
            variables = programs.environment(make_conninfo(dsn, dbname="postgres"), "test", embedded=True)
            programs.run([program, "--format=custom"], variables, target=target)
    with pytest.raises(UsageError, match="none of bronze"):
        restore(settings(empty), str(tmp_path / "other"))
    assert not empty.exists()


def test_there_is_nothing_to_save_before_the_first_run(empty: Path, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no bronze database yet"):
        backup(settings(empty), str(tmp_path / "bronze.dump"))
    with server.embedded(str(empty)), pytest.raises(WarehouseError):
        backup(settings(empty), str(tmp_path / "bronze.dump"))
    assert beside(tmp_path / "bronze.dump") == []


def test_the_commands_tell_what_they_did(at_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "bronze.dump")
    text = said(typed("bronze", "backup", path))
    assert "1 table, 42 rows, 3 dead letters" in text
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "elsewhere"))
    text = said(typed("bronze", "restore", path))
    assert "1 table, 42 rows, 3 dead letters" in text
    assert "agrees with the ledger" in text
    assert servers(tmp_path / "elsewhere") == servers(at_home) == []


@pytest.mark.parametrize(
    "which", ["embedded", pytest.param("system", marks=pytest.mark.skipif(OLD != 15, reason="no PostgreSQL 15"))]
)
def test_a_login_without_superuser_saves_and_restores_and_the_roles_may_do_the_same_again(which: str, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    path = str(tmp_path / "bronze.dump")
    with running(which, tmp_path / "server") as theirs:
        first = place(theirs, "first", tmp_path, "keeper", "CREATEROLE")
        first.init("keeper")
        for login, role in PEOPLE.items():
            first.run(f"CREATE ROLE {login} LOGIN; GRANT {role} TO {login}", "keeper")
        first.load("worker", [record(n) for n in range(40)])
        with pytest.raises(WarehouseError, match="pg_dump may not see or make everything"):
            backup(first.settings("ann"), path)
        assert beside(Path(path)) == []
        first.run("CREATE ROLE quiet LOGIN NOINHERIT; GRANT bronze_owner TO quiet", "keeper")
        assert backup(first.settings("quiet"), path).rows == 40
        second = Place(theirs, "second", tmp_path / "second")
        second.folder.mkdir()
        with psycopg.connect(theirs.dsn, autocommit=True) as session:
            session.execute("CREATE DATABASE second OWNER keeper")
        made = restore(second.settings("keeper"), path)
        assert made.roles.complete
        assert [row[:4] for row in second.objects()] == [row[:4] for row in first.objects()]
        assert everything(second.dsn()) == everything(first.dsn())
        second.load("worker", [record(n) for n in range(60)])
        assert second.run("SELECT count(*) FROM bronze_demo", "ann") == [(60,)]
        assert verify(second.settings("ann"), {}) == []


def test_what_a_load_is_busy_with_is_not_in_a_backup(data: Path, empty: Path, tmp_path: Path) -> None:
    sql(data, "CREATE UNLOGGED TABLE bronze_tmp_abcdef_1 AS SELECT 1 AS n")
    backup(settings(data), str(tmp_path / "bronze.dump"))
    restore(settings(empty), str(tmp_path / "bronze.dump"))
    assert sql(empty, "SELECT count(*) FROM pg_class WHERE relname LIKE 'bronze_tmp%'") == [(0,)]


UNANSWERED = """
import signal, subprocess, sys, threading, time
from pipeline.signals import interruptible
from warehouse.bronze.saving import programs
def elsewhere():
    time.sleep(0.5)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
threading.Thread(target=elsewhere).start()
with interruptible():
    programs.run(["sleep", "30"], {"PATH": "/usr/bin:/bin"})
"""


def test_a_signal_that_did_not_end_a_wait_is_answered_all_the_same() -> None:
    """As one does that arrives just before the wait begins; here another thread gets it."""
    done = subprocess.run([sys.executable, "-c", UNANSWERED], capture_output=True, text=True, check=False, timeout=20)
    assert "KeyboardInterrupt: 15" in done.stderr
