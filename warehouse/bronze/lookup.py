"""Which bronze row holds a record: found by its identity, raw id and content, as the loader knows it. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from warehouse.bronze.connection import Connection, connect, refused
from warehouse.bronze.ledger import DEAD_LETTERS

UNDATED = date(1, 1, 1)
"""The partition key of records without a time."""

_FIND = """
SELECT k.at, b.id, b.version
FROM unnest(%(at)s::bigint[], %(raw_id)s::text[], %(raw)s::text[]) AS k (at, raw_id, raw)
JOIN {table} AS b ON b.raw_id = k.raw_id AND b.content_hash = sha256(convert_to((k.raw::jsonb)::text, 'UTF8'))
"""
_ON_DAYS = " WHERE b.partition_key = ANY(%(days)s::date[])"
_TAKEN = "SELECT k.at FROM unnest(%(at)s::bigint[], %(raw)s::text[]) AS k (at, raw) WHERE bronze_jsonb_problem(k.raw) IS NULL"
_LETTERS = """
SELECT k.at, min(d.id)
FROM unnest(%(at)s::bigint[], %(sha256)s::text[], %(index)s::bigint[]) AS k (at, file_hash, record_index)
JOIN bronze_dead_letters AS d ON d.source = %(source)s AND d.file_hash = k.file_hash AND d.record_index = k.record_index
GROUP BY k.at
"""


class Wanted(NamedTuple):
    """A record, or a dead letter, as its table says it."""

    raw_id: str
    """'' for a dead letter."""
    raw: str
    """JSON text."""
    day: date | None
    """UTC date of its time."""
    raw_sha256: str
    record_index: int


class Found(NamedTuple):
    """A row in the database."""

    table: str
    id: int
    version: int | None
    """Among the contents of its raw id; None for a dead letter."""


def find(settings: Mapping[str, Any], wanted: Mapping[str, Sequence[Wanted]]) -> dict[str, list[Found | None]]:
    """By source: the row of each wanted record, its dead letter when the database refused it, else None.

    Settings: database, data_dir. Makes no database; WarehouseError when it cannot be asked.
    """
    with connect(settings, create=False) as session:
        try:
            return {source: _of_source(session, source, asked) for source, asked in wanted.items()}
        except psycopg.Error as error:
            raise refused(error) from None


def _of_source(session: Connection, source: str, asked: Sequence[Wanted]) -> list[Found | None]:
    found: dict[int, Found] = {}
    table = f"bronze_{source}"

    def missing(records: bool) -> list[int]:
        return [
            at for at, w in enumerate(asked) if at not in found and bool(w.raw_id) is records and "\0" not in w.raw_id + w.raw
        ]

    if _exists(session, table):
        days = sorted({w.day or UNDATED for w in asked})
        for query in (_FIND + _ON_DAYS, _FIND):  # a record whose time is read differently today lies elsewhere
            if rest := missing(records=True):
                statement = sql.SQL(query).format(table=sql.Identifier(table))
                found |= {at: Found(table, ident, version) for at, ident, version in _rows(session, statement, asked, rest, days)}
    rest = [*missing(records=True), *missing(records=False)]
    if rest and _exists(session, DEAD_LETTERS):
        letters = {
            "at": rest,
            "source": source,
            **_columns(asked, rest, sha256=lambda w: w.raw_sha256, index=lambda w: w.record_index),
        }
        found |= {at: Found(DEAD_LETTERS, ident, None) for at, ident in session.execute(_LETTERS, letters).fetchall()}
    return [found.get(at) for at in range(len(asked))]


def _rows(
    session: Connection, statement: sql.Composed, asked: Sequence[Wanted], places: list[int], days: list[date]
) -> list[tuple[Any, ...]]:
    """The rows found; texts that jsonb does not take are left out when there are any."""
    try:
        return session.execute(statement, _parameters(asked, places, days)).fetchall()
    except (psycopg.DataError, psycopg.OperationalError) as error:
        if (error.sqlstate or "")[:2] not in ("22", "54"):
            raise
    taken = [at for (at,) in session.execute(_TAKEN, _parameters(asked, places, days)).fetchall()]
    return session.execute(statement, _parameters(asked, taken, days)).fetchall()


def _parameters(asked: Sequence[Wanted], places: list[int], days: list[date]) -> dict[str, Any]:
    return {"at": places, "days": days, **_columns(asked, places, raw_id=lambda w: w.raw_id, raw=lambda w: w.raw)}


def _columns(asked: Sequence[Wanted], places: list[int], **take: Callable[[Wanted], Any]) -> dict[str, list[Any]]:
    return {name: [of(asked[at]) for at in places] for name, of in take.items()}


def _exists(session: Connection, table: str) -> bool:
    return bool(session.execute("SELECT to_regclass(quote_ident(%s)) IS NOT NULL", (table,)).fetchall()[0][0])
