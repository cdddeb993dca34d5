"""Makes `silver.records` in PostgreSQL say what the file of unified records says: in one transaction, however often it is run.

COPY into a temporary table, then only what differs is written: new rows inserted, changed ones updated, those that are no more in the
file removed. The row of `silver.runs` with what was done is written in the same transaction; memory holds one batch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import psycopg
import pyarrow.parquet as pq

from config.errors import WarehouseError
from config.stage import Finding, Inputs, Outputs, Report
from config.tables import read_batches
from warehouse.bronze import schema as bronze
from warehouse.bronze.connection import Connection, connect, exposed, passing, pause, refused
from warehouse.silver import schema
from warehouse.silver import statements as do
from warehouse.silver.ledger import LOADER_VERSION
from warehouse.silver.runs import note

_log = logging.getLogger(__name__)
_ATTEMPTS = 5
_BATCH = 4_096
_EXAMPLE = "example"


class Done(NamedTuple):
    """What a load did; the counts of rows of the file add up to `came`."""

    came: int
    inserted: int
    updated: int
    unchanged: int
    deleted: int
    """Rows the source has marked as gone since."""
    removed: int
    """Rows of the table that are in the file no more."""
    retired: int
    """Rows of months that were taken out of bronze."""
    ours: bool = True
    """False: it had been loaded before."""


def load(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Stage function of `silver.load`: roles `records` and `rejected` of `silver.unify`; writes no file.

    Settings: environment, database, data_dir. Examples make room for real records and are refused beside them. Unit of the balance:
    record. Raises WarehouseError.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with connect(settings) as session:
                return _report(_load(session, inputs, outputs, settings["environment"]), unsafe=exposed(session))
        except psycopg.Error as error:
            # all of it again; a commit whose answer was lost is found by its attempt
            if attempt == _ATTEMPTS or not passing(error):
                raise refused(error) from error
            _log.info("The load of silver was interrupted (%s) and starts again.", error.sqlstate or "connection lost")
            pause(min(0.2 * 2**attempt, 3))
    raise AssertionError("unreachable")


def _load(session: Connection, inputs: Inputs, outputs: Outputs, environment: str) -> Done:
    bronze.migrate(session)  # what was retired is asked of it
    schema.migrate(session)
    records = inputs.one("records")
    with session.transaction():
        session.execute(do.PATIENCE)
        session.execute(do.LOCK)
        if (known := _known(session, records.sha256, environment, outputs.attempt_id)) is not None:
            return known
        session.execute(do.INCOMING)
        came = _send(session, records.path)
        retired = session.execute(do.RETIRED).rowcount
        session.execute(do.ANALYZE)
        inserted, updated, unchanged, deleted = session.execute(do.COMPARE).fetchall()[0]
        removed = session.execute(do.REMOVE).rowcount
        session.execute(do.UPSERT)
        done = Done(came, inserted, updated, unchanged, deleted, removed, retired)
        rejected = pq.read_metadata(inputs.one("rejected").path).num_rows
        names = {"run_id": outputs.run_id, "attempt_id": outputs.attempt_id, "environment": environment}
        note(session, "load", **done._asdict(), **names, file_hash=records.sha256, rejected=rejected)
    return done


def _known(session: Connection, sha256: str, environment: str, attempt_id: str) -> Done | None:
    """What the load of this very file did, if it is what the table holds. Raises WarehouseError for examples beside real records."""
    newest = session.execute(do.NEWEST).fetchall()
    if not newest:
        return None
    file_hash, version, was, attempt, number = newest[0]
    if environment == _EXAMPLE and was != _EXAMPLE and session.execute(do.ANY).fetchall()[0][0]:
        raise WarehouseError(
            "The database holds real records; example records do not take their place.",
            "Load examples into another database or another DATA_DIR.",
        )
    if (file_hash, version, was == _EXAMPLE) != (sha256, LOADER_VERSION, environment == _EXAMPLE):
        return None
    return Done._make((*session.execute(do.COUNTS, (number,)).fetchall()[0], attempt == attempt_id))


def _send(session: Connection, path: str) -> int:
    sent = 0
    with session.cursor().copy(do.COPY) as copy:
        for batch in read_batches(path, list(do.COLUMNS), _BATCH, threads=False):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                copy.write_row(row)
            sent += batch.num_rows
    return sent


def _report(done: Done, *, unsafe: bool) -> Report:
    written = done.inserted + done.updated + done.deleted
    fates = {"accepted": written, "unused:unchanged": done.unchanged, "unused:retired": done.retired}
    findings: list[Finding] = []
    if done.ours and done.removed:
        message = "Rows whose records are no more were taken out of silver.records."
        findings.append({"code": "silver_removed", "message": message, "count": done.removed})
    if unsafe:
        message = "The database is reached over the internet unencrypted; set sslmode."
        findings.append({"code": "connection_not_encrypted", "message": message})
    return {
        "rows": {"silver.records": written if done.ours else 0},
        "balance": {"unit": "record", "came": done.came, "fates": fates if done.ours else {"unused:already_loaded": done.came}},
        "findings": findings,
    }
