"""Brings a database to the shape silver needs: the schema `silver`, its numbered migrations, its share of the roles."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import psycopg
from psycopg import errors, sql

from config.errors import WarehouseError
from warehouse.bronze.access import roles
from warehouse.bronze.connection import Connection, connect, refused

_HERE = os.path.dirname(os.path.abspath(__file__))
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('silver_migrations', 0))"
_SCHEMA = "SELECT FROM pg_namespace WHERE nspname = 'silver'"
_TABLES = ("records", "checkpoints", "runs", "migrations")
_THERE = """
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'silver' AND c.relkind = 'r' AND c.relname = ANY (%s)
"""


def migrate(session: Connection) -> None:
    """Apply the migrations this database does not have, in one transaction. A member of bronze_owner acts as that role from here on.

    WarehouseError when the database is newer than this code, or when this session may not change it: nothing was changed then.
    """
    files = migrations()
    owner = roles.act_as_owner(session)
    if applied(session) == files.keys():
        return
    try:
        with session.transaction():
            session.execute(_LOCK)
            done = applied(session)
            if done - files.keys():
                raise WarehouseError(
                    "Silver was migrated by a newer version of this program.", "Upgrade the program; nothing was changed."
                )
            if not session.execute(_SCHEMA).fetchall():
                session.execute("RESET ROLE")  # to make a schema is not the owner's right, but the database's own
                session.execute("CREATE SCHEMA silver AUTHORIZATION bronze_owner" if owner else "CREATE SCHEMA silver")
                roles.act_as_owner(session)
            elif not done:
                for table in _TABLES:  # what is left of tables removed by hand: all of it can be made again
                    session.execute(sql.SQL("DROP TABLE IF EXISTS silver.{}").format(sql.Identifier(table)))
            for name, text in files.items():
                if name not in done:
                    session.execute(sql.SQL(text))
                    digest = hashlib.sha256(text.encode()).hexdigest()
                    session.execute("INSERT INTO silver.migrations (name, sha256) VALUES (%s, %s)", (name, digest))
            session.execute(sql.SQL(_text("access.sql")))
    except errors.InsufficientPrivilege:
        raise WarehouseError(
            "The schema silver is not there, or not as this program needs it, and this login may not change that.",
            "Run `python main.py bronze init` as the database's owner, then run again.",
        ) from None


def initialise(settings: Mapping[str, Any]) -> None:
    """Migrations and roles of silver, for `bronze init`. Raises WarehouseError."""
    with connect(settings, role="init") as session:
        try:
            migrate(session)
            hand_over(session)
        except psycopg.Error as error:
            raise refused(error) from None


def hand_over(session: Connection) -> None:
    """What there is of silver becomes the owner's, if the database has its roles and this login may give it away."""
    session.execute("RESET ROLE")
    with suppress(errors.InsufficientPrivilege), session.transaction():
        session.execute(sql.SQL(_text("access.sql")))


def applied(session: Connection) -> set[str]:
    """The migrations this database has; none when a table is missing."""
    if len(session.execute(_THERE, (list(_TABLES),)).fetchall()) < len(_TABLES):
        return set()
    return {name for (name,) in session.execute("SELECT name FROM silver.migrations").fetchall()}


@cache
def migrations() -> dict[str, str]:
    """Name → SQL, in the order of application."""
    names = sorted(name for name in os.listdir(os.path.join(_HERE, "migrations")) if name.endswith(".sql"))
    return {name: _text(os.path.join("migrations", name)) for name in names}


@cache
def _text(name: str) -> str:
    with open(os.path.join(_HERE, name), encoding="utf-8") as text:
        return text.read()
