"""Sessions for readers, several at once, kept open between questions: for `bronze reconcile` and the API."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from config.errors import WarehouseError
from warehouse.bronze import connection
from warehouse.bronze.connection import Connection
from warehouse.bronze.embedded import server

_WAIT = 30.0  # seconds for a session to become free
_ACT_AS = """
SELECT set_config('role', name, false) FROM (
    SELECT rolname::text AS name FROM pg_roles
    WHERE rolname = ANY(%(roles)s) AND pg_has_role(
        session_user, oid, CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)
    ORDER BY array_position(%(roles)s::text[], rolname::text) LIMIT 1
) AS first
"""
_IDLE = 300.0  # seconds before a session nobody needs is closed


class Readers:
    """At most so many read-only sessions on one database."""

    def __init__(self, pool: ConnectionPool[psycopg.Connection[TupleRow]]) -> None:
        self._pool = pool

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """One of the sessions, for the block; a writing statement fails. WarehouseError when there is none in 30 s."""
        try:
            with self._pool.connection() as session:
                yield session
        except (PoolTimeout, PoolClosed, TooManyRequests):
            raise WarehouseError(
                f"The database gave no session within {_WAIT:.0f} s.",
                "Look whether it is up and has connections left, then run again.",
            ) from None


@contextmanager
def readers(
    settings: Mapping[str, Any], size: int, *, role: str = "read", seconds: int = 60, act_as: Sequence[str] = ()
) -> Iterator[Readers]:
    """Up to `size` sessions on the database of `settings` (database, data_dir), closed at the end; makes no database.

    `role` as for `connection.connect`; a statement may take `seconds`. `act_as`: the database role whose rights alone they have, the
    first of these that the server has and the login may take. A session that was lost is replaced when it is asked for.
    WarehouseError when the database cannot be reached or is not there.
    """
    connection.open_session(settings, create=False, role=role).close()  # says in a sentence what is wrong
    configured = connection.normal_dsn(settings["database"])

    def dsn() -> str:
        return connection.complete(configured or server.lease(settings["data_dir"]), role)

    def prepare(session: Connection) -> None:
        connection.prepare(session, default_transaction_read_only="on", statement_timeout=f"{seconds}s")
        if act_as:
            session.execute(_ACT_AS, {"roles": list(act_as)})

    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # its warnings name hosts and users
    pool = ConnectionPool(
        dsn,
        kwargs={"autocommit": True, "prepare_threshold": None},
        min_size=1,
        max_size=size,
        open=False,
        configure=prepare,
        check=ConnectionPool.check_connection,
        timeout=_WAIT,
        max_idle=_IDLE,
        name=f"pdp {role}",
    )
    with pool:
        yield Readers(pool)
