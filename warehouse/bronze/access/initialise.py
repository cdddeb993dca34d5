"""Makes the bronze database ready for everybody who works on it: migrations, the sources' tables, roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import psycopg

from warehouse.bronze import schema
from warehouse.bronze.access import roles
from warehouse.bronze.connection import connect, is_embedded, refused
from warehouse.silver import schema as silver


class Made(NamedTuple):
    """What `initialise` has done; what is in no list of things done was there already."""

    database: str
    """`embedded` or `configured`"""
    server_version: str
    migrations_applied: list[str]
    migrations_present: list[str]
    tables_made: list[str]
    tables_upgraded: list[str]
    tables_present: list[str]
    roles: roles.Outcome


def initialise(settings: Mapping[str, Any], sources: Iterable[str]) -> Made:
    """Bring the database of `settings` (database, data_dir) to today's shape, with a table for each source.

    Tables of other sources are brought to today's shape, too. Run again it changes nothing. WarehouseError when the database
    cannot be reached or this login may not make tables in it; a login that may not make roles gets everything but them.
    """
    with connect(settings, role="init") as session:
        try:
            before = schema.applied(session)
            schema.migrate(session)
            there = schema.tables(session)
            for source in dict.fromkeys([*sources, *(table.removeprefix("bronze_") for table in there)]):
                schema.create_source(session, source)
            new = schema.applied(session) - before
            changed = {name.partition("/")[0] for name in new}
            tables = schema.tables(session)
            outcome = roles.set_up(session)
            silver.hand_over(session)
            return Made(
                "embedded" if is_embedded(settings) else "configured",
                session.info.parameter_status("server_version") or "",
                [name for name in schema.migrations() if name in new],
                [name for name in schema.migrations() if name not in new],
                [table for table in tables if table not in there],
                [table for table in tables if table in there and table in changed],
                [table for table in tables if table in there and table not in changed],
                outcome,
            )
        except psycopg.Error as error:
            raise refused(error) from None
