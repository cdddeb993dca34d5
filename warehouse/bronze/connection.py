"""The one way to a database session: the configured server, else the embedded one; never one in place of the other.

A configured server that cannot be reached is an error. Falling back would split a person's data over two stores. No message
carries a connection string, a host, a user or a password.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo, pq, sql
from psycopg.rows import TupleRow

from config.addresses import is_local_database
from config.errors import WarehouseError
from warehouse.bronze.embedded import server
from warehouse.bronze.ledger import Load

Connection = psycopg.Connection[TupleRow]

_log = logging.getLogger(__name__)
_CONNECT_SECONDS = 5
_WAITS = (0.2, 0.6, 1.5)
"""Seconds before the next attempt."""
_OLDEST = 150000
_PASSING = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03"})
_SESSION = {
    "search_path": "public, pg_temp",  # nobody's temporary table or schema of his own comes before ours
    "default_transaction_isolation": "read committed",  # what a load sees after it has waited for its lock
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "iso_8601",
    "lock_timeout": "30s",
    "statement_timeout": "1h",
    "idle_in_transaction_session_timeout": "15min",
}
_SET = "SELECT pg_catalog.set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)"
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
_SILVER = """
SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'silver' AND c.relname IN ('runs', 'records') AND has_schema_privilege(n.oid, 'USAGE')
  AND has_table_privilege(c.oid, 'SELECT') HAVING count(*) = 2
"""
_SILVER_LOAD = """
SELECT 'silver', 'silver.records', file_hash, loader_version, environment = 'example' FROM silver.runs ORDER BY id DESC LIMIT 1
"""
_CAUSES = (
    (
        r"does not support SSL",
        "offers no encryption",
        "Switch TLS on there; on a network you trust say sslmode=disable in DATABASE_URL (or set PGSSLMODE)",
        False,
    ),
    (r"password|authentication|pg_hba|role .* does not exist", "refuses the credentials", "Check user and password", False),
    (r"database .* does not exist", "does not have this database", "Create it or correct the name", False),
    (r"too many (clients|connections)|remaining connection slots", "has no free connection", "Close some or try again", True),
    (
        r"SSL|TLS|certificate",
        "refuses this kind of encryption",
        "Set sslmode in DATABASE_URL (verify-full over the internet)",
        False,
    ),
    (r"translate host|name or service|nodename", "has a host name nobody knows", "Correct the host", True),
)


@contextmanager
def connect(settings: Mapping[str, Any], *, create: bool = True, role: str = "") -> Iterator[Connection]:
    """A session on the database of `settings` (`database`, `data_dir`); autocommit, UTC, with timeouts.

    The embedded server stays up until this process ends. `create=False` never makes an embedded database. `role` is the command
    this is for: the server knows the session as `pdp <role>`. Raises WarehouseError when it cannot be reached.
    """
    session = open_session(settings, create=create, role=role)
    try:
        yield session
    finally:
        session.close()


def open_session(settings: Mapping[str, Any], *, create: bool = True, role: str = "") -> Connection:
    """Like `connect`, for the caller to close."""
    configured = normal_dsn(settings["database"])
    if configured:
        return open_at(configured, role)
    if not create and not server.exists(settings["data_dir"]):
        raise WarehouseError("There is no bronze database yet.", "Run the pipeline once.")

    def embedded() -> str:
        return server.lease(settings["data_dir"])  # each time: a server that died meanwhile is started again

    try:
        return _knock(embedded, role)
    except _MissingError:
        if not create:
            raise
    _create_database(embedded())
    return _knock(embedded, role)


def open_at(dsn: str, role: str = "") -> Connection:
    """Like `open_session`, on the database this connection string names."""
    return _knock(lambda: dsn, role)


def normal_dsn(text: str) -> str:
    """A connection string as libpq reads it; `postgresql+driver://` of other tools loses its driver."""
    return re.sub(r"^postgres(ql)?\+\w+://", "postgresql://", text.strip())


def is_embedded(settings: Mapping[str, Any]) -> bool:
    """No server is configured."""
    return not normal_dsn(settings["database"])


def exposed(session: Connection) -> bool:
    """Does this session cross the public internet without encryption?"""
    try:
        address = ipaddress.ip_address(session.info.hostaddr)
    except ValueError:
        return False
    return address.is_global and not session.pgconn.ssl_in_use


def all_loads_of(settings: Mapping[str, Any]) -> list[Load]:
    """Every load in the database of `settings`. Makes nothing; WarehouseError when it cannot be reached."""
    with connect(settings, create=False, role="ledger") as session:
        return _all_loads(session)


def all_loads(dsn: str) -> list[Load] | None:
    """Every load in the database at `dsn`; None when it cannot say."""
    try:
        with open_at(dsn, "ledger") as session:
            return _all_loads(session)
    except (psycopg.Error, WarehouseError):
        return None


def _all_loads(session: Connection) -> list[Load]:
    try:
        found = session.execute("SELECT to_regclass('bronze_loads') IS NOT NULL").fetchone()
        silver = session.execute(_SILVER_LOAD).fetchall() if session.execute(_SILVER).fetchall() else []
        if not found or not found[0]:
            return []
        rows = session.execute(
            "SELECT source, target_table, file_hash, loader_version, environment = 'example' FROM bronze_loads"
            " WHERE to_regclass(quote_ident(target_table)) IS NOT NULL"
        ).fetchall()
    except psycopg.Error as error:
        raise refused(error) from None
    return [(r[0], r[1], r[2], r[3], r[4]) for r in (*rows, *silver)]


def refused(error: psycopg.Error) -> WarehouseError:
    """What the database answered, by its SQLSTATE: its own words may quote a value."""
    code = error.sqlstate or "connection lost"
    mends = {
        "42P01": "A shared bronze table was removed by hand: restore it, or drop all bronze tables and run again.",
        "42501": "Make the login a member of bronze_ingest, or of bronze_owner for what changes tables (docs/bronze_roles.md).",
        "53100": "The server's disk is full: make room and run again.",
        "57014": "A statement ran into its time limit: look for locks, or raise statement_timeout, and run again.",
        "55P03": "Another session holds the table: end it and run again.",
        "25006": "The server is read-only (a replica?): point DATABASE_URL at the primary.",
    }
    return WarehouseError(f"PostgreSQL refused ({code}).", mends.get(code, "Run again; if it stays, look into the server's log."))


def passing(error: psycopg.Error) -> bool:
    """Worth the whole batch again: deadlock, serialization, lock timeout, server going or gone, connection lost."""
    code = error.sqlstate
    if code is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return code in _PASSING or code.startswith("08")


def pause(seconds: float) -> None:
    """Sleep that long and up to half of it more by chance: two clients do not knock in step."""
    chance = secrets.randbelow(1000)  # impure: how long to wait, not what comes of it
    time.sleep(seconds * (1 + chance / 2000))


class _MissingError(WarehouseError):
    """The server is there, the database is not."""


def _knock(dsn: Callable[[], str], role: str = "") -> Connection:
    """Connect in at most 5 s per attempt; four attempts when the reason may pass. `dsn` is asked before each."""
    for wait in (*_WAITS, None):
        try:
            return prepare(psycopg.connect(complete(dsn(), role), autocommit=True, prepare_threshold=None))
        except psycopg.Error as error:
            problem, passing = _unreachable(str(error))
        if wait is None or not passing:
            raise problem
        pause(wait)
    raise AssertionError("unreachable")


def complete(dsn: str, role: str = "") -> str:
    """With timeouts, keepalive, our name and encryption; what the person has set himself stays. WarehouseError when it is none."""
    try:
        given = conninfo.conninfo_to_dict(dsn)
    except psycopg.Error:
        raise WarehouseError("DATABASE_URL is no connection string.", "Example: postgresql://user@host:5432/pdp") from None
    wanted: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "application_name": f"pdp {role}".strip(), **_KEEPALIVE}
    return conninfo.make_conninfo(**{**wanted, **_encryption(given), **given, "client_encoding": "utf8"})


def _encryption(given: Mapping[str, Any]) -> dict[str, str]:
    """`sslmode=require` for a server that is not on this machine, unless the person has said how.

    libpq's own default, `prefer`, goes on in the clear and says nothing when the server offers no TLS.
    """
    chosen = os.environ.get  # impure: how the database is reached, not what it holds
    if given.keys() & {"sslmode", "service"} or chosen("PGSSLMODE") or chosen("PGREQUIRESSL") or chosen("PGSERVICE"):
        return {}
    if "system" in {given.get("sslrootcert"), chosen("PGSSLROOTCERT")}:
        return {}  # libpq makes it verify-full, and takes nothing weaker
    ambient = {o.keyword.decode(): (o.val or b"").decode() for o in pq.Conninfo.get_defaults()}
    hosts = given.get("hostaddr") or given.get("host") or ambient.get("hostaddr") or ambient.get("host") or ""
    return {} if all(map(is_local_database, str(hosts).split(","))) else {"sslmode": "require"}


def _unreachable(said: str) -> tuple[WarehouseError, bool]:
    for pattern, what, mend, passing in _CAUSES:
        if re.search(pattern, said, re.IGNORECASE):
            kind = _MissingError if "database" in pattern else WarehouseError
            return kind(f"The PostgreSQL server {what}.", f"{mend}, then run again."), passing
    return WarehouseError(
        "The PostgreSQL server cannot be reached.",
        "Start it or correct DATABASE_URL (PG_HOST, PG_PORT); without both the embedded database is used. Then run again.",
    ), True


def prepare(session: Connection, **changed: str) -> Connection:
    """Check that it can hold bronze and set the session up, with settings `changed`; a psycopg.Error means it was lost again."""
    try:
        if session.info.server_version < _OLDEST:
            raise WarehouseError("The PostgreSQL server is older than 15.", "Upgrade it or use the embedded database.")
        if session.info.parameter_status("server_encoding") != "UTF8":
            raise WarehouseError("The database is not encoded in UTF-8.", "Create it with ENCODING 'UTF8'.")
        wanted = _SESSION | changed  # after connecting: connection poolers refuse startup options
        session.execute(_SET, (list(wanted), list(wanted.values())))
    except BaseException:
        session.close()
        raise
    return session


def _create_database(dsn: str) -> None:
    target = conninfo.conninfo_to_dict(dsn)["dbname"]
    try:
        with _knock(lambda: conninfo.make_conninfo(dsn, dbname="postgres")) as session:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(target))))
    except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
        return  # another loader was first
    except psycopg.Error as error:
        raise refused(error) from None
