"""Example rows give way to real ones: in the table that is loaded, and afterwards in every other that holds nothing else."""

from __future__ import annotations

import logging

import psycopg
from psycopg import sql

from config.errors import WarehouseError
from warehouse.bronze import schema
from warehouse.bronze.connection import Connection
from warehouse.bronze.loading import statements as do

_log = logging.getLogger(__name__)

EXAMPLE = "example"
"""The environment of synthetic rows."""


def make_room(session: Connection, source: str, environment: str) -> bool:
    """In the load's own transaction, its table locked: drop its examples before real rows. True when the table was made anew.

    Raises WarehouseError as `must_make_room` does, and for a session that may not drop tables.
    """
    if not must_make_room(session, source, environment):
        return False
    try:
        schema.drop_source(session, source)
    except psycopg.errors.InsufficientPrivilege:
        raise WarehouseError(
            f"Example records of {source} are in the way, and this login may not remove them.",
            "Load once with a login that is a member of bronze_owner.",
        ) from None
    schema.create_source(session, source)
    return True


def must_make_room(session: Connection, source: str, environment: str) -> bool:
    """Are there examples in the way of real rows? Raises WarehouseError for examples that would come to lie beside real rows."""
    examples, real = _provenance(session, source)
    if environment == EXAMPLE and real:
        raise WarehouseError(
            f"The database holds real records of {source}; example records are not mixed into them.",
            "Load examples into another database or another DATA_DIR.",
        )
    return environment != EXAMPLE and examples and not real


def sweep(session: Connection, source: str) -> None:
    """After a real load of `source`: drop the other sources whose rows are all examples, each in a transaction of its own.

    It waits for nobody: a table somebody loads or reads stays until the next load, so two loads cannot lock each other out.
    """
    for table in schema.tables(session):
        other = table.removeprefix("bronze_")
        if other == source or _provenance(session, other) != (True, False):
            continue
        try:
            with session.transaction():
                if session.execute(do.TRY_LOCK, (table,)).fetchall()[0][0]:
                    session.execute(sql.SQL(do.LOCK_TABLE).format(table=sql.Identifier(table)))
                    if _provenance(session, other) == (True, False):
                        schema.drop_source(session, other)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UndefinedTable):
            _log.info("The examples of %s are in use and stay until the next load.", other)
        except psycopg.errors.InsufficientPrivilege:
            _log.info("The examples of %s stay until a load of an owner.", other)


def _provenance(session: Connection, source: str) -> tuple[bool, bool]:
    """Are there example rows of the source; are there real ones."""
    query = sql.SQL(do.PROVENANCE).format(table=sql.Identifier(f"bronze_{source}"))
    examples, real = session.execute(query, {"source": source}).fetchall()[0]
    return examples, real
