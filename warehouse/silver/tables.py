"""The nested JSON of a source as typed tables: one for the records, one for each array in them, linked by keys.

Read twice: once for what columns there are, once to fill them. Both times the newest version of each record, in the order of its
raw_id, from DuckDB's scratch file; memory holds one batch and a row group per table.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from config.stage import Finding, Inputs, Outputs, Report
from config.tables import TableWriter
from warehouse.silver.flatten import Flattener, above, described, names
from warehouse.silver.scratch import scratch
from warehouse.silver.shapes import Shape

if TYPE_CHECKING:
    import duckdb

_BATCH = 512
_ROOT = "records"
"""Name of the table of a source whose records are all of one kind."""

_CHOOSE = """
CREATE TABLE judged AS
SELECT n, stream, raw_id, CASE WHEN place = 1 THEN 'accepted' WHEN content = truth THEN 'duplicate' ELSE 'unused:superseded' END AS fate
FROM (SELECT n, stream, raw_id, content, row_number() OVER newest AS place, first_value(content) OVER newest AS truth
      FROM (SELECT file_row_number AS n, raw_id, revision, md5(raw) AS content,
                   CASE WHEN $streams THEN regexp_extract(raw_artifact, '^raw/[^/]+/(.*)/[^/]+$', 1) ELSE '' END AS stream
            FROM read_parquet($records, file_row_number = true) WHERE status <> 'invalid')
      WINDOW newest AS (PARTITION BY stream, raw_id ORDER BY revision DESC, content DESC))
"""
_SORT = """
CREATE TABLE sorted AS
SELECT j.stream, j.raw_id, r.raw FROM judged AS j JOIN read_parquet($records, file_row_number = true) AS r ON r.file_row_number = j.n
WHERE j.fate = 'accepted' ORDER BY j.stream, j.raw_id
"""
_FATES = """
SELECT fate, count(*) FROM judged WHERE fate <> 'accepted' GROUP BY 1
UNION ALL SELECT 'rejected:invalid_record', count(*) FROM read_parquet($records) WHERE status = 'invalid' HAVING count(*) > 0
"""
_STREAMS = "SELECT DISTINCT stream FROM sorted ORDER BY 1"
_ONE = "SELECT raw_id, raw FROM sorted WHERE stream = $stream"


def tables(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:  # noqa: ARG001  every stage has these three
    """Stage function of `silver.tables.<source>` for a source whose records are of one kind.

    Role read: `records`. Writes the collection `tables`: `records.parquet`, `records.<array>.parquet`, and `tables.json`, which says of
    each table what it is made of. Unit of the balance: record.
    """
    return _make(inputs, outputs, streams=False)


def tables_by_stream(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:  # noqa: ARG001  every stage has these three
    """Likewise for a source whose streams bring records of different kinds: `<stream>.parquet`, `<stream>.<array>.parquet`."""
    return _make(inputs, outputs, streams=True)


def _make(inputs: Inputs, outputs: Outputs, *, streams: bool) -> Report:
    records, index = inputs.one("records").path, outputs.path("tables", "tables.json")
    fates: Counter[str] = Counter()
    told: list[dict[str, Any]] = []
    with scratch(index) as (_, database):
        database.execute(_CHOOSE, {"records": records, "streams": streams})
        database.execute(_SORT, {"records": records})
        fates.update(dict(database.execute(_FATES, {"records": records}).fetchall()))
        for (stream,) in database.execute(_STREAMS).fetchall():
            told += _stream(database, stream, outputs, fates)
    with open(index, "x", encoding="utf-8") as text:
        json.dump({"tables": told}, text, indent=1)
    return {
        "rows": {f"tables/{table['table']}.parquet": table["rows"] for table in told},
        "balance": {"unit": "record", "came": fates.total(), "fates": {"accepted": 0} | dict(sorted(fates.items()))},
        "findings": _findings(fates),
    }


def _stream(database: duckdb.DuckDBPyConnection, stream: str, outputs: Outputs, fates: Counter[str]) -> Iterator[dict[str, Any]]:
    """Write the tables of one kind of record; says of each what it is."""
    shape = Shape()
    for _, record in _records(database, stream, fates):
        shape.look(record)
    flattener = Flattener(shape)
    named = names(flattener.tables, stream or _ROOT)
    with ExitStack() as opened:
        writers = {
            path: opened.enter_context(
                TableWriter(opened.enter_context(outputs.open("tables", f"{named[path]}.parquet")), table.schema)
            )
            for path, table in flattener.tables.items()
        }
        for raw_id, record in _records(database, stream, Counter()):
            for path, row in flattener.rows(raw_id, record):
                # what waits is bounded for all tables together
                writers[path].append(row, size=len(writers) * sum(len(cell) for cell in row if isinstance(cell, str)))
    for path, table in flattener.tables.items():
        parent = None if path is None else named[above(path)]
        array = [] if path is None else table.array
        yield {"table": named[path], "parent": parent, "array": array, "rows": writers[path].rows, "columns": described(table)}


def _records(database: duckdb.DuckDBPyConnection, stream: str, fates: Counter[str]) -> Iterator[tuple[str, Any]]:
    """(raw_id, record) of all that can be read, in the order of raw_id."""
    batches: Any = database.sql(_ONE, params={"stream": stream}).to_arrow_reader(_BATCH)
    for batch in batches:
        for row in batch.to_pylist():
            try:
                record = json.loads(row["raw"], parse_constant=_refuse, parse_float=_fraction)
            except RecursionError:
                fates["rejected:json_too_deep"] += 1
            except ValueError:
                fates["rejected:not_json"] += 1
            else:
                fates["accepted"] += 1
                yield row["raw_id"], record


def _fraction(text: str) -> float:
    """As RFC 8259 expects numbers to be read: IEEE 754. One that is too large for that would come back as another."""
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(_: str) -> Any:
    raise ValueError("not_json")


def _findings(fates: Mapping[str, int]) -> list[Finding]:
    count = sum(n for fate, n in fates.items() if fate.startswith("rejected:"))
    message = "Records that are marked invalid or cannot be read are in no table."
    return [{"code": "silver_rejected", "message": message, "count": count}] if count else []
