"""Bronze rows by the million for the API's benchmark, made by the server itself: months filled aside, as a large load fills them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import psycopg
from psycopg import sql

from warehouse.bronze.loading import statements as do

SOURCE = "mi_fitness"
FIRST_YEAR, YEARS = 2010, 10
"""Before the shipped year, so that the newest rows are real ones."""

_FILL = """
INSERT INTO {month} (source, raw_data, source_timestamp, raw_id, validation_status, environment, partition_key, content_hash,
                     record_index, lineage_id, file_path, file_hash, quality_score)
SELECT 'mi_fitness', made.raw, made.at, made.raw_id, 'valid', 'example', made.at::date,
       sha256(convert_to(made.raw::text, 'UTF8')), n, 'records/mi_fitness.parquet@v1', 'raw/mi_fitness/bench.csv', repeat('0', 64), 1.0
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n, LATERAL (
    SELECT jsonb_build_object('Key', 'heart_rate', 'Sid', n %% 3, 'Time', n, 'Value', jsonb_build_object('bpm', 50 + n %% 60)) AS raw,
           'bench:' || n AS raw_id,
           %(begins)s::timestamp + (n - %(first)s) * (%(ends)s::timestamp - %(begins)s::timestamp) / (1 + %(last)s - %(first)s) AS at
) AS made
"""
_LEDGER = """
INSERT INTO bronze_loaded_months (load_id, source, month, rows, hash_sum) VALUES (gen_random_uuid(), 'mi_fitness', %s, %s, 0)
"""


def fill(dsn: str, rows: int) -> None:
    """So many more rows, spread evenly over ten years of months, with all indexes, counted by the ledger, vacuumed."""
    months = [date(FIRST_YEAR + n // 12, n % 12 + 1, 1) for n in range(YEARS * 12)]
    spans = [(month, rows * n // len(months) + 1, rows * (n + 1) // len(months)) for n, month in enumerate(months)]
    spans = [(month, first, last) for month, first, last in spans if last >= first]
    table = sql.Identifier(f"bronze_{SOURCE}")
    with ThreadPoolExecutor(os.cpu_count()) as several:
        list(several.map(lambda worker: _aside(dsn, table, worker, spans), range(os.cpu_count() or 1)))
    with psycopg.connect(dsn, autocommit=True) as session:
        for month, first, last in spans:
            with session.transaction():
                session.execute(do.ATTACH_MONTH, (SOURCE, month, _name(month)))
                session.execute(_LEDGER, (month, last - first + 1))
        session.execute(sql.SQL("VACUUM ANALYZE {}").format(table))


def _aside(dsn: str, table: sql.Identifier, worker: int, spans: list[tuple[date, int, int]]) -> None:
    """One worker's months: filled and indexed before anybody sees them."""
    aside = sql.Identifier(f"bronze_tmp_bench_{worker}")
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("SET synchronous_commit = off")
        session.execute("SET maintenance_work_mem = '256MB'")
        session.execute(sql.SQL(do.ASIDE).format(aside=aside, table=table))
        for month, first, last in spans[worker :: os.cpu_count() or 1]:
            target, ends = sql.Identifier(_name(month)), (month + timedelta(days=31)).replace(day=1)
            bounds = {"first": sql.Literal(month), "next": sql.Literal(ends)}
            with session.transaction():
                session.execute(do.MONTH_TABLE, (SOURCE, month, _name(month)))
                values = {"first": first, "last": last, "begins": month, "ends": ends}
                session.execute(sql.SQL(_FILL).format(month=target), values)
                session.execute(sql.SQL(do.INDEX_MONTH).format(aside=aside, month=target, **bounds))
        session.execute(sql.SQL("DROP TABLE {}").format(aside))


def _name(month: date) -> str:
    return f"bronze_tmp_bench_{month:%Y%m}"
