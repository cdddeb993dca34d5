"""Every change of silver in PostgreSQL writes down what it did, in its own transaction; the newest line says what the table holds."""

from __future__ import annotations

from typing import Any

from warehouse.bronze.connection import Connection
from warehouse.silver import statements as do
from warehouse.silver.ledger import LOADER_VERSION


def note(session: Connection, action: str, **said: Any) -> None:
    """Write down what was done, and where the sources stand now. `file_hash`: the file the table holds; empty: none, it is to be loaded."""
    held, hash_sum = session.execute(do.HELD).fetchall()[0]
    blank = dict.fromkeys(("came", "inserted", "updated", "unchanged", "deleted", "removed", "retired", "rejected"), 0)
    names = {"run_id": None, "attempt_id": None, "file_hash": "", "loader_version": LOADER_VERSION}
    terms = {**blank, **names, **said, "action": action, "rows": held, "hash_sum": hash_sum}
    number = session.execute(do.RUN, terms).fetchall()[0][0]
    session.execute(do.NO_CHECKPOINTS)
    session.execute(do.CHECKPOINTS, (number,))
