"""Do the records in force, the ledger and the rows agree? Compared set-based on one snapshot per source; changes nothing.

Memory is bounded: the records go through COPY into a temporary table, and PostgreSQL compares. A load beside it does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from typing import Any, NamedTuple, TypeVar

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from config.errors import UsageError, WarehouseError
from config.stage import File
from config.tables import read_batches
from warehouse.bronze import schema
from warehouse.bronze.checking import reconcile_statements as ask
from warehouse.bronze.checking.differences import UNDATED, Difference
from warehouse.bronze.checking.status import has_ledger, is_current
from warehouse.bronze.connection import Connection, refused
from warehouse.bronze.ledger import DEAD_LETTERS, LOADER_VERSION
from warehouse.bronze.loading.artifacts import FIRST_YEAR, LAST_YEAR
from warehouse.bronze.loading.corrections import LETTERS
from warehouse.bronze.loading.staging import prefix_of
from warehouse.bronze.pool import readers

InForce = Mapping[str, Sequence[File]]
"""A source's artifacts in force, role → files: `records` and `dead_letters` (one each), `raw`, `calls`."""

T = TypeVar("T")

_AT_ONCE = 2
_TEXT_CAP = (1 << 28) - 1  # bytes; jsonb takes no longer string
_DATA = ("22", "54")
"""SQLSTATE classes of a value PostgreSQL does not take: data exception, program limit."""


class Outcome(NamedTuple):
    """How one source stands."""

    source: str
    rows: int
    records: int | None
    """In the records in force; None without any."""
    loads: int
    months: int
    """Partitions with rows; undated rows count as one."""
    differences: list[Difference]


def reconcile(settings: Mapping[str, Any], in_force: Mapping[str, InForce], sources: Sequence[str] = ()) -> list[Outcome]:
    """Compare every source there is anything of, or only `sources`; two at a time.

    Settings: database, data_dir. Raises UsageError for a source nothing is known of; WarehouseError when the database cannot be
    asked or was made by an older program.
    """
    with readers(settings, _AT_ONCE, role="reconcile", seconds=3600) as pool:

        def compared(source: str) -> Outcome:
            with pool.session() as session:
                return _told(lambda: _Comparison(session, source, in_force.get(source, {})).outcome())

        with pool.session() as session:
            there = _told(lambda: _known_sources(session)) | set(in_force)
        for name in sources:
            if name not in there:
                raise UsageError(
                    f"Nothing is known of a source named {name!r}.", f"There are: {', '.join(sorted(there)) or 'none'}."
                )
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(compared, sorted(set(sources) or there)))


def _told(ask: Callable[[], T]) -> T:
    """What it gives; what the database refuses, as a sentence."""
    try:
        return ask()
    except psycopg.Error as error:
        raise refused(error) from None


def require_ledger(session: Connection) -> None:
    """Raise WarehouseError unless the database has a ledger of this program's shape."""
    if not has_ledger(session):
        raise WarehouseError("Nothing was ever loaded into the bronze database.", "Run the pipeline once: python main.py")


def _known_sources(session: Connection) -> set[str]:
    require_ledger(session)
    loaded = session.execute("SELECT DISTINCT source FROM bronze_loads WHERE target_table <> %s", (DEAD_LETTERS,)).fetchall()
    return {table.removeprefix("bronze_") for table in schema.tables(session)} | {row[0] for row in loaded}


class _Comparison:
    """One source, in a session of its own."""

    def __init__(self, session: Connection, source: str, files: InForce) -> None:
        self._session, self._source, self._table = session, source, f"bronze_{source}"
        self._records, self._letters = (next(iter(files.get(role, ())), None) for role in ("records", "dead_letters"))
        self._terms = {"source": source, "table": self._table, "loader_version": LOADER_VERSION}
        self._found: list[Difference] = []

    def outcome(self) -> Outcome:
        """Everything that differs, in the order it was looked for."""
        if self._table not in schema.tables(self._session):
            self._differs("table_missing", self._number(ask.INSERTED), always=True)
            return Outcome(self._source, 0, None, self._number(ask.LOADS), 0, self._found)
        if not is_current(self._session, self._table):
            what = f"The table of {self._source} was made by an older version of this program."
            raise WarehouseError(what, "Bring it up to date: python main.py bronze init")
        self._look_around()
        with self._session.transaction():
            for statement in (ask.SNAPSHOT, ask.TUNE, ask.STAGE, ask.READ_ONLY):
                self._session.execute(statement)
            records = self._stage()
            rows, months, gone = self._months()
            self._sequences(gone)
            self._artifacts(records)
            self._ledger()
            return Outcome(self._source, rows, records, self._number(ask.LOADS), months, self._found)

    def _stage(self) -> int | None:
        """The records and dead letters in force, into temporary tables; gives the number of records."""
        if self._records is None:
            return None
        try:
            with self._session.transaction():
                count = self._copy(ask.COPY_RECORDS, _record_rows(self._records.path))
                if self._letters is not None:
                    self._copy(ask.COPY_LETTERS, _letter_rows(self._letters.path))
        except OSError:
            self._differs("records_gone", 1)
            self._records = None
            return None
        try:
            with self._session.transaction():
                self._session.execute(ask.HASH)
        except (psycopg.DataError, psycopg.OperationalError) as error:
            if (error.sqlstate or "")[:2] not in _DATA:
                raise
            self._session.execute(ask.UNTAKEN)
            self._session.execute(ask.HASH)
        self._session.execute(ask.STAGED)
        return count

    def _look_around(self) -> None:
        """Tables that should not be there. Now, not in the snapshot: whether somebody loads is known only of now."""
        for code, query in (("partition_detached", ask.LOOSE), ("scratch_left", ask.SCRATCH)):
            for (name,) in self._session.execute(query, {**self._terms, "prefix": prefix_of(self._table)}).fetchall():
                self._found.append(Difference(code, self._source, name, 1))

    def _months(self) -> tuple[int, int, int]:
        """Ledger against rows by month; gives the rows, the months that have some, and the rows of retired months nobody can read."""
        partitions = self._session.execute(ask.PARTITIONS, self._terms).fetchall()
        attached = {month for month, is_attached, *_ in partitions if is_attached}
        retired = {month for month, _, is_retired, *_ in partitions if is_retired}
        self._read(self._table, kept=False)
        for *_, kept_as in partitions:
            if kept_as:
                self._read(kept_as, kept=True)
        self._session.execute(ask.ROWS_READ)
        held = {month: rest for month, *rest in self._session.execute(ask.HELD).fetchall()}
        ledger = {month: rest for month, *rest in self._session.execute(ask.LEDGER, self._terms).fetchall()}
        for month in sorted({UNDATED} | set(held) | set(ledger) | retired & attached):
            self._month(month, held.get(month, [0, 0, 0]), ledger.get(month, [0, 0]), month in attached, month in retired)
        gone = sum(rows for *_, rows, _ in partitions) - self._number(ask.KEPT)
        return sum(rows for rows, *_ in held.values()), len(held), max(0, int(gone))

    def _month(self, month: date, held: Sequence[Any], ledger: Sequence[Any], attached: bool, retired: bool) -> None:
        rows, hashes, altered = held
        said, hash_sum = ledger
        if retired and attached:
            self._differs("retired_back", rows, month)
        elif not attached and (said > 0 or month == UNDATED):
            self._differs("partition_missing", int(said), month)
        elif rows < said:
            self._differs("rows_lost", int(said - rows), month)
        elif rows > said:
            self._differs("rows_unknown", int(rows - said), month)
        elif hashes != hash_sum:
            self._differs("rows_exchanged", rows, month)
        if altered:
            self._differs("rows_altered", altered, month)

    def _sequences(self, gone: int) -> None:
        """What is derived from the rows. Rows of retired months, `gone` in number, have left versions and known records behind."""
        known = sql.SQL(ask.KNOWN).format(known=sql.Identifier(f"{self._table}_known"))
        _by_month(self._session.execute(ask.REPEATED).fetchall(), partial(self._differs, "rows_repeated"))
        with_gaps, gaps, repeated = self._session.execute(ask.VERSIONS).fetchall()[0]
        revisions_missing, revisions_stale = self._session.execute(ask.REVISIONS, self._terms).fetchall()[0]
        known_missing, known_stale = self._session.execute(known).fetchall()[0]
        self._differs("versions_missing", with_gaps if gaps > gone else 0)
        self._differs("versions_repeated", repeated)
        self._differs("revisions_missing", revisions_missing)
        self._differs("revisions_stale", max(0, revisions_stale - gone))
        self._differs("known_missing", known_missing)
        self._differs("known_stale", max(0, known_stale - gone))

    def _artifacts(self, records: int | None) -> None:
        if self._records is None:
            return
        read = self._session.execute(ask.LOADED, {**self._terms, "file_hash": self._records.sha256}).fetchall()[0][0]
        if read is None:
            self._differs("records_not_loaded", records or 0, always=True)
        else:
            self._differs("records_miscounted", abs(read - (records or 0)))
        _by_month(self._session.execute(ask.MISSING, self._terms).fetchall(), partial(self._differs, "records_missing"))
        self._differs("rows_undated", self._number(ask.UNDATED))
        self._differs("letters_missing", self._number(ask.LETTERS_MISSING))

    def _ledger(self) -> None:
        letters = self._number(LETTERS)
        self._differs("letters_lost" if letters < 0 else "letters_unknown", abs(letters))
        self._differs("load_unbalanced", self._number(ask.UNBALANCED))
        self._differs("load_unlisted", self._number(ask.UNLISTED))

    def _read(self, table: str, *, kept: bool) -> None:
        self._session.execute(sql.SQL(ask.ROWS).format(table=sql.Identifier(table), kept=sql.Literal(kept)))

    def _copy(self, statement: str, rows: Iterator[tuple[Any, ...]]) -> int:
        count = 0
        with self._session.cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
                count += 1
        return count

    def _number(self, query: str) -> int:
        return int(self._session.execute(query, self._terms).fetchall()[0][0])

    def _differs(self, code: str, count: int, month: date | None = None, *, always: bool = False) -> None:
        if count or always or month is not None:
            self._found.append(Difference(code, self._source, self._table, count, month))


def _by_month(counts: Collection[tuple[date, int]], tell: Any) -> None:
    """Tell each month's count."""
    for month, count in counts:
        tell(count, month)


def _record_rows(path: str) -> Iterator[tuple[Any, ...]]:
    """raw_id, raw (None for what cannot be sent: it must be a dead letter), month, raw artifact, ordinal there."""
    names = ["raw_id", "raw", "source_timestamp", "raw_sha256", "record_index"]
    for batch in read_batches(path, names, batch_size=4096):
        raw_id, raw, stamps, sha256, index = (batch.column(name) for name in names)
        for ident, text, *rest in zip(
            raw_id.to_pylist(), raw.to_pylist(), _months_of(stamps), sha256.to_pylist(), index.to_pylist(), strict=True
        ):
            sendable = "\0" not in text and (len(text) <= _TEXT_CAP // 4 or len(text.encode()) <= _TEXT_CAP)
            yield (ident.replace("\0", ""), text if sendable and "\0" not in ident else None, *rest)


def _months_of(stamps: pa.Array) -> list[str]:
    """The first day of each one's month; `UNDATED` without a time, or with one no month is made for."""
    years = pc.year(stamps)
    inside = pc.and_(pc.greater_equal(years, FIRST_YEAR), pc.less_equal(years, LAST_YEAR))
    found: list[str] = pc.if_else(pc.fill_null(inside, False), pc.strftime(stamps, format="%Y-%m-01"), "0001-01-01").to_pylist()
    return found


def _letter_rows(path: str) -> Iterator[tuple[Any, ...]]:
    names = ["raw_artifact", "raw_sha256", "record_index", "position", "reason"]
    for batch in read_batches(path, names):
        for artifact, sha256, index, position, reason in zip(*(batch.column(n).to_pylist() for n in names), strict=True):
            yield artifact, sha256, index, position.replace("\0", ""), reason
