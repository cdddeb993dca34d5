"""Fills new months aside, several at a time: rows first, indexes after, and only then does anybody see them.

Each month is a table of its own, written and indexed by one session in one transaction; the load attaches them all in its own
transaction, so they appear with its ledger row or not at all. Rows written into a table made in the same transaction need no
write-ahead log where `wal_level` is `minimal`.
"""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import psycopg
from psycopg import sql

from warehouse.bronze.connection import Connection
from warehouse.bronze.loading import statements as do
from warehouse.bronze.loading.artifacts import LETTER_CAP
from warehouse.bronze.loading.parallel import together
from warehouse.bronze.loading.staging import Stage

Counts = dict[date, tuple[int, int]]
"""Month → (rows, checksum of their content hashes)."""


def fill(sessions: Sequence[Connection], stage: Stage, table: str, constants: Mapping[str, Any]) -> Counts:
    """Fill the stage's months; rows that PostgreSQL does not take are set aside in `refused`."""
    waiting: queue.SimpleQueue[date] = queue.SimpleQueue()
    for month in stage.months:
        waiting.put(month)
    counts: Counts = {}

    def work(session: Connection, number: int) -> None:
        aside = stage.name(f"p{number}")
        session.execute(sql.SQL(do.ASIDE).format(aside=aside, table=sql.Identifier(table)))
        while True:
            try:
                month = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                counts[month] = _fill(session, stage, aside, month, constants)
            except (psycopg.DataError, psycopg.OperationalError) as error:
                if not refuses_data(error):
                    raise
                refuse(session, stage, stage.month(month), "")
                counts[month] = _fill(session, stage, aside, month, constants)

    together([partial(work, s, n) for n, s in enumerate(sessions[: len(stage.months)])], sessions)
    return counts


def attach(session: Connection, stage: Stage, source: str) -> None:
    """Make the filled months partitions of the source's table, in the caller's transaction."""
    for month in stage.months:
        session.execute(do.ATTACH_MONTH, (source, month, stage.aside(month)))


def refuse(session: Connection, stage: Stage, table: sql.Identifier, only: str) -> None:
    """Move the records jsonb does not take out of a stage table."""
    statement = sql.SQL(do.REFUSE).format(stage=table, refused=stage.name("refused"), only=sql.SQL(only))
    session.execute(statement, {"cap": LETTER_CAP})


def refuses_data(error: psycopg.Error) -> bool:
    """Is it a value PostgreSQL does not take: a data exception, or a limit of the program?"""
    return (error.sqlstate or "")[:2] in ("22", "54")


def _fill(session: Connection, stage: Stage, aside: sql.Identifier, month: date, constants: Mapping[str, Any]) -> tuple[int, int]:
    target = sql.Identifier(stage.aside(month))
    insert = sql.SQL(do.INSERT_MONTH).format(target=target, stage=stage.month(month), profiles=stage.name("profiles"))
    following = (month + timedelta(days=31)).replace(day=1)
    index = sql.SQL(do.INDEX_MONTH).format(aside=aside, month=target, first=sql.Literal(month), next=sql.Literal(following))
    with session.transaction():
        session.execute(do.MONTH_TABLE, (constants["source"], month, stage.aside(month)))
        found = session.execute(insert, constants).fetchall()
        session.execute(index)
        session.execute(sql.SQL(do.STATISTICS).format(month=target))
    return sum(rows for _, rows, _ in found), sum(int(hashes) for _, _, hashes in found)
