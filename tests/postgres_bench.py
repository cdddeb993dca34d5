"""A real embedded server and records to load into it, for the bronze tests."""

from __future__ import annotations

import hashlib
import json
import os
import select
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from config.stage import File
from config.tables import DEAD_LETTERS, RECORDS, TableWriter
from tests import made_once
from warehouse.bronze import schema
from warehouse.bronze.connection import connect
from warehouse.bronze.embedded import server

ROOT = Path(__file__).parent.parent
START = datetime(2024, 1, 31, 23, 0, tzinfo=UTC)


def record(number: int, content: Any = None, **changed: Any) -> dict[str, Any]:
    """A record with everything a record has; `changed` replaces columns."""
    row = {
        "raw_id": f"reading:{number}",
        "source_timestamp": START + timedelta(hours=number),
        "raw": content if isinstance(content, str) else json.dumps(content or {"n": number}),
        "status": "valid",
        "errors": [],
        "raw_artifact": "raw/demo/export.csv",
        "raw_sha256": "",
        "position": f"line {number + 2}",
        "record_index": number,
        "revision": 0,
        "time_text": None,
        "utc_offset": None,
        "quality_score": 1.0,
        "quality_metrics": '{"completeness":1.0}',
        "quality_checks": "{}",
    }
    return row | changed


def letter(number: int, raw: bytes = b"\x00\xffbroken", **changed: Any) -> dict[str, Any]:
    """A dead letter of ingestion."""
    row = {
        "raw": raw,
        "raw_size": len(raw),
        "reason": "not_json",
        "message": "The line is no JSON.",
        "raw_artifact": "raw/demo/export.csv",
        "raw_sha256": "",
        "position": f"line {number + 2}",
        "record_index": number,
    }
    return row | changed


class Artifacts:
    """Writes the artifacts a bronze node is handed."""

    def __init__(self, folder: Path, source: str = "demo") -> None:
        self.folder, self.source = folder, source
        self._versions = 0
        folder.mkdir(parents=True, exist_ok=True)

    def inputs(
        self, records: Iterable[dict[str, Any]], letters: Iterable[dict[str, Any]] = (), raw: bytes = b"time,value\n"
    ) -> dict[str, Any]:
        """The node's inputs: role → file."""
        self._versions += 1
        name = f"raw/{self.source}/export.csv"
        export = self._file(name, "csv", raw)
        places = {"raw_artifact": name, "raw_sha256": export.sha256}
        return {
            "records": self._table("records", RECORDS, [r | places for r in records]),
            "dead_letters": self._table("dead_letters", DEAD_LETTERS, [r | places for r in letters]),
            "raw": [export],
        }

    def _table(self, role: str, schema: Any, rows: list[dict[str, Any]]) -> File:
        path = self.folder / f"{role}{self._versions}.building"
        with path.open("wb") as sink, TableWriter(sink, schema) as writer:
            for row in rows:
                writer.append(row.get(name) for name in schema.names)
        suffix = "" if role == "records" else ".dead_letters"
        return self._file(f"records/{self.source}{suffix}.parquet", role, path.read_bytes())

    def _file(self, name: str, role: str, data: bytes) -> File:
        path = self.folder / f"{role}{self._versions}"
        path.write_bytes(data)
        return File(name, str(path), hashlib.sha256(data).hexdigest(), len(data), self._versions, 1_700_000_000.0)


def asked(inputs: dict[str, Any]) -> dict[str, list[tuple[str, str, int | None]]]:
    """The inputs as the engine names them when it asks the ledger."""
    return {
        role: [(f.name, f.sha256, f.version) for f in (files if isinstance(files, list) else [files])]
        for role, files in inputs.items()
    }


def settings(data_dir: Path | str, database: str = "", environment: str = "development") -> dict[str, Any]:
    """What a bronze node declares."""
    sla = {"completeness": 0.99, "validity": 0.999, "freshness_hours": None, "sources": {}}
    plain = {"environment": environment, "pipeline_version": "1.2.3", "database": database, "data_dir": str(data_dir)}
    return plain | {"quality_sla": sla}


@contextmanager
def served(data_dir: Path) -> Iterator[Path]:
    """A data root whose server stays up for the block, and is gone after it."""
    with server.embedded(str(made_once.cluster(data_dir))):
        yield data_dir
        server.release(str(data_dir))


@contextmanager
def migrated(data_dir: Path) -> Iterator[Path]:
    """Likewise, with the tables that all sources share."""
    with served(data_dir):
        with connect(settings(data_dir)) as session:
            schema.migrate(session)
        yield data_dir


def sql(data_dir: Path | str, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """What a person at psql would see."""
    with server.embedded(str(data_dir)) as dsn, psycopg.connect(dsn, autocommit=True) as session:
        cursor = session.execute(query, parameters or None)
        return cursor.fetchall() if cursor.description else []


def python(code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """A Python process of its own that can import the project; arguments are in sys.argv[1:]."""
    given = [path for path in (os.environ.get("PYTHONPATH"),) if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*options.pop("first", []), str(ROOT), *given])}
    return subprocess.Popen(
        [options.pop("interpreter", sys.executable), "-c", textwrap.dedent(code), *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def said(process: subprocess.Popen[str]) -> str:
    """What it printed; fails with its traceback when it failed."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


class CommitCutter:
    """A relay in front of the server that cuts the connection, once, at the COMMIT of a load.

    `arrives`: the COMMIT reaches the server and succeeds, its answer is lost; else it never arrives.
    """

    def __init__(self, folder: Path, target: str, arrives: bool) -> None:
        self.arrives, self.cuts = arrives, 0
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, socket.socket(socket.AF_UNIX) as backend:
                backend.connect(self._target)
                self._relay(client, backend)

    def _relay(self, client: socket.socket, backend: socket.socket) -> None:
        loading = False
        while True:
            for side in select.select([client, backend], [], [])[0]:
                data = side.recv(1 << 16)
                if not data:
                    return
                loading = loading or b"INSERT INTO bronze_loads" in data
                if side is client and loading and not self.cuts and b"COMMIT\0" in data:
                    self.cuts += 1
                    if self.arrives:
                        backend.sendall(data)
                        backend.recv(1 << 16)
                    return
                (backend if side is client else client).sendall(data)
