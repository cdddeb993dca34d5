"""The four roles of the database: who may do what is written in `roles.sql` and `privileges.sql`, and explained in docs/bronze_roles.md."""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

import psycopg
from psycopg import sql

from warehouse.bronze.connection import Connection

ROLES = ("bronze_owner", "bronze_ingest", "bronze_analyst", "bronze_dashboard")

_HERE = os.path.dirname(os.path.abspath(__file__))
_ACT = """
SELECT CASE WHEN current_user = 'bronze_owner' THEN true
            WHEN EXISTS (
                SELECT FROM pg_roles AS r
                WHERE r.rolname = 'bronze_owner' AND has_schema_privilege(r.oid, to_regnamespace('public')::oid, 'CREATE')
                  AND pg_has_role(session_user, r.oid,
                                  CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END)
                  AND COALESCE((SELECT c.relowner = r.oid FROM pg_class AS c WHERE c.oid = to_regclass('public.bronze_migrations')), true)
            ) THEN set_config('role', 'bronze_owner', false) = 'bronze_owner'
            ELSE false END
"""
_THERE = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"


class Outcome(NamedTuple):
    """What setting up the roles has done."""

    made: list[str]
    present: list[str]
    """Roles that were there already."""
    complete: bool
    """False: this login may not set them up, and nothing was changed."""


def act_as_owner(session: Connection) -> bool:
    """From here on all that the session makes is bronze_owner's, when the database has its roles and the login is a member.

    True when that is so. Every session that makes or attaches tables calls it.
    """
    return bool(session.execute(_ACT).fetchall()[0][0])


def apply(session: Connection) -> None:
    """Bring the privileges on every bronze object to what they shall be, when this session acts as the owner; else nothing."""
    if act_as_owner(session):
        session.execute(sql.SQL(_text("privileges.sql")))


def set_up(session: Connection) -> Outcome:
    """Make the roles, hand all bronze objects to the owner and set the privileges: all of it or nothing."""
    before = _there(session)
    session.execute("RESET ROLE")
    try:
        with session.transaction():
            session.execute(sql.SQL(_text("roles.sql")))
            session.execute(sql.SQL(_text("privileges.sql")))
    except psycopg.errors.InsufficientPrivilege:
        return Outcome([], before, complete=False)
    return Outcome([role for role in ROLES if role not in before], before, complete=True)


def script() -> str:
    """What `set_up` does as SQL for an administrator's psql."""
    return f"BEGIN;\n{_text('roles.sql')}\n{_text('privileges.sql')}COMMIT;\n"


def _there(session: Connection) -> list[str]:
    found = {name for (name,) in session.execute(_THERE, (list(ROLES),)).fetchall()}
    return [role for role in ROLES if role in found]


@cache
def _text(name: str) -> str:
    with open(os.path.join(_HERE, name), encoding="utf-8") as text:
        return text.read()
