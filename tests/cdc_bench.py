"""A PostgreSQL whose log tells rows, and a stream's pages in memory: what the tests of change data capture run on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.stage import File, Page, Report
from ingestion.cdc.extract import STREAM, fetch
from ingestion.cdc.records import Reading
from ingestion.records import Record
from tests import made_once
from warehouse.bronze.embedded import lifecycle, server
from warehouse.bronze.embedded.sizing import server_settings

LOGICAL = {"wal_level": "logical", "max_wal_senders": "4", "max_replication_slots": "6", "wal_keep_size": "0", "fsync": "off"}


@contextmanager
def logical(data_dir: Path, **changed: str) -> Iterator[str]:
    """The embedded server with `wal_level = logical`, up for the block; gives its connection string."""

    def settings(major: int, folder: str, available: int | None = None) -> dict[str, str]:
        return {**server_settings(major, folder, available), **LOGICAL, **changed}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lifecycle, "server_settings", settings)
        with server.embedded(str(made_once.cluster(data_dir))) as dsn:
            with psycopg.connect(dsn.replace("dbname=pdp", "dbname=postgres"), autocommit=True) as session:
                if not session.execute("SELECT 1 FROM pg_database WHERE datname = 'pdp'").fetchone():
                    session.execute("CREATE DATABASE pdp")
            yield dsn
            server.release(str(data_dir))


def settings_of(dsn: str, *tables: str, **changed: Any) -> dict[str, Any]:
    """What the steps of the source declare."""
    own: dict[str, Any] = {
        "tokens_cdc": json.dumps({"CDC_DATABASE_URL": dsn}),
        "cdc_tables": list(tables),
        "cdc_slot": "pdp",
        "cdc_time_column": "ts_utc",
    }
    shared: dict[str, Any] = {
        "timezone": "UTC",
        "timezone_overrides": [],
        "origins_cdc": [],
        "on_drift_cdc": "evolve",
        "google_api_endpoint": None,
    }
    return own | shared | changed


class Held:
    """What a database has told so far: pages in memory, and the records made of them."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.streams: dict[str, MemoryPages] = {}
        self.settings = settings
        self._folder = folder

    def pages(self, role: str, stream: str) -> MemoryPages:
        """As the engine hands them out."""
        assert role == "raw"
        return self.streams.setdefault(stream, MemoryPages(self._folder))

    @property
    def log(self) -> MemoryPages:
        """The one stream of a database."""
        return self.pages("raw", STREAM)

    def fetch(self) -> Report:
        """One round."""
        return fetch(self, self.settings)  # type: ignore[arg-type]

    def fetch_killed_after(self, pages: int) -> bool:
        """One round that dies after so many pages; False when it had no more than it could end."""
        self.log.dies_after = self.log.commits + pages
        try:
            self.fetch()
        except KilledError:
            return True
        finally:
            self.log.dies_after = 0
        return False

    def told(self) -> list[Record]:
        """Every record the pages give, repeats and all."""
        reading = Reading(self.log.files, self.settings)
        found = [item for file in self.log.files for item in reading.parse(file, self.settings)]
        assert all(isinstance(item, Record) for item in found), found
        return [item for item in found if isinstance(item, Record)]

    def records(self) -> list[Record]:
        """Every record once: without those that say what the newest of their row says already, as they are made."""
        newest: dict[str, Record] = {}
        kept = []
        for record in self.told():
            before = newest.get(record.raw_id)
            if before is None or record.revision >= before.revision:
                newest[record.raw_id] = record
            if before is None or content(before) != content(record):
                kept.append(record)
        return kept

    def rows(self, table: str) -> dict[str, Any]:
        """The table as the records know it: identity → row."""
        newest: dict[str, Record] = {}
        for record in self.told():
            if record.raw["table"] == table and record.revision >= newest.get(record.raw_id, record).revision:
                newest[record.raw_id] = record
        return {name: record.raw["row"] for name, record in sorted(newest.items()) if not record.raw["deleted"]}


def content(record: Record) -> dict[str, Any]:
    """What a record says beside how it came to be told."""
    return {name: value for name, value in record.raw.items() if name not in record.volatile}


class KilledError(Exception):
    """The process ends here."""


class MemoryPages:
    """A stream's pages as the engine keeps them, in memory; dies after so many commits."""

    def __init__(self, folder: Path, dies_after: int = 0) -> None:
        self.folder, self.dies_after, self.commits = folder, dies_after, 0
        self.files: list[File] = []
        self._state: dict[str, Any] | None = None

    def state(self) -> dict[str, Any] | None:
        """As last committed."""
        return self._state

    def commit(
        self,
        body: bytes,
        state: Mapping[str, Any],
        *,
        facts: Mapping[str, Any],
        records: int,
        digest: str = "",
        suffix: str = ".json",
    ) -> Page:
        """Keep a page."""
        sha256 = hashlib.sha256(body).hexdigest()
        name = f"log/{len(self.files):06d}-{sha256[:12]}{suffix}"
        path = self.folder / name.replace("/", "-")
        path.write_bytes(body)
        self.files.append(File(f"raw/cdc/{name}", str(path), sha256, len(body), 1, None))
        self._state = dict(state)
        self.commits += 1
        if self.dies_after and self.commits == self.dies_after:
            raise KilledError
        return Page(name, dict(facts))

    def advance(self, state: Mapping[str, Any], *, repeated: int = 0) -> None:
        """The state alone."""
        self._state = dict(state)

    def known(self, digest: str) -> bool:
        """Not asked here."""
        raise AssertionError(digest)

    def new(self) -> list[Page]:
        """Not asked here."""
        return []
