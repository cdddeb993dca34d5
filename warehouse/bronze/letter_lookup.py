"""The dead letters a person asks for; an open one set aside for good."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from config.errors import UsageError
from warehouse.bronze.access import roles
from warehouse.bronze.connection import Connection, connect, refused

_FIND = """
SELECT id, source, error_class, status, attempts, position, file_path, file_hash, first_seen AT TIME ZONE 'UTC', resolution
FROM bronze_dead_letters
WHERE (%(source)s = '' OR source = %(source)s) AND (%(state)s = '' OR status = %(state)s)
  AND (%(reason)s = '' OR error_class = %(reason)s) AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
ORDER BY id
"""
_SHOW = """
SELECT *, encode(sha256(raw_bytes), 'hex') AS raw_sha256 FROM bronze_dead_letters WHERE id = %s
"""
_IGNORE = """
UPDATE bronze_dead_letters SET status = 'ignored', resolved_at = timezone('UTC', now()), resolved_by = 'a person', resolution = %s
WHERE id = %s AND status = 'open'
"""


class Letter(NamedTuple):
    """A dead letter without its bytes."""

    id: int
    source: str
    reason: str
    state: str
    attempts: int
    position: str
    file: str
    """The raw artifact."""
    file_hash: str
    first_seen: datetime
    resolution: str | None


def find(
    settings: Mapping[str, Any], source: str = "", state: str = "", reason: str = "", ids: Sequence[int] | None = None
) -> list[Letter]:
    """The letters that are all of this, by id; an empty text asks nothing. None where nothing was ever loaded.

    Settings: database, data_dir. Makes no database; WarehouseError when it cannot be asked.
    """
    terms = {"source": source, "state": state, "reason": reason, "ids": None if ids is None else list(ids)}
    with _asking(settings) as session:
        return [Letter(*row) for row in session.execute(_FIND, terms).fetchall()] if _is_there(session) else []


def show(settings: Mapping[str, Any], letter_id: int) -> dict[str, Any]:
    """All columns of a letter, and `raw_sha256`. UsageError when there is none; else as `find`."""
    with _asking(settings) as session:
        row = session.cursor(row_factory=dict_row).execute(_SHOW, (letter_id,)).fetchone() if _is_there(session) else None
    if row is None:
        raise UsageError(f"There is no dead letter {letter_id}.", "python main.py dlq list --state all tells which there are.")
    return row


def ignore(settings: Mapping[str, Any], letter_id: int, why: str) -> None:
    """Set an open letter aside: it is tried no more. UsageError when it is not open; else as `find`."""
    state = show(settings, letter_id)["status"]
    with _asking(settings) as session:
        roles.act_as_owner(session)
        if not session.execute(_IGNORE, (why, letter_id)).rowcount:
            raise UsageError(f"Dead letter {letter_id} is {state}.", "Only an open one can be set aside.")


@contextmanager
def _asking(settings: Mapping[str, Any]) -> Iterator[Connection]:
    with connect(settings, create=False, role="dlq") as session:
        try:
            yield session
        except psycopg.Error as error:
            raise refused(error) from None


def _is_there(session: Connection) -> bool:
    return bool(session.execute("SELECT to_regclass('bronze_dead_letters') IS NOT NULL").fetchall()[0][0])
