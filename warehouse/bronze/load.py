"""Loads one source's records and dead letters into bronze: in one transaction, exactly once, however often it is run.

The way of a record: stage table → is it known, in these bytes or by its identity? → its month. A large load uses several sessions:
they fill new months aside (`months.py`); all the rest, and the commit, is one session's. A small load,
and a session that may only insert, use temporary tables and one session.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import Any

import psycopg
from psycopg import sql

from config.stage import File, Inputs, Outputs, Report
from warehouse.bronze import schema
from warehouse.bronze.access import roles
from warehouse.bronze.connection import Connection, connect, exposed, passing, pause, refused
from warehouse.bronze.ledger import DEAD_LETTERS, LOADER_VERSION
from warehouse.bronze.loading import artifacts, examples, records, reporting, staging
from warehouse.bronze.loading import job as jobs
from warehouse.bronze.loading import statements as do
from warehouse.bronze.loading.corrections import correct
from warehouse.bronze.loading.job import Counts, Job
from warehouse.bronze.loading.letters import bring_in, settle

_log = logging.getLogger(__name__)
_ATTEMPTS = 5
_LARGE = 20_000
"""Records from which on several sessions are worth their start."""
_HELPERS = 2


def load(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Stage function of `bronze.<source>`: roles `records` (its name tells the source), `dead_letters`, `raw`, `calls`; writes no file.

    Settings: environment, quality_sla, pipeline_version, database, data_dir, and those the records were read with, which the rows
    name as their parameters. Environment `example` marks synthetic rows: they make room for real ones, and are refused beside
    them. Unit of the balance: record. Raises WarehouseError.
    """
    return _run(jobs.of(inputs, outputs, settings), settings)


def repair(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Load again what the ledger says is there and is not: compares with the rows themselves and sets the ledger right."""
    return _run(jobs.of(inputs, outputs, settings, repair=True), settings)


def _run(job: Job, settings: Mapping[str, Any]) -> Report:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connect(settings) as session:
                counts, letters = _load(session, job, settings)
                return reporting.report(job, counts, letters, unsafe=exposed(session))
        except psycopg.Error as error:
            # the whole batch again; a commit whose answer was lost is found in the ledger by its load_id
            if attempt == _ATTEMPTS or not passing(error):
                raise refused(error) from error
            _log.info("The load of %s was interrupted (%s) and starts again.", job.source, error.sqlstate or "connection lost")
            pause(min(0.2 * 2**attempt, 3))
    raise AssertionError("unreachable")


def _load(session: Connection, job: Job, settings: Mapping[str, Any]) -> tuple[Counts, Counts]:
    schema.migrate(session)
    _lock(session, job)
    schema.create_source(session, job.source)
    counts = None if job.repair else _known(session, job, job.table, job.records)
    letters = _known(session, job, DEAD_LETTERS, job.letters)
    if counts and letters:
        with session.transaction():
            settle(session, job, None)
        return counts, letters
    with _helpers(session, job, settings, wanted=counts is None) as helpers:
        stage = records.prepare(session, job) if helpers else None
        _create_months(session, job, set(stage.months) if stage else set())
        with session.transaction():
            if not stage and examples.make_room(session, job.source, job.environment):
                _create_months(session, job, set())
            if counts is None:
                if not stage:
                    stage = staging.prepare(session, job.table, [], shared=False)
                    staging.fill(session, stage, job.records, job.profiles)
                counts = records.load(session, helpers, job, stage)
                _write_ledger(session, job, job.table, job.records, counts)
                reporting.judge(session, job, counts, settings)
            letters = letters or _load_letters(session, job)
            settle(session, job, stage)
    _tidy(session, job, counts)
    return counts, letters


def _lock(session: Connection, job: Job) -> None:
    """One loader per table at a time, as long as the session lives; what a killed one left behind is removed."""
    session.execute(do.LOCK_PATIENCE)
    session.execute(do.LOCK, (job.table,))
    if session.execute(do.SCRATCH, (staging.prefix_of(job.table),)).fetchall():
        session.execute(do.HELPERS_GONE, {"table": job.table})
        staging.sweep(session, job.table)
    session.execute(do.TUNE)


def _known(session: Connection, job: Job, target: str, file: File) -> Counts | None:
    row = session.execute(do.FIND_LOAD, (target, job.source, file.sha256, LOADER_VERSION)).fetchone()
    if row is None or (job.environment != examples.EXAMPLE and row[1] == examples.EXAMPLE):
        return None
    read, inserted, duplicate, dead, dead_inserted = row[2:]
    return Counts(read, inserted, duplicate, dead, dead_inserted, ours=row[0] == job.load_id)


@contextmanager
def _helpers(session: Connection, job: Job, settings: Mapping[str, Any], *, wanted: bool) -> Iterator[list[Connection]]:
    """Further sessions for a large load of a session that owns the table; none where one core, or few records, is all there is."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()  # impure: how fast, not what
    owner = session.execute(do.OWNER, (job.table,)).fetchall()[0][0]
    large = wanted and owner and job.rows >= _LARGE and (cores or 1) > 1 and not job.repair
    if not large or examples.must_make_room(session, job.source, job.environment):
        yield []
        return
    with ExitStack() as opened:
        opened.callback(staging.sweep, session, job.table)
        helpers = [opened.enter_context(connect(settings)) for _ in range(_HELPERS)]
        for helper in helpers:
            roles.act_as_owner(helper)
            helper.execute(do.HELP, (job.table,))
            helper.execute(do.TUNE)
        yield helpers


def _create_months(session: Connection, job: Job, aside: set[date]) -> None:
    """Partitions for the records that go through the table itself, in a short transaction: attaching one blocks readers of undated rows."""
    wanted = set(job.months) - aside - records.retired(session, job)
    schema.create_months(session, job.source, wanted - schema.months(session, job.table))


def _load_letters(session: Connection, job: Job) -> Counts:
    read, inserted = bring_in(session, job.letters, job.constants)
    counts = Counts(read, inserted, read - inserted, 0, inserted)
    _write_ledger(session, job, DEAD_LETTERS, job.letters, counts)
    return counts


def _write_ledger(session: Connection, job: Job, target: str, file: File, counts: Counts) -> None:
    if job.repair and target == job.table:
        correct(session, job, counts)
    session.execute(
        do.LEDGER,
        {
            **job.constants,
            "loader_version": _version(session, job, target, file),
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
            "partitions": sorted(job.months) if target == job.table else [],
        },
    )
    months = {month: net for month, net in counts.months.items() if any(net)}
    rows, sums = [net[0] for net in months.values()], [net[1] for net in months.values()]
    terms = {"load_id": job.load_id, "source": job.source, "months": list(months), "rows": rows, "sums": sums}
    session.execute(do.LEDGER_MONTHS, terms)


def _version(session: Connection, job: Job, target: str, file: File) -> str:
    """A repair of a load the ledger knows stands beside it."""
    known = job.repair and session.execute(do.FIND_LOAD, (target, job.source, file.sha256, LOADER_VERSION)).fetchone()
    return f"{LOADER_VERSION}/repair/{job.load_id}" if known else LOADER_VERSION


def _tidy(session: Connection, job: Job, counts: Counts) -> None:
    """After the commit: statistics after a large load, and the examples of other sources."""
    if counts.ours and counts.inserted >= _LARGE:
        session.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(f"{job.table}_known")))
    if job.environment != examples.EXAMPLE:
        examples.sweep(session, job.source)
