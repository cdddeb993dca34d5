"""`query "SELECT …"`: SQL on the gold tables, as a table, JSON or CSV; without SQL what tables and columns there are.

It reads the gold in force and nothing else: no other file, no network, no extension, and it changes nothing. It shows measured
values: that is what a person asks for at their own terminal.
"""

from __future__ import annotations

import csv
import io
import math
import os
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from config.errors import StoreError, UsageError
from scripts.answer import Answer
from scripts.in_force import GOLD, in_force
from scripts.looks import printable
from scripts.project import Project
from scripts.words import counted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CATALOG = """
SELECT t.table_name, t.meaning, c.column_name, c.data_type, coalesce(said.meaning, '')
FROM catalog AS t
JOIN duckdb_columns() AS c ON c.database_name = 'gold' AND c.table_name = t.table_name
LEFT JOIN catalog AS said ON said.table_name = t.table_name AND said.column_name = c.column_name
WHERE t.column_name = '' ORDER BY t.table_name, c.column_index
"""
_WIDEST = 60
"""Characters of a cell in a printed table."""


class Found(NamedTuple):
    """A result, as far as it was asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    more: bool
    """There are further rows."""


def query(project: Project, options: Namespace) -> Answer:
    """`query [SQL] [--csv] [--limit N]`. UsageError for a query that is wrong or asks for more than reading the tables."""
    path = _gold_of(project)
    if options.sql is None:
        return _tables(path)
    found = ask(path, options.sql, options.limit)
    data = {"columns": found.columns, "rows": [[_plain(cell) for cell in row] for row in found.rows], "truncated": found.more}
    if options.csv:
        return Answer(data, _as_csv(found).rstrip("\n"))
    return Answer(data, _as_table(found))


def _gold_of(project: Project) -> str:
    """Path of the gold file in force. Raises StoreError when there is none."""
    with project.pipeline.reading() as registry:
        found = in_force(registry, GOLD)
    path = project.pipeline.local(found) if found else ""
    if not os.path.isfile(path):
        raise StoreError("There are no gold tables yet.", "Run the pipeline: python main.py")
    return path


def ask(path: str, sql: str, limit: int) -> Found:
    """Answer one query on a gold file, at most `limit` rows; instants come in UTC. Raises UsageError."""
    import duckdb

    with _opened(path) as gold, _told():
        statements = gold.extract_statements(sql.encode(errors="replace").decode())
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UsageError("A query is one SELECT; it changes nothing.", "See the tables with: python main.py query")
        reader = gold.sql(statements[0]).to_arrow_reader(min(limit + 1, 10_000))
        rows: list[tuple[Any, ...]] = []
        for batch in reader:
            rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
            if len(rows) > limit:
                break
        return Found(list(reader.schema.names), rows[:limit], len(rows) > limit)


@contextmanager
def _opened(path: str) -> Iterator[DuckDBPyConnection]:
    from serving.gold import connection, shut

    gold = connection("1GB")
    try:
        with _told():
            gold.execute("ATTACH $path AS gold (READ_ONLY)", {"path": path})
            gold.execute("USE gold")
        shut(gold)
        yield gold
    finally:
        gold.close()


@contextmanager
def _told() -> Iterator[None]:
    """DuckDB's errors as a sentence. Only those about the query's own words are quoted: others may hold values."""
    import duckdb

    try:
        yield
    except (duckdb.ParserException, duckdb.CatalogException, duckdb.BinderException) as error:
        what, *more = str(error).partition("\n\nLINE ")[0].splitlines()
        what = printable(what.partition(": ")[2] or what).rstrip(".!")
        near = next((line for line in more if line.startswith("Candidate bindings: ")), "")
        mend = f"There are: {printable(near.partition(': ')[2])}." if near else "See the tables with: python main.py query"
        raise UsageError(f"{what[:1].upper()}{what[1:]}.", mend) from None
    except duckdb.PermissionException:
        raise UsageError("A query reads the gold tables and nothing else.", "See them with: python main.py query") from None
    except duckdb.OutOfMemoryException:
        raise UsageError("The query needs more memory than it is given.", "Ask for fewer rows, or group them.") from None
    except (OverflowError, ValueError):  # told by Python: days outside the years 1 to 9999, infinity among them
        raise UsageError("The query has a value that cannot be shown.", "Cast it to text: value::VARCHAR.") from None
    except duckdb.Error as error:
        kind = type(error).__name__.removesuffix("Exception").removesuffix("Error") or "unknown"
        raise UsageError(f"The query could not be finished: {kind.lower()} error.", "Mend the query.") from None


def _tables(path: str) -> Answer:
    found = ask(path, _CATALOG, 10_000)
    tables: dict[str, dict[str, Any]] = {}
    for name, meaning, column, kind, said in found.rows:
        table = tables.setdefault(name, {"table": name, "meaning": meaning, "columns": []})
        table["columns"].append({"column": column, "type": kind, "meaning": said})
    lines: list[str] = []
    for table in tables.values():
        width = max(len(c["column"]) for c in table["columns"]) + 2
        kinds = max(len(c["type"]) for c in table["columns"]) + 2
        lines += ["", table["table"], f"  {table['meaning']}"]
        lines += [f"    {c['column']:<{width}}{c['type'].lower():<{kinds}}{c['meaning']}" for c in table["columns"]]
    lines += ["", 'Ask: python main.py query "SELECT date, systolic, diastolic FROM daily ORDER BY date DESC LIMIT 7"']
    return Answer({"tables": list(tables.values())}, "\n".join(lines[1:]))


def _as_table(found: Found) -> str:
    cells = [[_shown(cell) for cell in row] for row in found.rows]
    right = [_is_number_column([row[at] for row in found.rows]) for at in range(len(found.columns))]
    heads = [_cut(printable(name)) for name in found.columns]
    widths = [max(map(len, (head, *(row[at] for row in cells)))) for at, head in enumerate(heads)]
    lines = [_line(heads, widths, right), "  ".join("─" * width for width in widths)]
    lines += [_line(row, widths, right) for row in cells]
    rows = counted(len(found.rows), "row")
    note = f"The first {rows}; --limit N shows more." if found.more else f"{rows}."
    return "\n".join([*lines, "", note])


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
    return "  ".join(padded).rstrip()


def _is_number_column(cells: Sequence[Any]) -> bool:
    return all(cell is None or (isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)) for cell in cells)


def _shown(value: Any) -> str:
    """A cell as a person reads it: nothing for null, real numbers to four decimals, times without what is zero in them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else f"{value:.6g}"
    return _cut(printable(str(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _plain(value: Any) -> Any:
    """A cell as JSON: null, true, a number or text; lists and structs of them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _as_csv(found: Found) -> str:
    """As the daily table's CSV: ISO dates, dot decimals, text that is never taken for a formula. It says if rows are left out."""
    from processing.aggregators.spreadsheet import cell

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([cell(name) for name in found.columns])
    for row in found.rows:
        writer.writerow([cell(_plain(value)) for value in row])
    if found.more:
        import sys

        print(f"Only the first {counted(len(found.rows), 'row')}; --limit N gives more.", file=sys.stderr)
    return text.getvalue()
