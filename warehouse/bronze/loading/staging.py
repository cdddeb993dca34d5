"""Brings a load's records into stage tables: temporary ones, or ones several sessions share.

Shared ones are plain unlogged tables named `bronze_tmp_…`; what a killed load leaves of them the next load of the table removes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from datetime import date
from types import TracebackType
from typing import Any, NamedTuple, Self

from psycopg import sql

from config.stage import File
from warehouse.bronze.connection import Connection
from warehouse.bronze.loading import statements as do
from warehouse.bronze.loading.arrow import frugal
from warehouse.bronze.loading.artifacts import LETTER_CAP
from warehouse.bronze.loading.columns import COLUMNS, Piece, Refused, pieces
from warehouse.bronze.loading.parallel import ahead
from warehouse.bronze.loading.profiles import COLUMNS as PROFILE_COLUMNS
from warehouse.bronze.loading.profiles import Profiles


class Stage(NamedTuple):
    """The stage tables of one load."""

    prefix: str
    months: list[date]
    """New months that are filled aside, each from a stage table of its own."""

    def name(self, what: str) -> sql.Identifier:
        """The table of `rest`, `profiles`, `refused`, …"""
        return sql.Identifier(self.prefix + what)

    def month(self, month: date) -> sql.Identifier:
        """Where a month's records are staged."""
        return self.name(_staged(month))

    def aside(self, month: date) -> str:
        """The table a month's rows are filled into before it is attached."""
        return f"{self.prefix}{month:y%Ym%m}"

    def ground(self) -> dict[str, sql.Identifier]:
        """The tables every statement may name."""
        return {what: self.name(what) for what in ("rest", "profiles", "refused")}


def prefix_of(table: str) -> str:
    """What the scratch tables of a source's loads begin with."""
    # with a month 26 letters: PostgreSQL makes index names of the first 28, and they must differ
    return f"bronze_tmp_{hashlib.sha256(table.encode()).hexdigest()[:6]}_"


def prepare(session: Connection, table: str, months: Sequence[date], *, shared: bool) -> Stage:
    """Make the stage tables: temporary ones live to the end of the transaction, shared ones until `sweep`."""
    stage = Stage(prefix_of(table), list(months))
    kind, end = ("UNLOGGED", "") if shared else ("TEMP", "ON COMMIT DROP")
    words = {"kind": sql.SQL(kind), "end": sql.SQL(end)}
    for statement in (do.PROFILES, do.REFUSED):
        session.execute(sql.SQL(statement).format(**words, **stage.ground()))
    for target in (stage.name("rest"), *(stage.month(month) for month in stage.months)):
        session.execute(sql.SQL(do.STAGE).format(stage=target, **words))
    return stage


def fill(session: Connection, stage: Stage, records: File, profiles: Profiles) -> None:
    """Send all records, then what they have in common."""
    frugal()
    with _Sender(session, stage) as sender, closing(ahead(pieces(records, profiles, frozenset(stage.months)))) as made:
        for piece in made:
            sender.send(piece)
    _copy_rows(session, stage.name("profiles"), PROFILE_COLUMNS, profiles.rows())
    for name in (stage.name("rest"), stage.name("profiles")):
        session.execute(sql.SQL("ANALYZE {}").format(name))


def sweep(session: Connection, table: str) -> None:
    """Remove the scratch tables of a source's loads; its lock is held, so nobody uses them."""
    for (name,) in session.execute(do.SCRATCH, (prefix_of(table),)).fetchall():
        session.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))


def _staged(month: date) -> str:
    return f"s{month:y%Ym%m}"


class _Sender:
    """Keeps one COPY open as long as its table stays the same."""

    def __init__(self, session: Connection, stage: Stage) -> None:
        self._session, self._stage = session, stage
        self._open = ExitStack()
        self._target: Any = None
        self._copy: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.__exit__(kind, error, trace)

    def send(self, piece: Piece | Refused) -> None:
        """To the stage table of its month, to the rest, or to the refused."""
        if isinstance(piece, Refused):
            size = len(piece.raw)
            kept = piece.raw if size <= LETTER_CAP else None
            self._to("refused", "profile, position, record_index, raw_bytes, raw_size, reason")
            self._copy.write_row((piece.profile, piece.position, piece.record_index, kept, size, piece.reason))
        else:
            self._to("rest" if piece.month is None else _staged(piece.month), COLUMNS)
            self._copy.write(piece.text)

    def _to(self, target: str, columns: str) -> None:
        if target == self._target:
            return
        self._open.close()
        self._target = target
        self._copy = self._open.enter_context(copying(self._session, self._stage.name(target), columns))


def copying(session: Connection, table: sql.Identifier, columns: str) -> Any:
    """A COPY into `table`."""
    return session.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN").format(table, sql.SQL(columns)))


def _copy_rows(session: Connection, table: sql.Identifier, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with copying(session, table, columns) as copy:
        for row in rows:
            copy.write_row(row)
