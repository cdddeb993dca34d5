"""Loads one source's records and dead letters into bronze: in one transaction, exactly once, however often it is run."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from config.errors import WarehouseError
from config.stage import File, Finding, Inputs, Outputs, Report
from warehouse.bronze import artifacts, examples, schema
from warehouse.bronze import statements as do
from warehouse.bronze.connection import Connection, connect, exposed, pause, refused
from warehouse.bronze.ledger import DEAD_LETTERS, LOADER_VERSION, source_of

_log = logging.getLogger(__name__)
_ATTEMPTS = 5
_PASSING = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03"})
_DATA = ("22", "54")
"""SQLSTATE classes of a value PostgreSQL does not take: data exception, program limit."""


@dataclass(frozen=True)
class _Job:
    """One load: what, for whom, with which constants in its rows."""

    source: str
    table: str
    environment: str
    records: File
    letters: File
    raws: list[File]
    rows: int
    months: list[Any]
    constants: dict[str, Any]
    load_id: uuid.UUID = field(default_factory=uuid.uuid4)  # impure: names one load in the ledger


@dataclass
class _Counts:
    """What one ledger row says."""

    read: int
    inserted: int
    duplicate: int
    dead: int
    dead_inserted: int
    hash_sum: int = 0
    """Order-free checksum of the inserted rows' content hashes."""
    ours: bool = True
    """False: it had been loaded before."""
    reasons: dict[str, int] = field(default_factory=dict)


def load(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Stage function of `bronze.<source>`: roles `records` (its name tells the source), `dead_letters`, `raw`; writes no file.

    Settings: environment, pipeline_version, database, data_dir (and environment `example` marks synthetic rows: they make room
    for real ones, and are refused beside them). Unit of the balance: record. Raises WarehouseError.
    """
    job = _job(inputs, outputs, settings)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connect(settings) as session:
                records, letters = _load(session, job)
                return _report(job, records, letters, exposed(session))
        except psycopg.Error as error:
            # the whole batch again; a commit whose answer was lost is found in the ledger by its load_id
            if attempt == _ATTEMPTS or not _passing(error):
                raise refused(error) from None
            _log.info("The load of %s was interrupted (%s) and starts again.", job.source, error.sqlstate or "connection lost")
            pause(min(0.2 * 2**attempt, 3))
    raise AssertionError("unreachable")


def _job(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> _Job:
    records = inputs.one("records")
    try:
        source = source_of(records.name)
    except ValueError:
        raise WarehouseError(
            "The records' name gives no name for a table.",
            "A source is named [a-z][a-z0-9_]*, 41 letters at most, none reserved.",
        ) from None
    months, rows = artifacts.months(records)
    arrived = datetime.fromtimestamp(records.arrived, UTC) if records.arrived else None
    constants = {
        "source": source,
        "target": f"bronze_{source}",
        "environment": settings["environment"],
        "run_id": outputs.run_id,
        "attempt_id": outputs.attempt_id,
        "pipeline_version": settings["pipeline_version"],
        "parameters": json.dumps({"loader_version": LOADER_VERSION, "attempt_id": outputs.attempt_id}),
        "lineage_id": artifacts.lineage_id(records),
        "lineage_source": f"ingestion.{source}.records",
        "lineage_timestamp": arrived,
        "lineage_metadata": json.dumps({"records_sha256": records.sha256}),
        "started": datetime.now(UTC),  # impure: when the load was made is what the ledger keeps
        "steps": json.dumps([f"ingestion.{source}.extract", f"ingestion.{source}.records", f"bronze.{source}"]),
        "cap": artifacts.LETTER_CAP,
        "loader_version": LOADER_VERSION,
    }
    return _Job(
        source,
        f"bronze_{source}",
        settings["environment"],
        records,
        inputs.one("dead_letters"),
        inputs.many("raw") if "raw" in inputs.roles() else [],
        rows,
        sorted(months),
        constants,
    )


def _load(session: Connection, job: _Job) -> tuple[_Counts, _Counts]:
    schema.migrate(session)
    schema.create_source(session, job.source)
    known = _known(session, job, job.table, job.records)
    if known is None:  # months in a short transaction of their own: attaching one blocks readers of undated rows
        with session.transaction():
            _lock(session, job)
            schema.create_months(session, job.source, job.months)
    with session.transaction():
        if _lock(session, job) or examples.make_room(session, job.source, job.environment):
            schema.create_months(session, job.source, job.months)
        records = _known(session, job, job.table, job.records) or _load_records(session, job)
        letters = _known(session, job, DEAD_LETTERS, job.letters) or _load_letters(session, job)
    if job.environment != examples.EXAMPLE:
        examples.sweep(session, job.source)
    return records, letters


def _lock(session: Connection, job: _Job) -> bool:
    """One loader per table at a time, to the end of the transaction. True when the table was gone and had to be made again:

    it held nothing but examples, and another source's load was the first real one.
    """
    session.execute(do.LOCK_PATIENCE)
    session.execute(do.LOCK, (job.table,))
    session.execute(do.TUNE)
    return schema.create_source(session, job.source)


def _known(session: Connection, job: _Job, target: str, file: File) -> _Counts | None:
    row = session.execute(do.FIND_LOAD, (target, job.source, file.sha256, LOADER_VERSION)).fetchone()
    if row is None:
        return None
    read, inserted, duplicate, dead, dead_inserted = row[2:]
    return _Counts(read, inserted, duplicate, dead, dead_inserted, ours=row[0] == job.load_id)


def _load_records(session: Connection, job: _Job) -> _Counts:
    raws = artifacts.Raws(job.raws)
    session.execute(do.STAGE)
    _copy(session, do.COPY_RECORDS, artifacts.record_rows(job.records, raws))
    _copy(session, do.COPY_FILES, raws.rows())
    session.execute(do.ANALYZE)
    try:
        with session.transaction():
            inserted, hash_sum = _insert(session, job)
    except (psycopg.DataError, psycopg.OperationalError) as error:
        if (error.sqlstate or "")[:2] not in _DATA:
            raise
        session.execute(do.REFUSE)
        inserted, hash_sum = _insert(session, job)
    dead_inserted = session.execute(do.REFUSED_LETTERS, job.constants).rowcount
    reasons: dict[str, int] = dict(session.execute(do.REFUSED_COUNTS).fetchall())
    dead = sum(reasons.values())
    counts = _Counts(job.rows, inserted, job.rows - inserted - dead, dead, dead_inserted, hash_sum, reasons=reasons)
    _write_ledger(session, job, job.table, job.records, counts)
    return counts


def _insert(session: Connection, job: _Job) -> tuple[int, int]:
    table = sql.Identifier(job.table)
    session.execute(do.KEYS)
    session.execute(sql.SQL(do.FRESH).format(table=table))
    inserted = session.execute(sql.SQL(do.INSERT).format(table=table), job.constants).rowcount
    fresh, hash_sum = _one(session, do.SUMS)
    if fresh != inserted:
        raise WarehouseError(f"The load of {job.source} lost count of its rows.", "Report this; nothing was loaded.")
    return inserted, hash_sum


def _load_letters(session: Connection, job: _Job) -> _Counts:
    session.execute("DROP TABLE IF EXISTS pg_temp.bronze_stage, pg_temp.bronze_stage_files, pg_temp.bronze_stage_letters")
    session.execute(do.STAGE)
    read = _copy(session, do.COPY_LETTERS, artifacts.letter_rows(job.letters))
    inserted = session.execute(do.LETTERS, {**job.constants, "lineage_id": artifacts.lineage_id(job.letters)}).rowcount
    counts = _Counts(read, inserted, read - inserted, 0, inserted)
    _write_ledger(session, job, DEAD_LETTERS, job.letters, counts)
    return counts


def _write_ledger(session: Connection, job: _Job, target: str, file: File, counts: _Counts) -> None:
    session.execute(
        do.LEDGER,
        {
            **job.constants,
            "target": target,
            "file_hash": file.sha256,
            "file_path": file.name,
            "file_size": file.size,
            "lineage_id": artifacts.lineage_id(file),
            "load_id": job.load_id,
            "read": counts.read,
            "inserted": counts.inserted,
            "duplicate": counts.duplicate,
            "dead": counts.dead,
            "dead_inserted": counts.dead_inserted,
            "hash_sum": counts.hash_sum,
            "partitions": job.months if target == job.table else [],
        },
    )


def _copy(session: Connection, statement: str, rows: Iterable[artifacts.Row]) -> int:
    count = 0
    with session.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def _one(session: Connection, query: str | sql.Composed, parameters: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
    row = session.execute(query, parameters).fetchone()
    if row is None:
        raise WarehouseError("PostgreSQL gave no answer to a question that has one.", "Run again.")
    return row


def _passing(error: psycopg.Error) -> bool:
    """Worth the whole batch again: deadlock, serialization, lock timeout, server going or gone, connection lost."""
    code = error.sqlstate
    if code is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return code in _PASSING or code.startswith("08")


def _report(job: _Job, records: _Counts, letters: _Counts, unsafe: bool) -> Report:
    if records.ours:
        fates = {"accepted": records.inserted, "duplicate": records.duplicate}
        known = sum(records.reasons.values())
        fates |= {f"rejected:{reason}": count for reason, count in records.reasons.items()}
        if records.dead - known:
            fates["rejected:refused_by_database"] = records.dead - known
    else:
        fates = {"unused:already_loaded": records.read}
    findings: list[Finding] = []
    if records.dead:
        findings.append(
            {"code": "refused_by_database", "message": "Records PostgreSQL cannot hold are dead letters.", "count": records.dead}
        )
    if unsafe:
        findings.append(
            {
                "code": "connection_not_encrypted",
                "message": "The database is reached over the internet unencrypted; set sslmode.",
            }
        )
    return {
        "rows": {job.table: records.inserted if records.ours else 0, DEAD_LETTERS: letters.dead_inserted if letters.ours else 0},
        "balance": {"unit": "record", "came": records.read, "fates": fates},
        "findings": findings,
    }
