"""Takes rows out of silver in PostgreSQL: those of sources that are erased, for good, and those of months that are taken out of bronze."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from config.errors import WarehouseError
from warehouse.bronze.access import roles
from warehouse.bronze.connection import Connection, connect, is_embedded, refused
from warehouse.bronze.embedded import server
from warehouse.silver import statements as do
from warehouse.silver.runs import note
from warehouse.silver.schema import applied

_ROWS = "SELECT source, count(*) FROM silver.records WHERE source = ANY (%s) GROUP BY 1 ORDER BY 1"
_OWNS = "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('silver.records')"
_DELETE = "DELETE FROM silver.records WHERE source = ANY (%s)"
_RETIRE = """
DELETE FROM silver.records AS r USING bronze_retired AS t
WHERE t.source = r.source AND t.month = date_trunc('month', r.occurred_at AT TIME ZONE 'UTC')::date
"""


class Share(NamedTuple):
    """What silver holds of a source."""

    source: str
    rows: int


def plan(settings: Mapping[str, Any], sources: Collection[str]) -> list[Share]:
    """What would go, of every source that has rows. Settings: database, data_dir. WarehouseError when it cannot be asked."""
    with _asking(settings) as session:
        return _shares(session, sources) if session else []


def erase(settings: Mapping[str, Any], sources: Collection[str]) -> list[Share]:
    """Take these sources out; gives what went. What other data gives of them, the next load brings. The server's log is bronze's to
    empty, afterwards. WarehouseError when this login does not own silver or the database cannot be asked."""
    with _asking(settings) as session:
        if session is None or not _shares(session, sources):
            return []
        roles.act_as_owner(session)
        if not session.execute(_OWNS).fetchall()[0][0]:
            raise WarehouseError(
                "This login does not own silver, so it may erase nothing from it.",
                "Run it as a member of bronze_owner: docs/bronze_roles.md",
            )
        with session.transaction():
            session.execute(do.LOCK)
            gone = _shares(session, sources)
            session.execute(_DELETE, (list(sources),))
            note(session, "erase", removed=sum(share.rows for share in gone), environment=_environment(session))
        for table in ("records", "checkpoints", "runs"):  # what is deleted lies in free pages, and in statistics, until then
            session.execute(sql.SQL("VACUUM (FULL, ANALYZE) silver.{}").format(sql.Identifier(table)))
        if session.info.parameter_status("is_superuser") == "on":
            session.execute("VACUUM FULL pg_catalog.pg_statistic")
        return gone


def erase_everything(settings: Mapping[str, Any]) -> None:
    """Drop all that is silver in a configured database. The embedded one is a folder: remove that."""
    with _asking(settings) as session:
        if session is not None:
            roles.act_as_owner(session)
            session.execute("DROP SCHEMA silver CASCADE")


def retire(session: Connection) -> int:
    """In the caller's transaction: rows of months that `bronze_retired` names go; gives how many. No load brings them back."""
    if not applied(session):
        return 0
    session.execute(do.LOCK)
    newest = session.execute(do.NEWEST).fetchall()
    gone = session.execute(_RETIRE).rowcount
    if gone:
        note(session, "retain", removed=gone, file_hash=newest[0][0], environment=newest[0][2])
    return gone


def bring_back(session: Connection) -> None:
    """In the caller's transaction: months came back to bronze, so the next run loads silver again."""
    if applied(session) and (newest := session.execute(do.NEWEST).fetchall()):
        session.execute(do.LOCK)
        note(session, "restore", environment=newest[0][2])


def _shares(session: Connection, sources: Collection[str]) -> list[Share]:
    return [Share._make(row) for row in session.execute(_ROWS, (list(sources),)).fetchall()]


def _environment(session: Connection) -> str:
    newest = session.execute(do.NEWEST).fetchall()
    return str(newest[0][2]) if newest else ""


@contextmanager
def _asking(settings: Mapping[str, Any]) -> Iterator[Connection | None]:
    """A session on a database that holds silver; None when there is none."""
    if is_embedded(settings) and not server.exists(settings["data_dir"]):
        yield None
        return
    with connect(settings, role="erase") as session:
        try:
            yield session if applied(session) else None
        except psycopg.Error as error:
            raise refused(error) from None
