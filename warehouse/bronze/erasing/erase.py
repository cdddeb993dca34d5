"""Takes a source, or what is older than a moment, out of bronze for good: rows, months, dead letters, ledger.

Bronze rows are immutable for everybody but their owner, and for him too until he asks for this. A source goes in one transaction; a
killed erase is simply run again. What is left adds up: the ledger says what is there, and `verify` finds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from config.errors import WarehouseError
from warehouse.bronze import schema
from warehouse.bronze.access import roles
from warehouse.bronze.checking.status import has_ledger
from warehouse.bronze.connection import Connection, connect, is_embedded, refused
from warehouse.bronze.embedded import server
from warehouse.bronze.erasing import statements as ask
from warehouse.bronze.erasing.log import forget


class Cut(NamedTuple):
    """What of a source is to go."""

    before: datetime | None
    """Rows of an earlier source time (UTC, naive); None: everything of the source."""
    files: Collection[str] = ()
    """SHA-256 of the raw artifacts that go: their dead letters go, too."""


class Share(NamedTuple):
    """What bronze holds of what is to go."""

    source: str
    rows: int
    months: int
    """Partitions and detached months that go whole."""
    dead_letters: int
    loads: int
    """Rows of the ledger that go; 0 when only some rows of the source do."""
    size: int
    """Bytes of the tables that go whole, indexes included."""


class _Month(NamedTuple):
    table: str
    month: date
    detached: bool

    @property
    def end(self) -> date:
        return date(self.month.year + self.month.month // 12, self.month.month % 12 + 1, 1)


def plan(settings: Mapping[str, Any], cuts: Mapping[str, Cut]) -> list[Share]:
    """What would go, of every source that has something. Settings: database, data_dir. WarehouseError when it cannot be asked."""
    with _asking(settings) as session:
        shares = [_share(session, source, cut) for source, cut in cuts.items() if _has(session, source)] if session else []
    return [share for share in shares if any(share[1:])]


def erase(settings: Mapping[str, Any], cuts: Mapping[str, Cut]) -> list[Share]:
    """Do it; gives what went. WarehouseError when this login does not own the tables or the database cannot be asked."""
    gone: list[Share] = []
    with _asking(settings) as session:
        if session is None:
            return []
        roles.act_as_owner(session)
        for source, cut in cuts.items():
            if not _has(session, source):
                continue
            _require_owner(session, source)
            with session.transaction():
                session.execute(ask.LOCK, (f"bronze_{source}",))
                share = _share(session, source, cut)
                if any(share[1:]):
                    _take(session, source, cut)
            if any(share[1:]):
                gone.append(share)
        _compact(session, [share.source for share in gone])
        embedded = is_embedded(settings)
    if embedded:
        forget(settings["data_dir"])  # also of an erase that was killed before this
    return gone


def erase_everything(settings: Mapping[str, Any]) -> list[str]:
    """Drop all that is bronze in a configured database; gives the names of the sources. The embedded one is a folder: remove that."""
    with _asking(settings) as session:
        if session is None:
            return []
        roles.act_as_owner(session)
        sources = [table.removeprefix("bronze_") for table in schema.tables(session)]
        for source in sources:
            _require_owner(session, source)
        with session.transaction():
            for (statement,) in session.execute(ask.OBJECTS).fetchall():
                session.execute(statement.encode())
        return sources


def _share(session: Connection, source: str, cut: Cut) -> Share:
    rows = size = months = 0
    terms = {"source": source, "before": cut.before, "files": None if cut.before is None else list(cut.files)}
    for month in _months(session, source):
        whole = cut.before is None or month.end <= cut.before.date()
        if whole or (cut.before is not None and month.month <= cut.before.date()):
            found, taken = _counted(session, month.table, ask.ROWS if whole else ask.OLD_ROWS, terms)
            rows, size, months = rows + found, size + taken, months + whole
    if cut.before is None:
        found, taken = _counted(session, f"bronze_{source}_default", ask.ROWS, terms)
        rows, size, months = rows + found, size + taken, months + 1
    letters = session.execute(ask.LETTERS, terms).fetchall()[0][0]
    loads = session.execute(ask.LOADS, terms).fetchall()[0][0] if cut.before is None else 0
    return Share(source, rows, months, letters, loads, size)


def _take(session: Connection, source: str, cut: Cut) -> None:
    if cut.before is not None:
        _take_older(session, source, cut.before, cut.files)
        return
    for month in _months(session, source):
        if month.detached:
            session.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(month.table)))
    schema.drop_source(session, source)


def _take_older(session: Connection, source: str, before: datetime, files: Collection[str]) -> None:
    table, terms = f"bronze_{source}", {"source": source, "table": f"bronze_{source}", "before": before, "files": list(files)}
    kept: list[str] = []
    for month in _months(session, source):
        name = {"table": sql.Identifier(month.table)}
        if month.end <= before.date():
            session.execute(sql.SQL("DROP TABLE {table}").format(**name))
            continue
        if month.month <= before.date():
            for statement in (ask.UNLOCKED, ask.DELETE_OLD, ask.LOCKED):
                session.execute(sql.SQL(statement).format(**name), terms if "%(" in statement else None)
        if month.detached:
            kept.append(month.table)
            session.execute(sql.SQL(ask.COUNT_KEPT).format(**name), {**terms, "month": month.month})
    columns = "raw_id, version, partition_key, content_hash, lineage_metadata, pipeline_parameters"
    rows = sql.SQL(" UNION ALL ").join(
        sql.SQL(f"SELECT {columns} FROM {{}}").format(sql.Identifier(name)) for name in [table, *kept]
    )
    parts = {"rows": rows, "known": sql.Identifier(f"{table}_known")}
    for statement in (
        ask.DELETE_LETTERS,
        ask.DELETE_REVISIONS,
        ask.DELETE_KNOWN,
        ask.FORGET_RETIRED,
        ask.FORGET_MONTHS,
        ask.COUNT_MONTHS,
        ask.COUNT_LOADS,
        ask.COUNT_LETTERS,
        ask.FORGET_QUALITY,
    ):
        session.execute(sql.SQL(statement).format(**parts), terms)


def _compact(session: Connection, sources: list[str]) -> None:
    """Write anew what rows were taken from: what is deleted lies in free pages, and in statistics, until then."""
    tables = list(ask.SHARED) if sources else []
    for source in (source for source in sources if _has(session, source)):
        tables += [f"bronze_{source}", f"bronze_{source}_known", *(m.table for m in _months(session, source) if m.detached)]
    for table in tables:
        session.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(sql.Identifier(table)))
    if sources and session.info.parameter_status("is_superuser") == "on":
        session.execute("VACUUM FULL pg_catalog.pg_statistic")


def _require_owner(session: Connection, source: str) -> None:
    if not session.execute(ask.OWNS, (f"bronze_{source}",)).fetchall()[0][0]:
        raise WarehouseError(
            "This login does not own the bronze tables, so it may erase nothing from them.",
            "Run it as a member of bronze_owner: docs/bronze_roles.md",
        )


def _months(session: Connection, source: str) -> list[_Month]:
    return [_Month._make(row) for row in session.execute(ask.MONTHS, {"source": source}).fetchall()]


def _counted(session: Connection, table: str, question: str, terms: Mapping[str, Any]) -> tuple[int, int]:
    query = sql.SQL(question).format(table=sql.Identifier(table), name=sql.Literal(f'"{table}"'))
    rows, size = session.execute(query, terms if "%(" in question else None).fetchall()[0]
    return int(rows), int(size)


def _has(session: Connection, source: str) -> bool:
    """Whether there is a table of the source."""
    return f"bronze_{source}" in schema.tables(session)


@contextmanager
def _asking(settings: Mapping[str, Any]) -> Iterator[Connection | None]:
    """A session on a database that holds bronze; None when there is none."""
    if is_embedded(settings) and not server.exists(settings["data_dir"]):
        yield None
        return
    with connect(settings, role="erase") as session:  # a server killed while it was made has no database yet
        try:
            yield session if has_ledger(session) else None
        except psycopg.Error as error:
            raise refused(error) from None
