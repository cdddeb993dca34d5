"""`/data`: pages of bronze rows, through sessions that cannot write: a read-only role where there is one, a read-only session always."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import starmap
from typing import Any

import psycopg
from psycopg import IsolationLevel

from config.errors import WarehouseError
from serving.api import bronze_sql as ask
from serving.api.bronze_pages import Page, Pager
from serving.api.bronze_sql import Row
from serving.api.errors import Refused, wrong
from serving.api.parameters import DataQuestion
from warehouse.bronze.connection import Connection, refused
from warehouse.bronze.embedded.server import release
from warehouse.bronze.pool import Readers, readers

ROLES = ("bronze_analyst", "pg_read_all_data")
"""Whose rights the sessions have: ours when `bronze init` has made it, else PostgreSQL's own, which can read and nothing else."""
_SESSIONS = 8
_SECONDS = 20
_RETRY = 5.0
"""Seconds a database that could not be reached is not tried again."""


class Bronze:
    """The database, whether it is there or comes later. Any thread may ask."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._door = threading.Lock()
        self._open = ExitStack()
        self._readers: Readers | None = None
        self._failed: tuple[float, WarehouseError] | None = None

    def close(self) -> None:
        """Give every session back, and the embedded server."""
        with self._door:
            self._readers = None
            self._open.close()
            if not self._settings["database"]:
                release(str(self._settings["data_dir"]))

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A session that only reads. WarehouseError when the database cannot be reached; Refused for a question that takes too long."""
        with self._pool().session() as session:
            try:
                yield session
            except psycopg.errors.QueryCanceled:
                message = f"The question took longer than {_SECONDS} s."
                raise Refused(503, "too_slow", message, "Ask for one source and fewer days.", {"Retry-After": "5"}) from None
            except psycopg.Error as error:
                raise refused(error) from None

    def page(self, asked: DataQuestion) -> Page:
        """The page that is asked for."""
        if asked.cursor is not None and asked.page is not None:
            raise wrong("page", "it goes with no cursor", "Send one of the two.")
        if asked.sort.endswith("id") and asked.source is None:
            raise wrong("sort", "rows are numbered within a source", "Name the `source`, or sort by source_timestamp.")
        with self.session() as session:
            sources = [name for (name,) in session.execute(ask.TABLES, {"source": asked.source}).fetchall()]
            if not sources:
                return Page([], asked.page or (None if asked.cursor else 1), 0, estimate=False, following=None)
            session.isolation_level = IsolationLevel.REPEATABLE_READ  # the counts and the rows of one moment
            try:
                with session.transaction():
                    return Pager(session, sources, asked).page()
            finally:
                session.isolation_level = None

    def _pool(self) -> Readers:
        with self._door:
            if self._readers is None:
                if self._failed and time.monotonic() - self._failed[0] < _RETRY:
                    raise self._failed[1]
                try:
                    self._readers = self._open.enter_context(
                        readers(self._settings, _SESSIONS, role="api", seconds=_SECONDS, act_as=ROLES)
                    )
                except WarehouseError as error:
                    self._failed = (time.monotonic(), error)
                    raise
            return self._readers


def as_json(page: Page, size: int) -> bytes:
    """The page as JSON text. The raw record goes through untouched: no number in it is rounded, none is too large."""
    rows = ",".join(starmap(_row, ((row, row.pop("raw")) for row in page.rows)))
    about = {
        "page": page.page,
        "page_size": size,
        "total": page.total,
        "total_is_estimate": page.estimate,
        "has_more": page.following is not None,
        "next": page.following,
    }
    return f'{{"rows":[{rows}],{json.dumps(about)[1:]}'.encode()


def _row(row: Row, raw: str) -> str:
    for name in ("source_timestamp", "ingested_at"):
        if row[name] is not None:
            row[name] = row[name].isoformat() + "Z"
    return f'{json.dumps(row, ensure_ascii=False)[:-1]},"raw":{raw}}}'
