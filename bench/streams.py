"""Killed after every page: events from S3 and Kinesis (moto's server) and the changes of a real PostgreSQL, in whole processes.

Each attempt is killed by SIGKILL right behind a page it has committed, until one gets through. Then every event and every change must be
there, none of them twice. A snapshot of a database that is cut short is taken anew, so its attempts are killed one page later each time;
those pages come again, and the column says so.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
import pyarrow.parquet as pq

from bench import streams_child
from bench.harness import Goal, Result, options, tell

_PRELOADED = ["bench.streams_child", "main", "psycopg", "pyarrow.parquet", "ingestion.records", "scripts.project"]
_ACCESS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "something", "AWS_REGION": "us-east-1"}
_MOST = 500


class Remote(NamedTuple):
    """What a source reads, and what must come of it."""

    source: str
    env: dict[str, str]
    expected: Counter[str]
    """Record → how often it must be there."""
    then: Callable[[], None] | None = None
    """What happens there once all was read; it is read again, and killed again, after it."""


class Row(NamedTuple):
    """What came of it."""

    source: str
    pages: int
    kills: int
    lost: int
    doubled: int
    again: int
    """Pages fetched though they were held."""
    seconds: float


def main() -> None:
    """Kill, go on, count; for each of the three."""
    asked = options(__doc__ or "")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with tempfile.TemporaryDirectory() as folder:
        rows = [_killed(context, remote, Path(folder) / remote.source) for remote in _remotes(Path(folder), asked.quick)]
    print(f"  {'source':<12}{'pages':>8}{'kills':>8}{'lost':>8}{'doubled':>9}{'fetched again':>15}{'seconds':>10}")
    for row in rows:
        print(f"  {row.source:<12}{row.pages:>8}{row.kills:>8}{row.lost:>8}{row.doubled:>9}{row.again:>15}{row.seconds:>10.1f}")
    results = [
        Result(name, row.source, float(getattr(row, name)), "s" if name == "seconds" else "")
        for row in rows
        for name in ("pages", "kills", "lost", "doubled", "again", "seconds")
    ]
    goals = [Goal("records lost, doubled", "0, 0", f"{sum(r.lost for r in rows)}, {sum(r.doubled for r in rows)}", _none(rows))]
    goals.append(
        Goal(
            "kills", "one behind every page", str(sum(r.kills for r in rows)), all(r.kills >= r.pages - r.again - 1 for r in rows)
        )
    )
    tell("streams", results, goals, asked.json, len(results))


def _none(rows: list[Row]) -> bool:
    return not any(row.lost or row.doubled for row in rows)


def _killed(context: ForkServerContext, remote: Remote, data: Path) -> Row:
    began = time.monotonic()
    kills = _until_it_gets_through(context, remote, data)
    if remote.then is not None:
        remote.then()
        kills += _until_it_gets_through(context, remote, data)
    took = time.monotonic() - began
    found = _found(data, remote.source)
    lost, more = sum((remote.expected - found).values()), sum((found - remote.expected).values())
    pages = sorted((data / "raw" / remote.source).rglob("[0-9]*-*.*"))
    return Row(remote.source, len(pages), kills, lost, more, _again(pages), took)


def _until_it_gets_through(context: ForkServerContext, remote: Remote, data: Path) -> int:
    """How many attempts were killed."""
    for attempt in range(1, _MOST):
        code = _attempt(context, remote, data, attempt if _cut_short(data, remote) else 1)
        if code == 0:
            return attempt - 1
        if code != -signal.SIGKILL:
            raise SystemExit(f"{remote.source} failed: {(data / 'log').read_text()[-2000:]}")
    raise SystemExit(f"{remote.source} never got through.")


def _attempt(context: ForkServerContext, remote: Remote, data: Path, pages: int) -> int:
    """The exit code of one run; minus the signal where one ended it."""
    data.mkdir(exist_ok=True)
    env = {"DATA_DIR": str(data), **remote.env}
    arguments = [remote.source, "--until-stage", "ingestion", "--jobs", "1"]
    process = context.Process(target=streams_child.run, args=(arguments, env, pages, str(data / "log")))
    process.start()
    process.join()
    return process.exitcode or 0


def _cut_short(data: Path, remote: Remote) -> bool:
    """Whether a snapshot is not whole yet."""
    if remote.source != "cdc" or not (data / "registry.db").exists():
        return remote.source == "cdc"
    with closing(sqlite3.connect(data / "registry.db")) as registry:
        row = registry.execute("SELECT state FROM stream WHERE node = 'ingestion.cdc.extract'").fetchone()
    return row is None or "lsn" not in json.loads(row[0] or "{}")


def _found(data: Path, source: str) -> Counter[str]:
    table = pq.read_table(data / f"records/{source}.parquet", columns=["raw_id", "raw"]).to_pylist()
    return Counter(_told(row["raw_id"], json.loads(row["raw"]).get("row")) for row in table)


def _told(raw_id: str, row: dict[str, object] | None) -> str:
    """What makes a record: of a database's row the version it says of itself."""
    return raw_id if row is None else f"{raw_id} {row.get('version', 'gone')}"


def _again(pages: list[Path]) -> int:
    """Pages that hold what one before them held."""
    seen: set[bytes] = set()
    again = 0
    for page in pages:
        body = page.read_bytes()
        first = body.partition(b"\n")[2] if page.suffix == ".copy" else body
        again += bool(first) and first in seen
        seen.add(first)
    return again


def _remotes(folder: Path, quick: bool) -> Iterator[Remote]:
    from tests.cdc_bench import logical

    with _moto() as endpoint:
        yield _objects(endpoint, 4 if quick else 20)
        yield _stream(endpoint, 3_000 if quick else 12_000)
    with logical(folder / "server") as dsn:
        yield _database(dsn, 1_000 if quick else 2_500)


@contextmanager
def _moto() -> Iterator[str]:
    from tests.s3_bench import s3_server

    with s3_server() as endpoint:
        yield endpoint


def _objects(endpoint: str, count: int) -> Remote:
    """So many objects of 250 events; neighbours share fifty, as redelivered batches do."""
    from tests.s3_bench import bucket
    from tests.streams_bench import event, ids_of, object_of, put

    name = bucket(endpoint)
    for number in range(count):
        day = f"2025-03-{1 + number % 28:02}"
        events = (event(n, ts_utc=f"{day}T12:00:00Z") for n in range(200 * number, 200 * number + 200))
        shared = (event(200 * number - n, ts_utc=f"2025-03-{1 + (number - 1) % 28:02}T12:00:00Z") for n in range(1, 51))
        put(endpoint, name, f"events/{number:04}.parquet", _parquet([*events, *(shared if number else ())], object_of))
    env = {**_ACCESS, "AWS_ENDPOINT_URL": endpoint, "S3_EVENTS_URL": f"s3://{name}/events"}
    return Remote("s3_events", env, Counter(ids_of(range(200 * count))))


def _parquet(events: list[dict[str, object]], object_of: Callable[..., bytes]) -> bytes:
    """One object, though its events are of two days."""
    import pyarrow as pa

    days: dict[object, list[dict[str, object]]] = {}
    for one in events:
        days.setdefault(one["ts_utc"], []).append(one)
    tables = [pq.read_table(pa.BufferReader(object_of(*of_day))) for of_day in days.values()]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.concat_tables(tables), sink)
    return bytes(sink.getvalue().to_pybytes())


def _stream(endpoint: str, count: int) -> Remote:
    """So many events over two shards, a tenth of them delivered twice."""
    import boto3

    from tests.streams_bench import event, ids_of, text

    client = boto3.client(
        "kinesis",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="someone",
        aws_secret_access_key="something",
    )
    client.create_stream(StreamName="events", ShardCount=2)
    messages = [{"Data": text(event(n)), "PartitionKey": f"{n}"} for n in range(count)]
    messages += messages[::10]
    for at in range(0, len(messages), 500):
        client.put_records(StreamName="events", Records=messages[at : at + 500])
    env = {**_ACCESS, "AWS_ENDPOINT_URL": endpoint, "KINESIS_STREAM": "events"}
    return Remote("kinesis", env, Counter(ids_of(range(count))))


def _database(dsn: str, count: int) -> Remote:
    """So many rows before the slot is made; later as many new ones, then every row is changed, every fifth deleted, two keys move."""

    def change() -> None:
        with psycopg.connect(dsn, autocommit=True) as session:
            for statement in _CHANGES:
                session.execute(statement, {"count": count})

    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("CREATE TABLE r (id int PRIMARY KEY, version int DEFAULT 1, note text)")
        session.execute("INSERT INTO r (id) SELECT generate_series(1, %s)", (count,))
        session.execute("CREATE PUBLICATION pdp FOR TABLE r WITH (publish_via_partition_root = true)")
        session.execute("SELECT pg_create_logical_replication_slot('pdp', 'pgoutput')")
    told = Counter(f"public.r:{n} {version}" for n in range(1, 2 * count + 1) for version in (1, 2))
    told += Counter(f"public.r:{n} gone" for n in range(5, 2 * count + 1, 5))
    for n in (1, 2):
        told += Counter([f"public.r:{n} gone", f"public.r:{n + 3 * count} 2"])
    return Remote("cdc", {"CDC_DATABASE_URL": dsn, "CDC_TABLES": '["r"]'}, told, change)


_CHANGES = (
    "INSERT INTO r (id) SELECT generate_series(%(count)s + 1, 2 * %(count)s)",
    "UPDATE r SET version = 2",
    "DELETE FROM r WHERE id %% 5 = 0 AND %(count)s > 0",
    "UPDATE r SET id = id + 3 * %(count)s WHERE id < 3",
)


if __name__ == "__main__":
    os.umask(0o077)
    main()
