"""Brings back what is missing: rows and dead letters of the records in force, and the lists derived from the rows.

Rows that are there are never touched. Every step adds only what is not there, so a repair that was interrupted is run again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import psycopg
from psycopg import sql

from config.stage import File, Outputs
from warehouse.bronze import load
from warehouse.bronze.access import roles
from warehouse.bronze.checking import repair_statements as mend
from warehouse.bronze.checking.differences import UNDATED
from warehouse.bronze.checking.reconcile import InForce, Outcome
from warehouse.bronze.connection import Connection, connect, refused
from warehouse.bronze.loading.letters import bring_in

_ROWS = frozenset(
    {
        "table_missing",
        "records_not_loaded",
        "records_missing",
        "rows_lost",
        "rows_undated",
        "partition_missing",
        "letters_missing",
    }
)
"""Kinds of difference a load from the records in force may mend."""
_IN_THE_WAY = frozenset({"partition_detached", "records_gone"})
"""With these a load cannot bring rows to their place."""
_LETTERS = frozenset({"letters_missing", "letters_lost"})
_LISTS = frozenset({"known_missing", "known_stale", "revisions_missing"})

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('bronze_load:' || %s, 0))"


def repair(settings: Mapping[str, Any], outcome: Outcome, files: InForce) -> bool:
    """Mend of one source what can be mended; False when nothing of it can. Compare again to see what is left.

    `files`: its artifacts in force; empty: only the lists are mended. Settings: those of the node `bronze.<source>`. Raises
    WarehouseError when this role may not, or the database is lost.
    """
    codes = {difference.code for difference in outcome.differences}
    loadable = bool(files) and not codes & _IN_THE_WAY
    wanted = _LISTS | (_ROWS | _LETTERS if loadable else frozenset())
    if not codes & wanted:
        return False
    run_id = f"repair-{uuid.uuid4().hex}"
    handles = cast("Outputs", SimpleNamespace(run_id=run_id, attempt_id=run_id))
    if "table_missing" not in codes:
        lost_undated = any(d.code == "partition_missing" and d.month == UNDATED for d in outcome.differences)
        before = [mend.KNOWN_MISSING, mend.REVISIONS_MISSING]  # a load would take a row that is not known for a new one
        _mend(settings, outcome.source, [mend.UNDATED_PARTITION, *before] if lost_undated else before)
    if loadable and codes & {"table_missing", "records_not_loaded"}:
        load.load(_Inputs(files), handles, settings)
    if loadable and codes & _ROWS:
        load.repair(_Inputs(files), handles, settings)
    if loadable and codes & _LETTERS:
        _load_letters(settings, outcome.source, files["dead_letters"][0], run_id)
    if "known_stale" in codes:
        _mend(settings, outcome.source, [mend.KNOWN_STALE])
    return True


def _mend(settings: Mapping[str, Any], source: str, statements: Sequence[str]) -> None:
    names = {
        "table": sql.Identifier(f"bronze_{source}"),
        "undated": sql.Identifier(f"bronze_{source}_default"),
        "known": sql.Identifier(f"bronze_{source}_known"),
        "source": sql.Literal(source),
    }
    with _working(settings, source) as session:
        for statement in statements:
            session.execute(sql.SQL(statement).format(**names))


def _load_letters(settings: Mapping[str, Any], source: str, letters: File, run_id: str) -> None:
    """The ledger has counted them already: it stays as it is."""
    with _working(settings, source) as session:
        terms = {"source": source, "target": f"bronze_{source}", "environment": settings["environment"], "run_id": run_id}
        bring_in(session, letters, terms)


@contextmanager
def _working(settings: Mapping[str, Any], source: str) -> Iterator[Connection]:
    """A transaction as the owner, if this login is one, that no load of the source runs beside."""
    try:
        with connect(settings, create=False, role="repair") as session, session.transaction():
            roles.act_as_owner(session)
            session.execute(_LOCK, (f"bronze_{source}",))
            yield session
    except psycopg.Error as error:
        raise refused(error) from None


class _Inputs:
    """A source's artifacts in force, as a load takes them."""

    def __init__(self, files: InForce) -> None:
        self._files = files

    def one(self, role: str) -> File:
        (file,) = self._files[role]
        return file

    def many(self, role: str) -> list[File]:
        return sorted(self._files[role])

    def roles(self) -> list[str]:
        return list(self._files)
