"""The best loader one writes by hand for this one source: `python -m bench.bronze_handwritten DSN LINES CONSTANTS WAY`.

The raw lines are copied to a one-column temporary table; one INSERT … SELECT parses, hashes, makes key and version, and adds what
is the same for the whole batch as literals. WAY: `existing` (the months are there), `new` (they are made: filled below a parent of
their own without the GIN index, which is then built, and attached), `two` (existing, half of the lines on each of two connections).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

_TABLE = "bronze_mi_fitness"
_MINE = "bronze_mi_fitness_filling"
_BLOCK = 1 << 20
_SESSION = "SET timezone = 'UTC'; SET work_mem = '32MB'; SET jit = off"
_LOCK = "SELECT pg_advisory_xact_lock{shared}(hashtextextended('bronze_load:mi_fitness', 0))"
_STAGE = "CREATE TEMP TABLE stage (line TEXT) ON COMMIT DROP"
_INSERT = """
INSERT INTO {target} ({names}, raw_data, source_timestamp, raw_id, version, partition_key, content_hash, record_index)
SELECT {literals}, p.doc, p.stamp, p.raw_id, COALESCE(known.version, 0) + 1, p.stamp::date, p.hash, p.number
FROM (
    SELECT doc, number, sha256(convert_to(doc::text, 'UTF8')) AS hash,
           concat_ws('/', doc->>'table', doc->>'Uid', doc->>'Sid', doc->>'Key', doc->>'Time') AS raw_id,
           to_timestamp((doc->>'Time')::bigint) AT TIME ZONE 'UTC' AS stamp
    FROM (SELECT line::jsonb AS doc, row_number() OVER () AS number FROM stage OFFSET 0) AS s OFFSET 0
) AS p
LEFT JOIN (SELECT raw_id, max(version) AS version FROM bronze_mi_fitness GROUP BY raw_id) AS known USING (raw_id)
WHERE NOT EXISTS (SELECT FROM bronze_mi_fitness AS b WHERE b.raw_id = p.raw_id AND b.content_hash = p.hash)
"""
_FILLING = f"""
CREATE TABLE {_MINE} (LIKE {_TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id, partition_key),
    UNIQUE NULLS NOT DISTINCT (raw_id, content_hash, partition_key) INCLUDE (version)) PARTITION BY RANGE (partition_key);
CREATE INDEX ON {_MINE} (source_timestamp);
CREATE INDEX ON {_MINE} (validation_status);
CREATE INDEX ON {_MINE} (lineage_id);
CREATE INDEX ON {_MINE} (pipeline_run_id);
CREATE INDEX ON {_MINE} (environment);
CREATE INDEX ON {_MINE} (quality_score)
"""
_ATTACH = """
CREATE INDEX ON {part} USING GIN (raw_data);
ALTER TABLE {mine} DETACH PARTITION {part};
ALTER TABLE {part} ADD CONSTRAINT month_key CHECK (partition_key >= '{month}' AND partition_key < '{month}'::date + interval '1 month');
ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ('{month}') TO ('{next}');
ALTER TABLE {part} DROP CONSTRAINT month_key
"""


def main(dsn: str, lines: Path, constants: dict[str, Any], way: str) -> None:
    """Load once; prints the seconds and the rows."""
    began = time.perf_counter()
    size = lines.stat().st_size
    if way == "two":
        middle = _line_after(lines, size // 2)
        with ThreadPoolExecutor(2) as pool:
            halves = [(0, middle), (middle, size)]
            rows = sum(pool.map(lambda part: _load(dsn, lines, part, constants, [], shared=True), halves))
    else:
        rows = _load(dsn, lines, (0, size), constants, constants["months"] if way == "new" else [])
    print(json.dumps({"seconds": time.perf_counter() - began, "rows": rows}))


def _load(
    dsn: str, lines: Path, part: tuple[int, int], constants: dict[str, Any], months: list[str], shared: bool = False
) -> int:
    names, literals = ", ".join(constants["literals"]), ", ".join(constants["literals"].values())
    with psycopg.connect(dsn) as session:
        session.execute(_SESSION)
        session.execute(_LOCK.format(shared="_shared" if shared else ""))
        session.execute(_STAGE)
        with session.cursor().copy("COPY stage FROM STDIN") as copy:
            for block in _blocks(lines, *part):
                copy.write(block)
        if months:
            session.execute(_FILLING)
        parts = [_one(session, "SELECT create_month(%s, %s)", (_MINE, month)) for month in months]
        insert = _INSERT.format(target=_MINE if months else _TABLE, names=names, literals=literals)
        rows = session.execute(insert.encode()).rowcount
        for name, month in zip(parts, months, strict=True):
            after = _one(session, "SELECT (%s::date + interval '1 month')::date::text", (month,))
            session.execute(_ATTACH.format(part=name, mine=_MINE, table=_TABLE, month=month, next=after).encode())
        if months:
            session.execute(f"DROP TABLE {_MINE}".encode())
    return rows


def _one(session: psycopg.Connection[Any], query: str, parameters: tuple[str, ...]) -> str:
    row = session.execute(query.encode(), parameters).fetchone()
    return str(row[0]) if row else ""


def _blocks(lines: Path, begin: int, end: int) -> Iterator[bytes]:
    """The bytes of the file from `begin` to `end` as COPY's text format wants them."""
    with lines.open("rb") as data:
        data.seek(begin)
        while begin < end and (block := data.read(min(_BLOCK, end - begin))):
            begin += len(block)
            yield block.replace(b"\\", b"\\\\").replace(b"\r", b"\\r").replace(b"\t", b"\\t")


def _line_after(lines: Path, offset: int) -> int:
    """Where the first line after `offset` begins."""
    with lines.open("rb") as data:
        data.seek(offset, os.SEEK_SET)
        data.readline()
        return data.tell()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()), sys.argv[4])
