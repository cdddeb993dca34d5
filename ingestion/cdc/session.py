"""A session on the database whose changes are read, and its errors in words. No message carries an address, a user or a value."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from psycopg import conninfo, pq

from config.addresses import is_local_database
from config.errors import PDPError, SettingsError, SourceDenied, SourceUnavailable
from ingestion.cdc.values import SESSION

Connection = psycopg.Connection[tuple[Any, ...]]

PATIENCE = 120.0
"""Seconds to wait for a snapshot: it begins when the transactions that are open have ended."""
_TIMEOUTS = {"lock_timeout": "30s", "statement_timeout": "1h", "search_path": "pg_catalog", "row_security": "off"}
"""`row_security`: rows that a policy hides are an error, not left out."""
_SET = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)"
_OLDEST = 130000


@contextmanager
def connected(settings: Mapping[str, Any]) -> Iterator[Connection]:
    """A session, autocommit, that writes values as `ingestion.cdc.values` reads them. Secret: tokens_cdc (CDC_DATABASE_URL).

    Raises SettingsError, SourceDenied, SourceUnavailable, for what goes wrong inside the block, too.
    """
    with told(), psycopg.connect(_address(settings), autocommit=True, prepare_threshold=None) as session:
        if session.info.server_version < _OLDEST:
            raise SourceDenied("The database is older than PostgreSQL 13.", "Upgrade it.")
        wanted = SESSION | _TIMEOUTS
        session.execute(_SET, (list(wanted), list(wanted.values())))
        yield session


@contextmanager
def told() -> Iterator[None]:
    """What the database answers, as one of our errors."""
    try:
        yield
    except psycopg.Error as error:
        raise refused(error.sqlstate, isinstance(error, psycopg.OperationalError)) from None


def refused(code: str | None, lost: bool = False) -> PDPError:
    """An error by its SQLSTATE. `lost`: the connection failed where there is no code."""
    for prefix, kind, what, mend in _CAUSES:
        if code and code.startswith(prefix):
            return kind(what, mend)
    if lost:
        return SourceUnavailable("The database of CDC_DATABASE_URL cannot be reached.", "Check its address, or run again later.")
    return SourceDenied(f"The database of CDC_DATABASE_URL refused ({code}).", "Look into its log; see docs/streams.md.")


@contextmanager
def exported_snapshot(settings: Mapping[str, Any], name: str) -> Iterator[tuple[str, int]]:
    """(Name, place in the log) of a snapshot that stands for the block: it holds what was committed before that place, nothing else.

    A temporary slot `name` makes it; it is gone with the block, however that ends.
    """
    address = conninfo.make_conninfo(_address(settings), replication="database")
    with told(), closing(psycopg.connect(address, autocommit=True)) as session:
        command = f'CREATE_REPLICATION_SLOT "{name}" TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT'
        answer = _asked(session.pgconn, command.encode())
        place, snapshot = (answer.get_value(0, column) or b"" for column in (1, 2))
        from ingestion.cdc.pgoutput import lsn_number

        yield snapshot.decode(), lsn_number(place.decode())


def _asked(connection: pq.abc.PGconn, command: bytes) -> pq.abc.PGresult:
    """The answer to a command of the replication protocol, which psycopg has no words for."""
    connection.send_query(command)
    ends = time.monotonic() + PATIENCE
    while connection.is_busy():
        if not select.select([connection.socket], [], [], max(0.0, ends - time.monotonic()))[0]:
            raise SourceUnavailable(
                "The database could not take a snapshot: a transaction there stays open.", "Run again when it has ended."
            )
        connection.consume_input()
    answer = connection.get_result()
    if answer is None or answer.status != pq.ExecStatus.TUPLES_OK:
        code = answer.error_field(pq.DiagnosticField.SQLSTATE) if answer is not None else None
        raise refused(code.decode() if code else None, answer is None)
    return answer


def _address(settings: Mapping[str, Any]) -> str:
    """CDC_DATABASE_URL with timeouts and our name; encrypted where it leaves this machine, unless it says how itself."""
    text = str(json.loads(settings["tokens_cdc"] or "{}").get("CDC_DATABASE_URL", "")).strip()
    if not text:
        raise SettingsError("CDC_TABLES is set, but CDC_DATABASE_URL is not.", "Example: postgresql://reader@host:5432/clinic")
    try:
        given = conninfo.conninfo_to_dict(text)
    except psycopg.Error:
        raise SettingsError(
            "CDC_DATABASE_URL is no connection string.", "Example: postgresql://reader@host:5432/clinic"
        ) from None
    wanted: dict[str, Any] = {
        "connect_timeout": 5,
        "application_name": "pdp cdc",
        "keepalives_idle": 30,
        "client_encoding": "utf8",
    }
    hosts = str(given.get("hostaddr") or given.get("host") or "").split(",")
    if not given.keys() & {"sslmode", "service", "sslrootcert"} and not all(map(is_local_database, hosts)):
        wanted["sslmode"] = "require"
    return conninfo.make_conninfo(**{**wanted, **given})


_ANEW = "Make it anew with: python main.py cdc create. The next run takes a new snapshot."
_CAUSES: tuple[tuple[str, type[PDPError], str, str], ...] = (
    ("28", SourceDenied, "The database of CDC_DATABASE_URL refuses the credentials.", "Check user and password."),
    ("3D", SourceDenied, "The database that CDC_DATABASE_URL names is not there.", "Correct its name."),
    (
        "42501",
        SourceDenied,
        "The login of CDC_DATABASE_URL lacks a right.",
        "It needs REPLICATION, SELECT on the tables and, for cdc create, their ownership; policies must not hide rows from it.",
    ),
    ("42704", SourceDenied, "The replication slot or the publication is not there.", _ANEW),
    ("42P01", SourceDenied, "A table that is to be read is not there.", "Correct CDC_TABLES, then: python main.py cdc create."),
    ("55006", SourceUnavailable, "The replication slot is in use by another session.", "Run again when that has ended."),
    ("55000", SourceDenied, "The replication slot can give no changes any more.", _ANEW),
    (
        "53400",
        SourceDenied,
        "The server has no replication slot left.",
        "Drop one, or raise max_replication_slots and max_wal_senders.",
    ),
    ("53", SourceUnavailable, "The database is short of connections, memory or disk.", "Run again later."),
    ("57", SourceUnavailable, "The database shuts down or took too long.", "Run again later."),
    ("08", SourceUnavailable, "The connection to the database of CDC_DATABASE_URL was lost.", "Run again later."),
    ("55P03", SourceUnavailable, "A table is locked by another session.", "Run again when that has ended."),
)
"""Beginning of an SQLSTATE → error, sentence, mend. The first that fits."""
