"""All rows of the tables at one moment, in pages: the moment at which the log begins to be told.

The rows are as COPY writes them, one transaction reads all tables. A snapshot has an end, a page of its own: only then is it known
which rows are gone that an earlier one held.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from psycopg import sql

from config.stage import Pages
from ingestion.cdc import pages as layout
from ingestion.cdc.pgoutput import Column, lsn_text
from ingestion.cdc.session import Connection, connected, exported_snapshot
from ingestion.cdc.slot import Table


def take(session: Connection, pages: Pages, tables: Sequence[Table], settings: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Commit every row as it is now; gives the state from which the log goes on, and how many pages there were."""
    temporary = f"{settings['cdc_slot'][:40]}_{secrets.token_hex(6)}"  # impure: a name nobody else has, gone with the session
    names = [table.full for table in tables]
    with exported_snapshot(settings, temporary) as (snapshot, place), connected(settings) as reader:
        (restart,) = session.execute(_RESTART, (temporary,)).fetchone() or (place,)
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        reader.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
        (at,) = reader.execute("SELECT now()").fetchone() or (None,)
        facts = _Facts(at, int(restart) - 1, lsn_text(place))
        count = sum(_pages_of(reader, pages, table, facts, names) for table in tables)
        end = layout.Rows(facts.at, facts.lsn, facts.snapshot, None, tuple(names), [])
        state = {"lsn": lsn_text(place), "tables": names}
        pages.commit(layout.rows_page(end), state, facts={"kind": "snapshot_end"}, records=0, suffix=layout.ROWS)
        reader.execute("COMMIT")
    return state, count + 1


class _Facts:
    """What all pages of one snapshot say of it."""

    def __init__(self, at: datetime, lsn: int, snapshot: str) -> None:
        self.at, self.lsn, self.snapshot = at, lsn, snapshot


def _pages_of(reader: Connection, pages: Pages, table: Table, facts: _Facts, names: list[str]) -> int:
    columns = tuple(Column(*column) for column in table.columns)
    page = layout.Rows(facts.at, facts.lsn, facts.snapshot, layout.Table(table.schema, table.name, columns), (), [])
    state = {"snapshot": facts.snapshot, "tables": names}
    count = 0
    for rows in _bunches(reader, table):
        body = layout.rows_page(page, b"".join(rows))
        pages.commit(body, state, facts={"kind": "snapshot", "table": table.full}, records=len(rows), suffix=layout.ROWS)
        count += 1
    return count


def _bunches(reader: Connection, table: Table) -> Iterator[list[bytes]]:
    """The table's rows, so many a page."""
    listed = sql.SQL(", ").join(sql.Identifier(name) for name, _, _ in table.columns)
    ordered = sql.SQL(", ").join(sql.Identifier(name) for name in table.key)
    statement = "COPY (SELECT {} FROM {}{} ORDER BY {}) TO STDOUT"
    only = sql.SQL("" if table.partitioned else "ONLY ")  # an heir's rows are the heir's
    query = sql.SQL(statement).format(listed, only, sql.Identifier(table.schema, table.name), ordered)
    held: list[bytes] = []
    size = 0
    with reader.cursor() as cursor, cursor.copy(query) as copied:
        for block in chain(copied, (b"",)):
            if held and (not block or len(held) >= layout.MOST_CHANGES or size >= layout.MOST_BYTES):
                yield held
                held, size = [], 0
            if block:
                held.append(bytes(block))
                size += len(block)


_RESTART = "SELECT (restart_lsn - '0/0'::pg_lsn)::bigint FROM pg_replication_slots WHERE slot_name = %s"
