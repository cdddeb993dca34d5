"""What only our loader is asked: cost by number of records, a table that is full already, size on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import psycopg

from bench.bronze_runs import Bench, Sample
from bench.bronze_spans import TABLE, Span

Say = Callable[[str], None]
FOLLOWING, LATE, SCATTERED = "the next months", "late, last months", "late, all months"
_SIZES = """
SELECT sum(pg_total_relation_size(inhrelid)), sum(pg_indexes_size(inhrelid)),
       (SELECT sum(pg_relation_size(x.indexrelid)) FROM pg_index AS x JOIN pg_inherits AS i ON i.inhrelid = x.indrelid
        JOIN pg_class AS c ON c.oid = x.indexrelid JOIN pg_am AS a ON a.oid = c.relam
        WHERE i.inhparent = %s::regclass AND a.amname = 'gin')
FROM pg_inherits WHERE inhparent = %s::regclass
"""


class Size(NamedTuple):
    """Bytes on disk."""

    total: int
    indexes: int
    gin: int


class Growth(NamedTuple):
    """Loads into an empty table, by number of records; loads of a chunk into the largest table and into an empty one, by shape."""

    loads: dict[int, list[Sample]]
    full: dict[str, list[Sample]]
    empty: dict[str, list[Sample]]
    size: Size


def grow(bench: Bench, sizes: Sequence[int], chunk: int, rounds: int, say: Say) -> Growth:
    """All sizes in turn, the largest once: its table stays and is given `chunk` records more, in three shapes."""
    loads: dict[int, list[Sample]] = {size: [] for size in sizes}
    for number in range(1, rounds + 1):
        for size in sizes[:-1]:
            loads[size].append(_into_empty(bench, Span(0, size)))
            say(f"round {number}: {size:,} records: {loads[size][-1].seconds:.2f} s")
    largest = sizes[-1]
    with bench.server.fresh("bench_full") as dsn:
        bench.prepare(dsn)
        loads[largest].append(bench.ours(dsn, Span(0, largest)))
        say(f"{largest:,} records: {loads[largest][-1].seconds:.2f} s")
        size_on_disk = sizes_of(dsn)
        with psycopg.connect(dsn, autocommit=True) as session:
            session.execute("VACUUM (ANALYZE)")  # what autovacuum would do meanwhile, at a time it chooses
        full: dict[str, list[Sample]] = {}
        empty: dict[str, list[Sample]] = {}
        for number in range(rounds):
            for shape, span in _shapes(largest, chunk, number).items():
                empty.setdefault(shape, []).append(_into_empty(bench, span))
                full.setdefault(shape, []).append(bench.ours(dsn, span))
                say(f"{chunk:,} more, {shape}: {full[shape][-1].seconds:.2f} s; empty {empty[shape][-1].seconds:.2f} s")
    return Growth(loads, full, empty, size_on_disk)


def sizes_of(dsn: str) -> Size:
    """How large our table is."""
    with psycopg.connect(dsn) as session:
        row = session.execute(_SIZES, (TABLE, TABLE)).fetchone()
    return Size(*(int(n or 0) for n in row or (0, 0, 0)))


def _into_empty(bench: Bench, span: Span) -> Sample:
    with bench.server.fresh("bench") as dsn:
        bench.prepare(dsn)
        return bench.ours(dsn, span)


def _shapes(largest: int, chunk: int, number: int) -> dict[str, Span]:
    """A chunk that no load had before, in each shape; late ones come from a device of their own."""
    return {
        FOLLOWING: Span(largest + number * chunk, chunk),
        LATE: Span(largest - chunk, chunk, device=1 + 2 * number),
        SCATTERED: Span(0, chunk, stride=max(largest // chunk, 1), device=2 + 2 * number),
    }
