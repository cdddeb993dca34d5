"""The usual ways into the same table, each in the environment of its own libraries: `python -P bench/bronze_peers.py NAME DSN LINES …`.

Arguments: name of the way, connection string, file of raw lines, rows to load, file of what is the same in every row. Prints JSON.
Imports nothing of the project. All but dlt load the full table with all indexes; dlt makes tables of its own, without any.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

_TABLE = "bronze_mi_fitness"
_JSON = {"raw_data", "metadata", "pipeline_parameters", "lineage_metadata", "quality_metrics", "quality_checks"}
_JSON |= {"api_rate_limit_info", "processing_steps", "processing_errors"}
_STAMPS = ("ingested_at", "lineage_timestamp", "processing_start_time", "processing_end_time")
_PAGE = 1000
_LIBRARIES = {
    "executemany": ["psycopg"],
    "pandas": ["pandas", "sqlalchemy", "sqlalchemy.dialects.postgresql"],
    "dlt": ["dlt", "psycopg2.extensions"],
}


def executemany(dsn: str, lines: str, rows: int, constants: dict[str, Any]) -> None:
    """psycopg's executemany, ten thousand rows at a time in one transaction; the constants stand in the statement, not in each row."""
    (psycopg,) = map(importlib.import_module, _LIBRARIES["executemany"])
    names = [*constants["literals"], "raw_data", "source_timestamp", "raw_id", "partition_key", "content_hash", "record_index"]
    fixed = ", ".join(text.replace("%", "%%") for text in constants["literals"].values())
    own = "%s::jsonb, %s, %s, %s, sha256(convert_to(%s::jsonb::text, 'UTF8')), %s"
    statement = f"INSERT INTO {_TABLE} ({', '.join(names)}) VALUES ({fixed}, {own})"
    with psycopg.connect(dsn) as session, session.cursor() as cursor:
        session.execute("SET timezone = 'UTC'")
        for page in _pages(lines, rows, 10_000):
            cursor.executemany(statement, [(t, _stamp(d), _raw_id(d), _stamp(d).date(), t, n) for n, t, d in page])


def pandas_multi(dsn: str, lines: str, rows: int, constants: dict[str, Any]) -> None:
    """DataFrame.to_sql, many rows to a statement."""
    _pandas(dsn, lines, rows, constants, "multi")


def pandas_plain(dsn: str, lines: str, rows: int, constants: dict[str, Any]) -> None:
    """DataFrame.to_sql as it is without options."""
    _pandas(dsn, lines, rows, constants, None)


def _pandas(dsn: str, lines: str, rows: int, constants: dict[str, Any], method: Any) -> None:
    pandas, sa, postgresql = map(importlib.import_module, _LIBRARIES["pandas"])
    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: importlib.import_module("psycopg").connect(dsn, options="-c timezone=UTC")
    )
    types: Any = dict.fromkeys(_JSON, postgresql.JSONB(none_as_null=True))
    types |= {"parent_lineage_ids": postgresql.ARRAY(sa.Text)}
    types |= {
        "quality_score": sa.Float(),
        "api_response_code": sa.Integer(),
        "file_size": sa.BigInteger(),
    }  # a column of nulls has none
    types |= {"processing_duration": postgresql.INTERVAL(), "partition_key": sa.Date(), "content_hash": sa.LargeBinary()}
    frame = pandas.DataFrame(row for page in _wide_pages(lines, rows, constants) for row in page)
    size = 1000 if method else None  # a statement takes 65,535 parameters
    with engine.begin() as session:
        frame.to_sql(_TABLE, session, if_exists="append", index=False, dtype=types, method=method, chunksize=size)


def dlt_wide(dsn: str, lines: str, rows: int, constants: dict[str, Any]) -> None:
    """dlt's normal path (INSERT statements in files) with every column of the table."""
    _dlt(dsn, _wide_pages(lines, rows, constants), "insert_values")


def dlt_wide_csv(dsn: str, lines: str, rows: int, constants: dict[str, Any]) -> None:
    """dlt by CSV files and COPY, with every column of the table."""
    pages = _wide_pages(lines, rows, constants)
    text = ([{**row, "content_hash": row["content_hash"].hex()} for row in page] for page in pages)  # its CSV takes no bytes
    _dlt(dsn, text, "csv")


def dlt_narrow(dsn: str, lines: str, rows: int, constants: dict[str, Any]) -> None:
    """dlt's normal path with four columns: raw_id, source_timestamp, raw_data, record_index."""
    del constants
    pages = (
        [{"raw_id": _raw_id(d), "source_timestamp": _stamp(d), "raw_data": d, "record_index": n} for n, _, d in page]
        for page in _pages(lines, rows, _PAGE)
    )
    _dlt(dsn, pages, "insert_values")


def _dlt(dsn: str, pages: Iterator[list[dict[str, Any]]], file_format: Any) -> None:
    dlt, driver = map(importlib.import_module, _LIBRARIES["dlt"])
    parts = driver.parse_dsn(dsn)
    url = f"postgresql://{parts['user']}:unused@{quote(parts['host'], safe='')}:{parts['port']}/{parts['dbname']}"
    columns: Any = {name: {"data_type": "json"} for name in (*_JSON, "parent_lineage_ids")}
    records = dlt.resource(pages, name="records", columns=columns, write_disposition="append")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DLT_DATA_DIR"] = folder
        pipeline = dlt.pipeline(
            "bench", pipelines_dir=folder, destination=dlt.destinations.postgres(url), dataset_name="loaded", progress=None
        )
        pipeline.run(records, loader_file_format=file_format).raise_on_failed_jobs()


def _wide_pages(lines: str, rows: int, constants: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    same = {name: _typed(name, value) for name, value in constants["values"].items()}
    for page in _pages(lines, rows, _PAGE):
        yield [
            {
                **same,
                "raw_data": document,
                "source_timestamp": (stamp := _stamp(document)).replace(tzinfo=None),
                "raw_id": _raw_id(document),
                "version": 1,
                "partition_key": stamp.date(),
                "content_hash": hashlib.sha256(text.encode()).digest(),
                "record_index": number,
            }
            for number, text, document in page
        ]


def _typed(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name in _STAMPS and value is not None else value


def _pages(lines: str, rows: int, size: int) -> Iterator[list[tuple[int, str, dict[str, Any]]]]:
    """(number, line, document), `size` at a time."""
    with open(lines, encoding="utf-8") as text:
        numbered = enumerate(itertools.islice(text, rows), 1)
        while page := list(itertools.islice(numbered, size)):
            yield [(number, line.rstrip("\n"), json.loads(line)) for number, line in page]


def _stamp(document: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(document["Time"], UTC)


def _raw_id(document: dict[str, Any]) -> str:
    return "/".join([*(document[key] for key in ("table", "Uid", "Sid", "Key")), str(document["Time"])])


WAYS = {way.__name__: way for way in (executemany, pandas_multi, pandas_plain, dlt_wide, dlt_wide_csv, dlt_narrow)}


if __name__ == "__main__":
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    for library in _LIBRARIES[sys.argv[1].partition("_")[0]]:
        importlib.import_module(library)  # what a process of theirs pays once is told as the whole process's time
    with open(sys.argv[5], encoding="utf-8") as given:
        same = json.load(given)
    began = time.perf_counter()
    WAYS[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]), same)
    print(json.dumps({"seconds": time.perf_counter() - began, "rows": int(sys.argv[4])}))
