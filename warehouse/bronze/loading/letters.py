"""Dead letters of a load: those of ingestion come in; those there are become refused again, moved in or obsolete. By set, in its commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from psycopg import sql

from config.stage import File
from config.tables import read_batches
from warehouse.bronze.connection import Connection
from warehouse.bronze.loading import artifacts
from warehouse.bronze.loading import statements as do
from warehouse.bronze.loading.job import Job
from warehouse.bronze.loading.staging import Stage

_CHUNK = 10_000
_KEY = ("raw_sha256", "record_index", "reason", "raw_artifact", "position")
"""What tells a letter from all others of its source."""

_UNSETTLED = """
SELECT EXISTS (SELECT FROM bronze_dead_letters WHERE source = %(source)s AND file_hash = ANY(%(files)s)
               AND status IN ('open', 'obsolete') AND COALESCE(tried_by, pipeline_run_id) <> %(run_id)s)
"""
_REFUSED = """
SELECT a.file_hash, r.record_index, r.reason, a.file_path, r.position FROM {refused} AS r JOIN {profiles} AS a USING (profile)
"""
_REFUSED_BEFORE = """
SELECT file_hash, record_index, error_class, file_path, position FROM bronze_dead_letters
WHERE source = %(source)s AND file_hash = ANY(%(files)s) AND stage = 'bronze' AND status = 'open'
"""
_REFUSE = "SELECT bronze_refuse_letters(%s, %s, %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[])"
_SETTLE = "SELECT bronze_settle_letters(%(source)s, %(run_id)s, %(files)s::text[])"


def bring_in(session: Connection, letters: File, terms: Mapping[str, Any]) -> tuple[int, int]:
    """The letters of ingestion into their table; what is there stays as it is. `terms`: source, target, environment, run_id.

    Gives (how many there are, how many were not there).
    """
    session.execute(do.STAGE_LETTERS)
    read = 0
    with session.cursor().copy(do.COPY_LETTERS) as copy:
        for row in artifacts.letter_rows(letters):
            copy.write_row(row)
            read += 1
    return read, session.execute(do.LETTERS, {**terms, "lineage_id": artifacts.lineage_id(letters)}).rowcount


def settle(session: Connection, job: Job, stage: Stage | None) -> None:
    """Say of each open letter of the raw artifacts in force what this load has made of it. In its transaction, after rows and letters.

    `stage`: where the load staged its records; None when they had been loaded before and were not read again: then the database
    refuses what it refused. A letter of any other raw artifact stays as it is. Within one run a letter counts one attempt.
    """
    run_id = job.constants["run_id"]
    terms = {"source": job.source, "run_id": run_id, "files": [raw.sha256 for raw in job.raws]}
    if not session.execute(_UNSETTLED, terms).fetchall()[0][0]:
        return
    refused_keys = sql.SQL(_REFUSED).format(**stage.ground()) if stage else sql.SQL(_REFUSED_BEFORE)
    again = session.execute(refused_keys, terms).fetchall()
    for columns in chain(_in_chunks(again), _ingestion_keys(job.letters)):
        session.execute(_REFUSE, (job.source, run_id, *columns))
    session.execute(_SETTLE, terms)


def _in_chunks(keys: Sequence[tuple[Any, ...]]) -> Iterator[list[list[Any]]]:
    for at in range(0, len(keys), _CHUNK):
        yield [list(column) for column in zip(*keys[at : at + _CHUNK], strict=True)]


def _ingestion_keys(letters: File) -> Iterator[list[list[Any]]]:
    """As the loader writes them: a text of PostgreSQL has no NUL."""
    for batch in read_batches(letters.path, list(_KEY), _CHUNK):
        *columns, positions = (batch.column(name).to_pylist() for name in _KEY)
        yield [*columns, [position.replace("\0", "") for position in positions]]
