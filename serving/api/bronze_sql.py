"""The questions the API asks PostgreSQL, parameterised; identifiers are quoted by the driver. Reads only.

A page is found by its place, not by counting rows: (time, source, id) of the row before it, through the index on the time of each
month. A page by number is found by the ledger's counts of rows per month, so at most one month is counted through, and of that only
its index.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from psycopg import sql

UNDATED = date(1, 1, 1)
"""The partition key of rows without a time."""

Part = sql.Composable
Row = dict[str, Any]

TABLES = """
SELECT substr(relname, 8) FROM pg_class
WHERE relkind = 'p' AND relname LIKE 'bronze\\_%%' AND NOT relname LIKE 'bronze\\_tmp\\_%%' AND pg_table_is_visible(oid)
  AND (%(source)s::text IS NULL OR relname = 'bronze_' || %(source)s) ORDER BY 1
"""
LEDGER = """
SELECT month, sum(rows)::bigint FROM (
    SELECT month, rows FROM bronze_loaded_months WHERE source = ANY(%(sources)s)
    UNION ALL
    SELECT month, -rows FROM bronze_retired WHERE source = ANY(%(sources)s)
) AS held GROUP BY month HAVING sum(rows) > 0 ORDER BY month
"""
"""Month → rows that are in it, exact; a handful of rows, however many they count."""
COLUMNS = (
    "id",
    "raw_id",
    "source_timestamp",
    "ingested_at",
    "validation_status",
    "error_message",
    "version",
    "environment",
    "lineage_id",
    "file_path",
    "file_hash",
    "record_index",
    "quality_score",
)
"""What a row tells besides its source and its raw record."""
_BRANCH = """
(SELECT {source} AS source, {columns}, b.raw_data::text AS raw FROM {table} AS b WHERE {where} ORDER BY {order} LIMIT %(most)s)
"""


class Place(NamedTuple):
    """A row in the order of a page."""

    time: datetime | None
    source: str
    id: int


class Order(NamedTuple):
    """Which column leads, and which way."""

    column: str
    descending: bool

    @property
    def word(self) -> sql.SQL:
        return sql.SQL("DESC" if self.descending else "ASC")


class Filter(NamedTuple):
    """Which rows: from `first` to before `end` (UTC), with `like` within them."""

    first: datetime | None
    end: datetime | None
    like: str | None


def order(sort: str) -> Order:
    """`-source_timestamp` → by that column, falling."""
    return Order(sort.lstrip("-"), sort.startswith("-"))


def escaped(text: str) -> str:
    """A text to look for as a pattern for ILIKE in which nothing stands for anything else."""
    for special in ("\\", "%", "_"):
        text = text.replace(special, "\\" + special)
    return f"%{text}%"


def dated(sources: Sequence[str], by: Order, wanted: Filter, after: Place | None, start: datetime | None) -> sql.Composed:
    """Rows with a time after a place, or from a time on; needs `limit` and `skip`."""
    return _union(sources, lambda source: [*_of(wanted), *_place(source, by, after), *_from(by, start)], by)


def undated(sources: Sequence[str], wanted: Filter, after: Place | None) -> sql.Composed:
    """Rows without a time, by source and id; needs `limit` and `skip`."""

    def conditions(source: str) -> list[Part]:
        found = [sql.SQL("b.source_timestamp IS NULL AND b.partition_key = DATE '0001-01-01'"), *_like(wanted)]
        if after is not None:
            found.append(_compared("id", ">", after.id) if source == after.source else sql.SQL(str(source > after.source)))
        return found

    return _union(sources, conditions, Order("id", descending=False), by_source_first=True)


def by_id(source: str, by: Order, wanted: Filter, after: Place | None) -> sql.Composed:
    """Rows of one source in the order they came; needs `limit` and `skip`."""
    conditions = [*_of(wanted, times_only=False), *([] if after is None else [_compared("id", _sign(by), after.id)])]
    return _union([source], lambda _: conditions, by)


def nth_time(sources: Sequence[str], by: Order, wanted: Filter) -> sql.Composed:
    """The time of the row that is `skip` rows into what is wanted, and how many come before the first row of that very time.

    Both from the indexes alone.
    """
    every = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT b.source_timestamp FROM {} AS b WHERE {}").format(_table(source), _all(_of(wanted))) for source in sources
    )
    return sql.SQL(
        "WITH nth AS MATERIALIZED (SELECT source_timestamp AS t FROM ({every}) AS e ORDER BY 1 {word} OFFSET %(skip)s LIMIT 1) "
        "SELECT t, (SELECT count(*) FROM ({every}) AS e WHERE source_timestamp {sign} t) FROM nth"
    ).format(every=every, word=by.word, sign=sql.SQL(">" if by.descending else "<"))


def count(sources: Sequence[str], wanted: Filter, timed: bool, at_most: int | None = None) -> sql.Composed:
    """How many rows are wanted, only those with a time when `timed`; no further than `at_most`."""
    conditions = _all(_of(wanted, times_only=timed))
    every = sql.SQL(" UNION ALL ").join(sql.SQL("SELECT FROM {} AS b WHERE {}").format(_table(s), conditions) for s in sources)
    bound = sql.SQL("") if at_most is None else sql.SQL(" LIMIT {}").format(sql.Literal(at_most))
    return sql.SQL("SELECT count(*) FROM ({}{}) AS e").format(every, bound)


def _union(sources: Sequence[str], conditions: Any, by: Order, by_source_first: bool = False) -> sql.Composed:
    """The same question to every table, each answering no more than is needed, put in one order."""
    inner = [by.column] if by.column == "id" else [by.column, "id"]
    outer = ["source", *inner] if by_source_first else [inner[0], "source", "id"] if by.column != "id" else inner
    branches = [
        sql.SQL(_BRANCH).format(
            source=sql.Literal(source),
            columns=sql.SQL(", ").join(sql.Identifier("b", name) for name in COLUMNS),
            table=_table(source),
            where=_all(conditions(source)),
            order=_ordered([("b", name) for name in inner], by),
        )
        for source in sources
    ]
    return sql.SQL("SELECT * FROM ({}) AS e ORDER BY {} OFFSET %(skip)s LIMIT %(limit)s").format(
        sql.SQL(" UNION ALL ").join(branches), _ordered([("e", name) for name in outer], by)
    )


def _ordered(names: Sequence[tuple[str, str]], by: Order) -> Part:
    return sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(*name), by.word) for name in names)


def _of(wanted: Filter, times_only: bool = True) -> list[Part]:
    """A span of time for rows and for partitions, and the text within them."""
    found: list[Part] = [sql.SQL("b.source_timestamp IS NOT NULL")] if times_only else []
    for bound, sign, key in ((wanted.first, ">=", ">="), (wanted.end, "<", "<=")):
        if bound is not None:
            found += [_compared("source_timestamp", sign, bound), _compared("partition_key", key, bound.date())]
    return [*found, *_like(wanted)]


def _like(wanted: Filter) -> list[Part]:
    if wanted.like is None:
        return []
    return [sql.SQL("(b.raw_id ILIKE {0} OR b.raw_data::text ILIKE {0})").format(sql.Placeholder("like"))]


def _place(source: str, by: Order, after: Place | None) -> list[Part]:
    """What comes after a row, in the order (time, source, id)."""
    if after is None:
        return []
    assert after.time is not None
    before = source < after.source if by.descending else source > after.source
    edge = _compared("partition_key", _sign(by) + "=", after.time.date())  # a month that cannot hold any is not looked at
    if source == after.source:
        both = sql.SQL("(b.source_timestamp, b.id) {} ({}, {})").format(
            sql.SQL(_sign(by)), sql.Literal(after.time), sql.Literal(after.id)
        )
        return [_compared("source_timestamp", _sign(by) + "=", after.time), both, edge]
    return [_compared("source_timestamp", _sign(by) + "=" * before, after.time), edge]


def _from(by: Order, start: datetime | None) -> list[Part]:
    if start is None:
        return []
    sign = _sign(by) + "="
    return [_compared("source_timestamp", sign, start), _compared("partition_key", sign, start.date())]


def _sign(by: Order) -> str:
    return "<" if by.descending else ">"


def _compared(column: str, sign: str, value: object) -> Part:
    """Values are quoted by the driver into the statement: the planner leaves out the months they rule out."""
    return sql.SQL("{} {} {}").format(sql.Identifier("b", column), sql.SQL(sign), sql.Literal(value))


def _all(conditions: Sequence[Part]) -> Part:
    return sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true")


def _table(source: str) -> sql.Identifier:
    return sql.Identifier(f"bronze_{source}")
