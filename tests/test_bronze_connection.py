"""Sessions on the database: what holds in each of them, who they say they are, when they are encrypted; several for readers."""

from __future__ import annotations

import logging
import os
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from config.errors import WarehouseError
from tests.keeping_bench import OLD, eventually, fill, old_cluster, old_server
from tests.postgres_bench import ROOT, python, served, settings
from warehouse.bronze import pool
from warehouse.bronze.connection import _SESSION, complete, connect
from warehouse.bronze.embedded import lifecycle, server
from warehouse.bronze.embedded.sizing import server_settings
from warehouse.bronze.pool import readers
from warehouse.bronze.saving import programs
from warehouse.bronze.saving.backup import backup


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with served(tmp_path_factory.mktemp("data")) as folder:
        with connect(settings(folder)) as session:
            session.execute("CREATE TABLE numbers AS SELECT generate_series(1, 10) AS n")
        yield folder


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person may have set for libpq is set by the tests alone."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


def shown(session: psycopg.Connection[Any], name: str) -> str:
    return str(session.execute("SELECT current_setting(%s)", (name,)).fetchall()[0][0])


def test_what_holds_in_every_session_whatever_the_server_or_the_person_has_set(data: Path) -> None:
    with server.embedded(str(data)) as dsn:
        odd = settings(data, database=dsn + " options='-csearch_path=mine,public -ctimezone=Asia/Tokyo -cstatement_timeout=0'")
        with connect(odd) as session:
            assert shown(session, "search_path") == "public, pg_temp"
            assert shown(session, "timezone") == "UTC"
            assert shown(session, "statement_timeout") == "1h"
            assert shown(session, "lock_timeout") == "30s"
            assert shown(session, "idle_in_transaction_session_timeout") == "15min"
            session.execute("CREATE TEMP TABLE numbers AS SELECT 0 AS n")
            assert session.execute("SELECT count(*) FROM numbers").fetchone() == (10,)


def test_every_setting_of_a_session_is_documented() -> None:
    text = (ROOT / "docs/bronze_operations.md").read_text()
    assert [name for name in _SESSION if f"`{name}`" not in text] == []


def test_the_server_knows_which_command_a_session_is_of_unless_the_person_has_named_it(data: Path) -> None:
    with connect(settings(data), role="status") as session:
        assert shown(session, "application_name") == "pdp status"
    with connect(settings(data)) as session:
        assert shown(session, "application_name") == "pdp"
    with server.embedded(str(data)) as dsn:
        named = settings(data, database=dsn + " application_name=mine")
    with connect(named, role="status") as session:
        assert shown(session, "application_name") == "mine"


REMOTE = [
    "postgresql://u@db.example/pdp",
    "host=10.0.0.7 dbname=pdp",
    "host=localhost,db.example",
    "hostaddr=192.0.2.1 host=localhost",
]
LOCAL = ["", "dbname=pdp", "host=/run/postgresql", "postgresql://LOCALHOST/pdp", "host=127.8.0.1", "host=::1", "host=@abstract"]
SAID = ["postgresql://db.example/pdp?sslmode=disable", "host=db.example sslmode=verify-full", "host=db.example sslmode=prefer"]


def test_encryption_is_required_of_a_server_elsewhere_and_what_the_person_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def mode(dsn: str) -> Any:
        return conninfo.conninfo_to_dict(complete(dsn)).get("sslmode")

    assert [mode(dsn) for dsn in REMOTE] == ["require"] * len(REMOTE)
    assert [mode(dsn) for dsn in LOCAL] == [None] * len(LOCAL)
    assert [mode(dsn) for dsn in SAID] == ["disable", "verify-full", "prefer"]
    assert mode("service=theirs") is None
    assert mode("host=db.example sslrootcert=system") is None
    for name, value in (("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", "system"), ("PGSERVICE", "theirs")):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            assert mode("host=db.example") is None
    monkeypatch.setenv("PGHOST", "db.example")
    assert mode("dbname=pdp") == "require"


@contextmanager
def relayed(target: str) -> Iterator[int]:
    """The server's socket, reachable over TCP as if it were another machine's, one client at a time; the port."""
    ended, end = socket.socketpair()

    def serve() -> None:
        while listener in select.select([listener, ended], [], [])[0]:
            client, _ = listener.accept()
            with client, socket.socket(socket.AF_UNIX) as backend:
                backend.connect(target)
                while ended not in (ready := select.select([client, backend, ended], [], [])[0]):
                    data = ready[0].recv(1 << 16)
                    if not data:
                        break
                    (backend if ready[0] is client else client).sendall(data)

    with ended, end, socket.create_server(("0.0.0.0", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            end.sendall(b".")
            thread.join()


def test_a_server_elsewhere_without_encryption_is_refused_until_the_person_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.embedded(str(data)) as dsn, relayed(f"{conninfo.conninfo_to_dict(dsn)['host']}/.s.PGSQL.5432") as port:
        elsewhere = f"host=0.0.0.0 port={port} user=postgres dbname=pdp"
        refused = pytest.raises(WarehouseError, match=r"offers no encryption\. Switch TLS on there; .* sslmode=disable")
        with refused, connect(settings(data, database=elsewhere)):
            pass
        for said in (elsewhere + " sslmode=disable", elsewhere.replace("0.0.0.0", "127.0.0.1")):
            with connect(settings(data, database=said)) as session:
                assert session.execute("SELECT count(*) FROM numbers").fetchone() == (10,)
        monkeypatch.setenv("PGSSLMODE", "disable")
        with connect(settings(data, database=elsewhere)) as session:
            assert not session.pgconn.ssl_in_use


@pytest.mark.skipif(not OLD or not shutil.which("openssl"), reason="needs a PostgreSQL with TLS and openssl")
def test_a_server_elsewhere_with_encryption_is_used_with_it_by_sessions_and_by_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "theirs"
    with old_server(home):
        found = old_cluster(home)
    certificate = ["-x509", "-nodes", "-subj", "/CN=theirs", "-out", "server.crt", "-keyout", "server.key"]
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "rsa:2048", *certificate], cwd=found.path, check=True, capture_output=True
    )
    for name in ("server.crt", "server.key"):
        os.chmod(Path(found.path) / name, 0o600)
        if found.user:
            os.chown(Path(found.path) / name, found.user.uid, found.user.gid)
    with socket.create_server(("0.0.0.0", 0)) as free:
        port = int(free.getsockname()[1])

    def listening(major: int, folder: str) -> dict[str, str]:
        return {**server_settings(major, folder), "listen_addresses": "0.0.0.0", "ssl": "on", "port": str(port)}

    for module in ("lifecycle", "sockets"):
        monkeypatch.setattr(f"warehouse.bronze.embedded.{module}.PORT", port)
    monkeypatch.setattr(lifecycle, "server_settings", listening)
    with old_server(home):
        theirs = settings(tmp_path, database=f"host=0.0.0.0 port={port} user=postgres dbname=pdp")
        with connect(theirs) as session:
            assert session.pgconn.ssl_in_use
        fill(tmp_path, theirs)
        seen = []
        run = programs.run

        def spy(command: list[str], variables: dict[str, str], **streams: Any) -> None:
            seen.append(variables["PGSSLMODE"])
            run(command, variables, **streams)

        monkeypatch.setattr(programs, "run", spy)
        assert backup(theirs, str(tmp_path / "theirs.dump")).rows == 42
        assert seen == ["require"]


def test_the_statement_of_a_client_that_was_killed_ends(data: Path) -> None:
    code = """
    import sys, psycopg
    from warehouse.bronze.connection import connect
    with connect({"database": "", "data_dir": sys.argv[1]}, role="doomed") as session:
        print("up", flush=True)
        session.execute("SELECT pg_sleep(900)")
    """
    question = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pdp doomed' AND state = 'active'"
    child = python(code, str(data))
    assert child.stdout
    assert child.stdout.readline() == "up\n"
    with connect(settings(data)) as session:
        eventually(lambda: session.execute(question).fetchone() == (1,))
        child.kill()
        child.communicate()
        eventually(lambda: session.execute(question).fetchone() == (0,), 60)


def test_readers_share_sessions_that_only_read(data: Path) -> None:
    barrier = threading.Barrier(3, timeout=60)

    with readers(settings(data), 3, role="reconcile", seconds=7) as shared:

        def ask(_: int) -> tuple[int, int]:
            with shared.session() as session:
                barrier.wait()  # three at the same time
                return session.info.backend_pid, session.execute("SELECT count(*) FROM numbers").fetchall()[0][0]

        with ThreadPoolExecutor(3) as workers:
            first = list(workers.map(ask, range(3)))
            again = list(workers.map(ask, range(3)))
        assert {count for _, count in [*first, *again]} == {10}
        assert len({pid for pid, _ in first}) == 3
        assert {pid for pid, _ in again} == {pid for pid, _ in first}
        with shared.session() as session:
            assert shown(session, "application_name") == "pdp reconcile"
            assert shown(session, "statement_timeout") == "7s"
            assert shown(session, "search_path") == "public, pg_temp"
            assert shown(session, "timezone") == "UTC"
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                session.execute("INSERT INTO numbers VALUES (11)")
    with connect(settings(data)) as session:
        assert session.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pdp reconcile'").fetchone() == (
            0,
        )


def test_a_reader_whose_session_was_lost_gets_another(data: Path) -> None:
    with readers(settings(data), 1) as shared:
        with shared.session() as session:
            lost = session.info.backend_pid
        with connect(settings(data)) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", (lost,))
        with shared.session() as session:
            assert session.info.backend_pid != lost
            assert session.execute("SELECT count(*) FROM numbers").fetchone() == (10,)


def test_more_readers_than_sessions_are_told(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_WAIT", 0.2)
    none = pytest.raises(WarehouseError, match="no session within")
    with readers(settings(data), 1) as shared, shared.session(), none, shared.session():
        pass


def test_readers_make_no_database_and_their_pool_logs_no_host(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(WarehouseError, match="no bronze database yet"), readers(settings(tmp_path / "none"), 1):
        pass
    assert not (tmp_path / "none").exists()
    monkeypatch.setattr(pool, "_WAIT", 2.0)
    caplog.set_level(logging.DEBUG)
    with server.embedded(str(data)) as dsn, ExitStack() as stack:
        relay = ExitStack()
        port = relay.enter_context(relayed(f"{conninfo.conninfo_to_dict(dsn)['host']}/.s.PGSQL.5432"))
        theirs = settings(data, database=f"host=127.0.0.1 port={port} user=postgres dbname=pdp")
        shared = stack.enter_context(readers(theirs, 1))
        with shared.session() as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
        relay.close()
        with pytest.raises(WarehouseError, match="no session within"), shared.session():
            pass
    assert "127.0.0.1" not in caplog.text
