"""`/readings` and `/daily`: questions to the gold file in force, opened read only, and opened anew once a run has made another."""

from __future__ import annotations

import csv
import hashlib
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from config.errors import PDPError, StoreError
from processing.aggregators.spreadsheet import cell
from scripts.in_force import GOLD, in_force
from scripts.project import Project
from serving.api import cursors
from serving.api.errors import wrong
from serving.api.parameters import DailyQuestion, ReadingsQuestion
from serving.gold import Gold, open_file

_MOST_KEPT, _LARGEST_KEPT = 32, 2**20
_MISSING = StoreError("There is no gold yet.", "Run the pipeline: python main.py")
_COLUMNS = """
SELECT table_name, column_name, data_type FROM duckdb_columns()
WHERE database_name = 'gold' AND table_name IN ('daily', 'daily_by_source') ORDER BY column_index
"""
_READINGS = """
SELECT kind, metric, value, unit, strftime("start" AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
       strftime("end" AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') AS "end", strftime(local_start, '%Y-%m-%dT%H:%M:%S') AS local_start,
       date::VARCHAR AS date, scope, source, device, raw_id, fate, part, at_, row_
FROM (
    SELECT *, epoch_us("start") AS at_, rowid AS row_ FROM readings WHERE {where}
    ORDER BY "start" {word}, metric {word}, source {word}, raw_id {word}, rowid {word} LIMIT $limit
) ORDER BY at_ {word}, metric {word}, source {word}, raw_id {word}, row_ {word}
"""
_CURSOR = (int,), (str,), (str,), (str,), (int,)
FRESHNESS = """
SELECT source, kind, first_date::VARCHAR AS first_date, last_date::VARCHAR AS last_date,
       strftime(last_start AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ') AS last_start, readings, accepted, unused, rejected
FROM freshness ORDER BY source, kind
"""


class Answers:
    """The last answers of one gold: it never changes, so neither do they. Any thread may ask."""

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def get(self, question: str, make: Callable[[], bytes]) -> bytes:
        """The answer, made if it is not known any more."""
        with self._door:
            if question in self._kept:
                self._kept.move_to_end(question)
                return self._kept[question]
        made = make()
        if len(made) <= _LARGEST_KEPT:
            with self._door:
                self._kept[question] = made
                if len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return made


class Version(NamedTuple):
    """The gold that is in force."""

    gold: Gold
    version: int
    sha256: str
    answers: Answers
    columns: Mapping[str, Mapping[str, str]]
    """Of the tables of days: column → type."""


class Shelf:
    """Gives the gold in force; asks the registry which one that is at most once in `seconds`. Any thread may ask.

    One that is replaced is not closed: whoever still reads it holds it, and it goes with the last of them.
    """

    def __init__(self, project: Project, seconds: float = 1.0) -> None:
        self._project, self._seconds = project, seconds
        self._door = threading.Lock()
        self._version: Version | None = None
        self._asked = float("-inf")

    def current(self) -> Version:
        """StoreError when there is none yet."""
        with self._door:
            if self._version is None or time.monotonic() - self._asked >= self._seconds:
                self._version = self._looked_up(self._version)
                self._asked = time.monotonic()
            return self._version

    def _looked_up(self, known: Version | None) -> Version:
        with self._project.pipeline.reading() as registry:
            found = in_force(registry, GOLD)
        if found is None:
            raise _MISSING
        if known is not None and known.sha256 == found.sha256:
            return known
        gold = open_file(self._project.pipeline.local(found))
        columns: dict[str, dict[str, str]] = {"daily": {}, "daily_by_source": {}}
        for row in gold.rows(_COLUMNS):
            columns[row["table_name"]][row["column_name"]] = row["data_type"]
        return Version(gold, found.version, found.sha256, Answers(), columns)


def tag(version: Version, question: str) -> str:
    """An ETag, weak because the answer may be packed: the same gold and the same question give the same answer."""
    return f'W/"{version.sha256[:16]}-{hashlib.sha256(question.encode()).hexdigest()[:16]}"'


def readings(gold: Gold, asked: ReadingsQuestion) -> dict[str, Any]:
    """One page of readings."""
    falling = asked.sort.startswith("-")
    conditions = {
        "date >= $first": asked.from_,
        "date <= $last": asked.to,
        "metric = $metric": asked.metric,
        "source = $source": asked.source,
    }
    where = [text for text, value in conditions.items() if value is not None]
    values: dict[str, Any] = {"first": asked.from_, "last": asked.to, "metric": asked.metric, "source": asked.source}
    if not asked.all:
        where.append("fate = 'accepted'")
    if asked.cursor is not None:
        place = cursors.read(asked.cursor, f"readings {asked.sort}", *_CURSOR)
        values |= dict(zip(("t", "m", "s", "r", "i"), place, strict=True))
        sign = "<" if falling else ">"
        where.append(f'"start" {sign}= make_timestamptz($t)')
        where.append(f"""(epoch_us("start"), metric, source, raw_id, rowid) {sign} ($t, $m, $s, $r, $i)""")
    query = _READINGS.format(where=" AND ".join(where) or "true", word="DESC" if falling else "ASC")
    rows = gold.rows(query, values | {"limit": asked.page_size + 1})
    more, rows = len(rows) > asked.page_size, rows[: asked.page_size]
    places = [(r.pop("at_"), r["metric"], r["source"], r["raw_id"], r.pop("row_")) for r in rows]
    following = cursors.written(f"readings {asked.sort}", *places[-1]) if more else None
    return {"rows": rows, "page_size": asked.page_size, "has_more": more, "next": following}


def daily(version: Version, asked: DailyQuestion) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns that are asked for, and of the days that are asked for, oldest first, what they hold."""
    table = "daily_by_source" if asked.source else "daily"
    known = version.columns[table]
    chosen = ["date", *dict.fromkeys(asked.columns.split(","))] if asked.columns else list(known)
    chosen = list(dict.fromkeys(chosen))
    if strangers := [name for name in chosen if name not in known]:
        raise wrong("columns", f"there is no column {strangers[0]!r}", f"Columns are {', '.join(known)}.")
    conditions = {"date >= $first": asked.from_, "date <= $last": asked.to, "source = $source": asked.source}
    where = " AND ".join(text for text, value in conditions.items() if value is not None) or "true"
    columns = ", ".join(_column(name, known[name]) for name in chosen)
    values = {"first": asked.from_, "last": asked.to, "source": asked.source}
    return chosen, version.gold.rows(f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {table}.date", values)


def as_csv(columns: list[str], rows: list[dict[str, Any]]) -> str:
    """For a spreadsheet: ISO dates, dot decimals, text that is never taken for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([cell(row[name]) for name in columns] for row in rows)
    return text.getvalue()


def freshness(shelf: Shelf) -> list[dict[str, Any]]:
    """How far each kind of each source reaches; empty while there is no gold to say so."""
    try:
        return shelf.current().gold.rows(FRESHNESS)
    except PDPError:
        return []


def synthetic(shelf: Shelf) -> bool | None:
    """Whether what is in force is invented; None while there is no gold to say so."""
    try:
        return shelf.current().gold.synthetic
    except PDPError:
        return None


def _column(name: str, kind: str) -> str:
    """A column as JSON can say it: days and times as ISO text."""
    if kind.startswith("TIMESTAMP"):
        return f"""strftime("{name}", '%Y-%m-%dT%H:%M:%S') AS "{name}\""""
    return f'"{name}"::VARCHAR AS "{name}"' if kind == "DATE" else f'"{name}"'
