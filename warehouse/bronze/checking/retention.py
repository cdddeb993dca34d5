"""Takes months out of bronze, and back in: by detaching, restoring or dropping whole partitions, never by deleting rows.

What went is written to `bronze_retired` in the same transaction, so the ledger still adds up and no load brings it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from config.errors import UsageError, WarehouseError
from warehouse.bronze import schema
from warehouse.bronze.access import roles
from warehouse.bronze.checking.reconcile import require_ledger
from warehouse.bronze.checking.reconcile_statements import CHECKSUM
from warehouse.bronze.checking.repair_statements import KNOWN_MISSING
from warehouse.bronze.connection import Connection, connect, refused
from warehouse.silver import erasing as silver

_DUE = """
SELECT source, month, partition_name, state = 'detached', table_bytes + index_bytes, first_loaded_at, last_loaded_at FROM bronze_catalog
WHERE source = %(source)s AND (month + interval '1 month')::date <= %(before)s
  AND (state = 'attached' OR (%(drop)s AND state = 'detached'))
ORDER BY month
"""
"""Months that lie before the date entirely: undated rows have no month and stay."""
_KEPT = """
SELECT source, month, partition_name, true, table_bytes + index_bytes, first_loaded_at, last_loaded_at FROM bronze_catalog
WHERE source = %(source)s AND month = %(month)s AND state = 'detached'
"""
_CONTENT = f"SELECT count(*), COALESCE(sum({CHECKSUM}), 0) FROM {{table}}"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('bronze_load:' || %s, 0))"
"""A load's own lock: no month goes while its source is loaded."""
_OWNER = "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(quote_ident(%s))"
_RETIRE = """
INSERT INTO bronze_retired (source, month, rows, hash_sum, action, kept_as)
VALUES (%(source)s, %(month)s, %(rows)s, %(hash_sum)s, %(action)s, %(kept_as)s)
ON CONFLICT (source, month) DO UPDATE
SET rows = bronze_retired.rows + excluded.rows, hash_sum = bronze_retired.hash_sum + excluded.hash_sum,
    action = excluded.action, kept_as = excluded.kept_as, retired_at = excluded.retired_at
"""
_DROPPED = "UPDATE bronze_retired SET action = 'dropped', kept_as = NULL WHERE source = %s AND month = %s"
_RESTORED = "DELETE FROM bronze_retired WHERE source = %s AND month = %s"
_SPAN = """
ALTER TABLE {kept} ADD CONSTRAINT month_key CHECK (partition_key >= {first} AND partition_key < ({first} + interval '1 month')::date)
"""


class Month(NamedTuple):
    """A month of a source: what it holds, and whether it was detached before."""

    source: str
    month: date
    table: str
    detached: bool
    size: int
    """Bytes, indexes included."""
    first_loaded_at: datetime | None
    last_loaded_at: datetime | None
    rows: int
    hash_sum: int


def due(settings: Mapping[str, Any], before: date, sources: Sequence[str] = (), *, drop: bool = False) -> list[Month]:
    """The months that lie before `before` entirely, of all sources or of `sources`; with `drop` those detached earlier, too.

    Settings: database, data_dir. Raises UsageError for a source that is not there, WarehouseError when the database cannot be asked.
    """
    with _asking(settings) as session:
        return [month for source in _chosen(session, sources) for month in _due(session, source, before, drop=drop)]


def retire(settings: Mapping[str, Any], before: date, sources: Sequence[str] = (), *, drop: bool = False) -> list[Month]:
    """Detach the months that are due, or drop them; gives what went. One transaction per source, not beside a load of it.

    A detached month lives on as a table of its own, `bronze_<source>_y2020m01_kept`. Raises WarehouseError when this role may not.
    """
    with _asking(settings) as session:
        gone: list[Month] = []
        for source in _chosen(session, sources):
            with session.transaction():
                session.execute(_LOCK, (f"bronze_{source}",))
                months = _due(session, source, before, drop=drop)
                for month in months:
                    _take_out(session, month, drop=drop)
                if months:
                    silver.retire(session)
            gone += months
        return gone


def kept(settings: Mapping[str, Any], month: date, sources: Sequence[str] = ()) -> list[Month]:
    """The detached months that could come back."""
    with _asking(settings) as session:
        return [found for source in _chosen(session, sources) for found in _kept(session, source, month)]


def restore(settings: Mapping[str, Any], month: date, sources: Sequence[str] = ()) -> list[Month]:
    """Attach a detached month again; gives what came back. Raises WarehouseError when this role may not."""
    with _asking(settings) as session:
        back: list[Month] = []
        for source in _chosen(session, sources):
            with session.transaction():
                session.execute(_LOCK, (f"bronze_{source}",))
                found = _kept(session, source, month)
                for each in found:
                    names = {"kept": sql.Identifier(each.table), "first": sql.Literal(each.month)}
                    session.execute(sql.SQL(_SPAN).format(**names))  # spares the attaching its scan
                    session.execute("SELECT bronze_attach_month(%s, %s, %s)", (source, each.month, each.table))
                    session.execute(_RESTORED, (source, each.month))
                if found:
                    silver.bring_back(session)
                    known = {"table": sql.Identifier(f"bronze_{source}"), "known": sql.Identifier(f"bronze_{source}_known")}
                    session.execute(sql.SQL(KNOWN_MISSING).format(**known))
            back += found
        return back


def _due(session: Connection, source: str, before: date, *, drop: bool) -> list[Month]:
    return _months(session, _DUE, {"source": source, "before": before, "drop": drop})


def _kept(session: Connection, source: str, month: date) -> list[Month]:
    return _months(session, _KEPT, {"source": source, "month": month.replace(day=1)})


def _months(session: Connection, query: str, terms: Mapping[str, Any]) -> list[Month]:
    return [Month._make((*row, *_content(session, row[2]))) for row in session.execute(query, terms).fetchall()]


def _content(session: Connection, table: str) -> tuple[int, int]:
    rows, hash_sum = session.execute(sql.SQL(_CONTENT).format(table=sql.Identifier(table))).fetchall()[0]
    return rows, int(hash_sum)


def _take_out(session: Connection, month: Month, *, drop: bool) -> None:
    kept_as = f"{month.table}_kept"
    names = {
        "table": sql.Identifier(f"bronze_{month.source}"),
        "month": sql.Identifier(month.table),
        "kept": sql.Identifier(kept_as),
    }
    if not month.detached:
        session.execute(sql.SQL("ALTER TABLE {table} DETACH PARTITION {month}").format(**names))
        rows, hash_sum = _content(session, month.table)  # again: now nobody can write to it
        terms = {"source": month.source, "month": month.month, "rows": rows, "hash_sum": hash_sum}
        session.execute(_RETIRE, {**terms, "action": "detached", "kept_as": kept_as})
    if drop:
        session.execute(sql.SQL("DROP TABLE {month}").format(**names))
        session.execute(_DROPPED, (month.source, month.month))
    else:
        session.execute(sql.SQL("ALTER TABLE {month} RENAME TO {kept}").format(**names))


def _chosen(session: Connection, sources: Sequence[str]) -> list[str]:
    require_ledger(session)
    there = [table.removeprefix("bronze_") for table in schema.tables(session)]
    for name in sources:
        if name not in there:
            raise UsageError(f"There is no bronze table of {name!r}.", f"There are: {', '.join(there) or 'none'}.")
    chosen = [name for name in there if name in sources or not sources]
    for name in chosen:
        _require_owner(session, name)
    return chosen


@contextmanager
def _asking(settings: Mapping[str, Any]) -> Iterator[Connection]:
    with connect(settings, create=False, role="retain") as session:
        try:
            yield session
        except psycopg.Error as error:
            raise refused(error) from None


def _require_owner(session: Connection, source: str) -> None:
    roles.act_as_owner(session)
    if not session.execute(_OWNER, (f"bronze_{source}",)).fetchall()[0][0]:
        raise WarehouseError(
            "This login does not own the bronze tables, so it may take no month out of them.",
            "Run it as a member of bronze_owner: docs/bronze_roles.md",
        )
