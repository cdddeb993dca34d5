"""One measured load into bronze: a whole process, into a database of its own, the server settled before it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from bench.bronze_servers import Server
from bench.bronze_spans import SOURCE, TABLE, Span
from bench.harness import REPO, Measured, measured

_LIMIT = 3600.0
_PER_ROW = ("id", "raw_data", "source_timestamp", "raw_id", "version", "partition_key", "content_hash", "record_index")


class Sample(NamedTuple):
    """One load."""

    rows: int
    seconds: float
    """From the call to its return, the server being up and the libraries imported."""
    whole: float
    """Of the whole process, seconds."""
    peak: float
    """Its largest resident set, MB; the server's processes are not in it."""

    @property
    def speed(self) -> float:
        """Rows per second of the call."""
        return self.rows / self.seconds


class FailedError(Exception):
    """A process did not do its work; the message is the last thing it said."""


@dataclass
class Bench:
    """A server, a folder, and the artifacts made so far."""

    server: Server
    folder: Path
    artifacts: dict[Span, Path] = field(default_factory=dict)
    learnt: tuple[Any, ...] = ()

    @property
    def constants(self) -> Path:
        """What is the same in all rows of a load of ours: SQL literals and values, by column; see `learn`."""
        return self.folder / "constants.json"

    @property
    def wide(self) -> tuple[Path, Path]:
        """(the bare table's CREATE, its rows): what a load of ours leaves, for psql to copy."""
        return self.folder / "wide.sql", self.folder / "wide.copy"

    def artifact(self, span: Span) -> Path:
        """The artifact of a span, made once; gives the file that describes it as a node's inputs."""
        if span not in self.artifacts:
            target = self.folder / f"artifact{len(self.artifacts)}"
            made = self._run([sys.executable, "-m", "bench.bronze_data", str(target), json.dumps(span)])
            (target / "inputs.json").write_text(made.stdout)
            self.artifacts[span] = target / "inputs.json"
        return self.artifacts[span]

    def lines(self, span: Span) -> Path:
        """The raw lines of a span's artifact."""
        return self.artifact(span).with_name("lines.jsonl")

    def prepare(self, dsn: str, months: Sequence[str] = ()) -> None:
        """Our schema and empty table, as `load` makes them for an artifact without records; and these months."""
        self.ours(dsn, Span(0, 0))
        with psycopg.connect(dsn) as session:
            for month in months:
                session.execute("SELECT create_partition_if_not_exists(%s, %s)", (SOURCE, month))

    def ours(self, dsn: str, span: Span) -> Sample:
        """Our loader, once."""
        asked = {"completeness": 0.99, "validity": 0.999, "freshness_hours": None}
        plain: dict[str, object] = {
            "environment": "development",
            "pipeline_version": "bench",
            "database": dsn,
            "data_dir": str(self.folder),
        }
        settings = plain | {"quality_sla": asked}
        path = self.folder / "settings.json"
        path.write_text(json.dumps(settings))
        return self.timed([sys.executable, "-m", "bench.bronze_ours", str(path), str(self.artifact(span))])

    def timed(self, command: Sequence[str]) -> Sample:
        """A process that prints its rows and seconds."""
        self.server.settle()
        done = self._run(command)
        said = json.loads(done.stdout.splitlines()[-1])
        return Sample(said["rows"], said["seconds"], done.seconds, done.peak)

    def copied(self, dsn: str, what: str, rows: int) -> Sample:
        r"""psql's \copy; its own seconds are the whole process's."""
        self.server.settle()
        psql = str(self.server.programs / "psql")
        done = self._run([psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-c", f"\\copy {what}"])
        return Sample(rows, done.seconds, done.seconds, done.peak)

    def learn(self, span: Span) -> None:
        """Load it once, uncounted, and keep what the others need to write rows of the same width."""
        with self.server.fresh("bench_probe") as dsn:
            self.prepare(dsn)
            self.ours(dsn, span)
            with psycopg.connect(dsn) as session:
                columns = session.execute(
                    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                    " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                    (TABLE,),
                ).fetchall()
                same = [(name, kind) for name, kind in columns if name not in _PER_ROW]
                quoted = ", ".join(f"quote_nullable({name}::text)" for name, _ in same)
                *literals, row = _one(session, f"SELECT {quoted}, to_jsonb(b) FROM {TABLE} AS b LIMIT 1")
            self.constants.write_text(
                json.dumps(
                    {
                        "literals": {n: f"{text}::{kind}" for (n, kind), text in zip(same, literals, strict=True)},
                        "values": {name: row[name] for name, _ in same},
                        "months": span.months,
                    }
                )
            )
            create, rows = self.wide
            create.write_text(f"CREATE TABLE wide ({', '.join(f'{name} {kind}' for name, kind in columns)})")
            self.copied(dsn, f"(SELECT * FROM {TABLE}) TO '{rows}'", span.size)
            self.learnt = _content(dsn)

    def compare(self, dsn: str) -> None:
        """The table holds what it held when `learn` had loaded, or the figure would count for nothing."""
        found = _content(dsn)
        if found != self.learnt:
            raise FailedError(f"{found[0]} rows that are not the {self.learnt[0]} of the first load")

    def _run(self, command: Sequence[str]) -> Measured:
        done = measured(command, REPO, limit=_LIMIT)
        if done is None or done.code:
            raise FailedError(f"{' '.join(command[:4])}: {done.last_line if done else 'took longer than an hour'}")
        return done


def count(dsn: str, table: str = TABLE) -> int:
    """Rows of a table."""
    with psycopg.connect(dsn) as session:
        return int(_one(session, f"SELECT count(*) FROM {table}")[0])


def _content(dsn: str) -> tuple[Any, ...]:
    """(rows, a checksum of what they say that does not depend on their order)."""
    said = "concat_ws('/', raw_id, version, partition_key, raw_data::text)"
    with psycopg.connect(dsn) as session:
        return _one(session, f"SELECT count(*), sum(hashtextextended({said}, 0)) FROM {TABLE}")


def _one(session: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = session.execute(query.encode()).fetchone()
    if row is None:
        raise FailedError("a query that has an answer gave none")
    return row
