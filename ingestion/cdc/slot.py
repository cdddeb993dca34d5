"""The replication slot and the publication: what they are, and making and dropping them. A slot keeps the log until it was read.

Both are called as the setting `cdc_slot` says. A slot that is lost (invalidated for the log it kept, or dropped) is told with its mend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from psycopg import sql

from config.errors import SourceDenied
from ingestion.cdc.session import Connection

MUCH = 1 << 30
"""Bytes of retained log a person should hear of."""


class Slot(NamedTuple):
    """A slot as the server tells of it."""

    confirmed: int
    """LSN up to which its changes have been taken."""
    restart: int
    """LSN from which the server keeps the log for it."""
    retained: int
    """Bytes of log kept for it."""
    wal_status: str
    """reserved | extended | unreserved | lost."""
    plugin: str
    here: bool
    """Whether it is of this database."""
    active: bool

    @property
    def lost(self) -> bool:
        """Whether it can give no changes any more."""
        return self.wal_status == "lost"


class Table(NamedTuple):
    """A table of the publication."""

    schema: str
    name: str
    partitioned: bool
    identity: str
    """Its replica identity: d, i, f, n."""
    columns: tuple[tuple[str, int, bool], ...]
    """(name, OID of the type, whether it is part of the key) of the columns that are logged."""

    @property
    def full(self) -> str:
        """`public.readings`."""
        return f"{self.schema}.{self.name}"

    @property
    def key(self) -> list[str]:
        """What tells its rows apart."""
        return [name for name, _, key in self.columns if key]


def wanted_tables(settings: Mapping[str, Any]) -> list[str]:
    """CDC_TABLES with their schemas: `readings` is `public.readings`."""
    return sorted({name if "." in name else f"public.{name}" for name in settings["cdc_tables"]})


def slot_of(session: Connection, name: str) -> Slot | None:
    """The slot of this name; None when there is none."""
    found = session.execute(_SLOT, (name,)).fetchone()
    return None if found is None else Slot(*found)


def require(session: Connection, name: str) -> Slot:
    """The slot, which can give changes. SourceDenied, with the mend, when it cannot."""
    found = slot_of(session, name)
    if found is None:
        raise SourceDenied(f"The replication slot {name} is not there.", _CREATE)
    if not found.here or found.plugin != "pgoutput":
        raise SourceDenied(f"The replication slot {name} is somebody else's.", "Set CDC_SLOT to another name.")
    if found.lost:
        raise SourceDenied(f"The server has given up the replication slot {name}: the log it kept grew too large.", _CREATE)
    return found


def published(session: Connection, name: str) -> list[Table]:
    """The tables of the publication, by name, with their columns as they are now."""
    return [
        Table(schema, table, partitioned, identity, tuple((str(n), int(o), bool(k)) for n, o, k in columns))
        for schema, table, partitioned, identity, columns in session.execute(_TABLES, (name,)).fetchall()
    ]


def matching(session: Connection, name: str, settings: Mapping[str, Any]) -> list[Table]:
    """The same where it is of the tables that CDC_TABLES names. SourceDenied where it is not."""
    tables = published(session, name)
    if [table.full for table in tables] != wanted_tables(settings):
        raise SourceDenied(
            "The publication is not of the tables that CDC_TABLES names.", "Mend it with: python main.py cdc create."
        )
    return tables


def log_end(session: Connection) -> int:
    """LSN up to which the log is on the server's disk."""
    (found,) = session.execute("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint").fetchone() or (0,)
    return int(found)


def advance(session: Connection, name: str, lsn: str) -> None:
    """The changes before this place need not be kept any longer."""
    session.execute("SELECT pg_replication_slot_advance(%s, %s::pg_lsn)", (name, lsn))


def trouble(session: Connection) -> str:
    """Why the server can give no changes at all, with the mend; empty when it can."""
    if session.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
        return "The server is a replica. Point CDC_DATABASE_URL at the primary."
    (level,) = session.execute("SHOW wal_level").fetchone() or ("",)
    if level != "logical":
        return (
            f"The server's wal_level is {level}: its log does not tell rows. Set wal_level = logical and start it anew"
            " (managed servers have a switch for it, such as rds.logical_replication)."
        )
    return ""


def create(session: Connection, name: str, tables: Sequence[str]) -> list[str]:
    """Publication and slot as they should be; what is so already stays. Gives what was done, in words."""
    if problem := trouble(session):
        what, _, mend = problem.partition(". ")
        raise SourceDenied(f"{what}.", mend)
    if not tables:
        raise SourceDenied("CDC_TABLES names no table.", 'Example: CDC_TABLES=["public.readings"]')
    _refuse_unfit(session, tables)
    done = _publish(session, name, tables)
    found = slot_of(session, name)
    if found is not None and found.here and found.lost:
        session.execute("SELECT pg_drop_replication_slot(%s)", (name,))
        done.append("dropped the slot that was lost")
        found = None
    if found is None:
        session.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (name,))
        return [*done, "made the slot; the next run takes a snapshot of the tables"]
    require(session, name)
    return done


def drop(session: Connection, name: str) -> list[str]:
    """Slot and publication go. Gives what was done."""
    done = []
    if slot_of(session, name) is not None:
        require_ours(session, name)
        session.execute("SELECT pg_drop_replication_slot(%s)", (name,))
        done.append("dropped the slot; the server keeps no log for it any more")
    if session.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", (name,)).fetchone():
        session.execute(sql.SQL("DROP PUBLICATION {}").format(sql.Identifier(name)))
        done.append("dropped the publication")
    return done


def require_ours(session: Connection, name: str) -> None:
    """SourceDenied for a slot that is not one of ours in this database."""
    found = slot_of(session, name)
    if found is not None and not (found.here and found.plugin == "pgoutput"):
        raise SourceDenied(f"The replication slot {name} is somebody else's.", "Set CDC_SLOT to another name.")


def _refuse_unfit(session: Connection, tables: Sequence[str]) -> None:
    for full in tables:
        schema, _, name = full.partition(".")
        found = session.execute(_FIT, (schema, name)).fetchone()
        if found is None:
            raise SourceDenied(f"There is no table {full}, or it is a view.", "Correct CDC_TABLES.")
        if not found[0]:
            raise SourceDenied(
                f"Rows of the table {full} cannot be told apart: it has no primary key.",
                "Give it one, or a REPLICA IDENTITY of a unique index.",
            )


def _publish(session: Connection, name: str, tables: Sequence[str]) -> list[str]:
    listed = sql.SQL(", ").join(sql.Identifier(*full.partition(".")[::2]) for full in tables)
    if not session.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", (name,)).fetchone():
        statement = "CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true)"
        session.execute(sql.SQL(statement).format(sql.Identifier(name), listed))
        return [f"published {len(tables)} tables"]
    if [table.full for table in published(session, name)] == list(tables):
        return []
    session.execute(sql.SQL("ALTER PUBLICATION {} SET TABLE {}").format(sql.Identifier(name), listed))
    return [f"published {len(tables)} tables instead"]


_CREATE = (
    "Make it anew with: python main.py cdc create. The next run takes a new snapshot; what came between is told by its outcome."
)
_SLOT = """
SELECT coalesce(confirmed_flush_lsn - '0/0'::pg_lsn, 0)::bigint, coalesce(restart_lsn - '0/0'::pg_lsn, 0)::bigint,
       coalesce(pg_current_wal_lsn() - restart_lsn, 0)::bigint, coalesce(wal_status, 'lost'), plugin,
       coalesce(database = current_database(), false), active
  FROM pg_replication_slots WHERE slot_name = %s"""
_KEY = """
coalesce((SELECT i.indkey::smallint[] FROM pg_index i
           WHERE i.indrelid = c.oid AND CASE WHEN c.relreplident = 'i' THEN i.indisreplident ELSE i.indisprimary END), '{}')"""
_TABLES = f"""
SELECT n.nspname, c.relname, c.relkind = 'p', c.relreplident::text,
       (SELECT coalesce(json_agg(json_build_array(a.attname, a.atttypid::bigint, a.attnum = ANY ({_KEY})) ORDER BY a.attnum), '[]')
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
  FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
  JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE p.pubname = %s ORDER BY n.nspname || '.' || c.relname COLLATE "C" """
_FIT = f"""
SELECT cardinality({_KEY}) > 0 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')"""
