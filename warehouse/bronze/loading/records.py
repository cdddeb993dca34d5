"""The records of one load, from the stage into their table: what is new, which version it is, where it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date

import psycopg
from psycopg import sql

from config.errors import WarehouseError
from warehouse.bronze import schema
from warehouse.bronze.connection import Connection
from warehouse.bronze.loading import months, staging
from warehouse.bronze.loading import statements as do
from warehouse.bronze.loading.corrections import VERSIONS
from warehouse.bronze.loading.job import Counts, Job
from warehouse.bronze.loading.months import Counts as MonthCounts
from warehouse.bronze.loading.parallel import cancelled_on_error
from warehouse.bronze.loading.staging import Stage

UNDATED = date(1, 1, 1)
"""The partition key of rows without a time."""
_WORTH_A_TABLE = 5_000
"""Records from which on a new month is filled aside."""


def prepare(session: Connection, job: Job) -> Stage:
    """Stage all records where several sessions see them; decide which go to new months, and move what needs care to the rest."""
    there = schema.months(session, job.table) | retired(session, job)
    new = sorted(month for month, count in job.months.items() if month not in there and count >= _WORTH_A_TABLE)
    stage = staging.prepare(session, job.table, new, shared=True)
    staging.fill(session, stage, job.records, job.profiles)
    if new:
        with session.transaction():
            bulk = _union([sql.SQL(do.KNOWN_MONTH).format(stage=stage.month(m)) for m in new])
            everything = _union([sql.SQL(do.KNOWN_MONTH).format(stage=t) for t in (stage.name("rest"), *map(stage.month, new))])
            names = {"bulk": bulk, "all": everything, "known": _known(job)}
            session.execute(sql.SQL(do.SPECIAL).format(**names))
            if session.execute("SELECT EXISTS (SELECT FROM bronze_special)").fetchall()[0][0]:
                for month in new:
                    session.execute(sql.SQL(do.SPARE).format(stage=stage.month(month), rest=stage.name("rest")))
                stage = stage._replace(months=[m for m in new if _holds(session, stage.month(m))])
    return stage


def retired(session: Connection, job: Job) -> set[date]:
    """Months retention took out: their records stay out."""
    return {month for (month,) in session.execute(do.RETIRED, (job.source,)).fetchall()}


def load(session: Connection, helpers: Sequence[Connection], job: Job, stage: Stage) -> Counts:
    """Everything that is staged, in the session's transaction; the helpers fill the new months meanwhile."""
    with _filling(helpers, stage, job) as filling:
        _sort_out(session, job, stage)
        found = _insert(session, job, stage, late=False)
        sources = [sql.SQL(do.KNOWN_REST).format(rest=stage.name("rest"))]
        sources += [sql.SQL(do.KNOWN_MONTH).format(stage=stage.month(month)) for month in stage.months]
        session.execute(sql.SQL(do.KNOWN).format(known=_known(job), all=_union(sources)))
        found = _sum(found, filling.result())
    months.attach(session, stage, job.source)
    moved = _dated(session, job)
    if stage.months:
        found = _sum(found, _insert(session, job, stage, late=True))
    session.execute(do.REVISIONS, job.constants)
    return _counted(session, job, stage, found, moved)


def _sort_out(session: Connection, job: Job, stage: Stage) -> None:
    """Of the rest: what is new, which of it is known by identity, and the version of each."""
    names = {"table": sql.Identifier(job.table), "known": _known(job), **stage.ground()}
    session.execute(sql.SQL(do.NEW).format(repair=sql.Literal(job.repair), source=sql.Literal(job.source), **names))
    try:
        with session.transaction():
            session.execute(sql.SQL(do.KEYS).format(**names))
    except (psycopg.DataError, psycopg.OperationalError) as error:
        if not months.refuses_data(error):
            raise
        months.refuse(session, stage, stage.name("rest"), do.ONLY_NEW)
        session.execute(sql.SQL(do.KEYS).format(**names))
    seen = session.execute(do.ANY_SEEN).fetchall()[0][0]
    session.execute(sql.SQL(do.EXISTING).format(limit=sql.SQL("" if seen else "LIMIT 0"), **names))
    session.execute(do.FRESH)
    if job.repair:
        session.execute(VERSIONS, job.constants)


def _dated(session: Connection, job: Job) -> MonthCounts:
    """Undated rows whose time is known now go to their month."""
    session.execute(sql.SQL(do.DATED).format(table=sql.Identifier(job.table)))
    rows = session.execute(do.MOVED, job.constants).fetchall()
    moved: MonthCounts = {month: (count, int(hashes)) for month, count, hashes in rows}
    if moved:
        moved[UNDATED] = (-sum(c for c, _ in moved.values()), -sum(h for _, h in moved.values()))
    return moved


def _holds(session: Connection, table: sql.Identifier) -> bool:
    return bool(session.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table)).fetchall()[0][0])


def _insert(session: Connection, job: Job, stage: Stage, *, late: bool) -> MonthCounts:
    names = {"target": sql.Identifier(job.table), **stage.ground()}
    rows = session.execute(
        sql.SQL(do.INSERT).format(**names), {**job.constants, "late": stage.months, "now_late": late}
    ).fetchall()
    return {month: (count, int(hashes)) for month, count, hashes in rows}


def _counted(session: Connection, job: Job, stage: Stage, found: MonthCounts, moved: MonthCounts) -> Counts:
    names = {"known": _known(job), **stage.ground()}
    reasons: dict[str, int] = dict(session.execute(sql.SQL(do.REFUSED_COUNTS).format(**names)).fetchall())
    letters = 0
    if reasons:
        if stage.months:  # elsewhere what was refused never came to be known
            session.execute(sql.SQL(do.UNKNOWN).format(**names))
        letters = session.execute(sql.SQL(do.REFUSED_LETTERS).format(**names), job.constants).rowcount
    inserted, dead = sum(rows for rows, _ in found.values()), sum(reasons.values())
    duplicate = job.rows - inserted - dead
    if duplicate < 0:
        raise WarehouseError(f"The load of {job.source} lost count of its rows.", "Report this; nothing was loaded.")
    hash_sum = sum(hashes for _, hashes in found.values())
    return Counts(job.rows, inserted, duplicate, dead, letters, hash_sum, reasons=reasons, months=_sum(found, moved))


@contextmanager
def _filling(helpers: Sequence[Connection], stage: Stage, job: Job) -> Iterator[Future[MonthCounts]]:
    """The new months are filled while the block runs; when it fails, they are not."""
    if not stage.months:
        done: Future[MonthCounts] = Future()
        done.set_result({})
        yield done
        return
    with ThreadPoolExecutor(1) as pool, cancelled_on_error(helpers):
        yield pool.submit(months.fill, helpers, stage, job.table, job.constants)


def _sum(*parts: MonthCounts) -> MonthCounts:
    total: MonthCounts = {}
    for part in parts:
        for month, (rows, hashes) in part.items():
            before = total.get(month, (0, 0))
            total[month] = (before[0] + rows, before[1] + hashes)
    return total


def _known(job: Job) -> sql.Identifier:
    return sql.Identifier(f"{job.table}_known")


def _union(parts: list[sql.Composed]) -> sql.Composed:
    return sql.SQL(" UNION ALL ").join(parts)
