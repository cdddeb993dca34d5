"""Who loads the same records into the same kind of table, how, and in turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.bronze_runs import Bench, FailedError, Sample, count
from bench.bronze_spans import TABLE, Span
from bench.environments import program
from bench.harness import REPO

NEW, EXISTING = "ours, months are new", "ours, months exist"
BY_HAND = ("by hand, months exist", "by hand, months are new")
TWO = "by hand, two connections"
EXECUTEMANY = "executemany"
PANDAS = ("pandas to_sql, multi", "pandas to_sql, plain")
DLT = "dlt"
AGAIN, GROWN, CHANGED = "the same artifact again", "an export grown by 1 %", "1 % changed, scattered"
"""What ours is given after its first load."""
_TEMPLATE = Path(__file__).with_name("bronze_template.sql")
_FULL, _BARE = "full table, all indexes", "all columns, no index"


@dataclass(frozen=True)
class Contestant:
    """One way to load."""

    name: str
    group: str
    """What `--only` calls it."""
    loads: str
    span: Span
    run: Callable[[Bench, str, Span], dict[str, Sample]]
    """Prepares an empty database and loads; gives its own sample under "" and further ones by name."""
    peer: str = ""
    """The environment it needs."""


def contestants(rows: int, few: int) -> list[Contestant]:
    """All of them, ours first; the slow ones load the `few` first records."""
    whole, part = Span(0, rows), Span(0, few)
    return [
        Contestant(NEW, "ours", _FULL, whole, _ours),
        Contestant(EXISTING, "ours", _FULL, whole, _ours_existing),
        Contestant("limit: psql copy of the raw lines", "limit", "one column, unlogged, no index", whole, _limit_lines),
        Contestant("limit: psql copy of wide rows", "limit", _BARE, whole, _limit_wide),
        Contestant(BY_HAND[0], "handwritten", _FULL, whole, _by_hand("existing")),
        Contestant(BY_HAND[1], "handwritten", _FULL, whole, _by_hand("new")),
        Contestant(TWO, "handwritten", f"{_FULL}, months exist", whole, _by_hand("two")),
        Contestant(EXECUTEMANY, "executemany", _FULL, part, _peer("executemany")),
        Contestant(PANDAS[0], "pandas", _FULL, Span(0, max(few // 5, 1)), _peer("pandas_multi", "pandas"), "pandas"),
        Contestant(PANDAS[1], "pandas", _FULL, part, _peer("pandas_plain", "pandas"), "pandas"),
        Contestant(DLT, "dlt", _BARE, part, _peer("dlt_wide", "dlt"), "dlt"),
        Contestant("dlt by CSV", "dlt", _BARE, part, _peer("dlt_wide_csv", "dlt"), "dlt"),
        Contestant("dlt, narrow", "dlt", "4 columns, no index", part, _peer("dlt_narrow", "dlt"), "dlt"),
    ]


def compete(bench: Bench, who: Sequence[Contestant], rounds: int, say: Callable[[str], None]) -> dict[str, list[Sample]]:
    """Every contestant in turn, `rounds` times: a drift of the machine meets all alike."""
    samples: dict[str, list[Sample]] = {}
    for number in range(1, rounds + 1):
        for one in who:
            with bench.server.fresh("bench") as dsn:
                for name, sample in one.run(bench, dsn, one.span).items():
                    samples.setdefault(name or one.name, []).append(sample)
                    say(f"round {number}: {name or one.name}: {sample.seconds:.2f} s")
    return samples


def _ours(bench: Bench, dsn: str, span: Span) -> dict[str, Sample]:
    bench.prepare(dsn)
    first = bench.ours(dsn, span)
    bench.compare(dsn)
    one_percent = max(span.size // 100, 1)
    found = {
        "": first,
        AGAIN: bench.ours(dsn, span),
        GROWN: bench.ours(dsn, span._replace(size=span.size + one_percent)),
        CHANGED: bench.ours(dsn, span._replace(changed=100)),
    }
    _check(dsn, span, more=one_percent + len(range(0, span.size, 100)))
    return found


def _ours_existing(bench: Bench, dsn: str, span: Span) -> dict[str, Sample]:
    bench.prepare(dsn, span.months)
    sample = bench.ours(dsn, span)
    bench.compare(dsn)
    return {"": sample}


def _limit_lines(bench: Bench, dsn: str, span: Span) -> dict[str, Sample]:
    _execute(dsn, b"CREATE UNLOGGED TABLE bare (line TEXT)")
    return {"": bench.copied(dsn, f"bare FROM '{bench.lines(span)}'", span.size)}


def _limit_wide(bench: Bench, dsn: str, span: Span) -> dict[str, Sample]:
    create, rows = bench.wide
    _execute(dsn, create.read_bytes())
    return {"": bench.copied(dsn, f"wide FROM '{rows}'", span.size)}


def _by_hand(way: str) -> Callable[[Bench, str, Span], dict[str, Sample]]:
    def run(bench: Bench, dsn: str, span: Span) -> dict[str, Sample]:
        _lay_template(dsn, [] if way == "new" else span.months)
        what = [dsn, str(bench.lines(span)), str(bench.constants), way]
        sample = bench.timed([sys.executable, "-m", "bench.bronze_handwritten", *what])
        bench.compare(dsn)
        return {"": sample}

    return run


def _peer(way: str, peer: str = "") -> Callable[[Bench, str, Span], dict[str, Sample]]:
    def run(bench: Bench, dsn: str, span: Span) -> dict[str, Sample]:
        if peer != "dlt":
            _lay_template(dsn, span.months)
        python = program(peer, "python") if peer else sys.executable
        what = [way, dsn, str(bench.lines(span)), str(span.size), str(bench.constants)]
        sample = bench.timed([python, "-P", str(REPO / "bench" / "bronze_peers.py"), *what])
        _check(dsn, span, "loaded.records" if peer == "dlt" else TABLE)
        return {"": sample}

    return run


def _lay_template(dsn: str, months: Iterable[str]) -> None:
    _execute(dsn, _TEMPLATE.read_bytes())
    for month in months:
        _execute(dsn, f"SELECT create_month('{TABLE}', '{month}')".encode())


def _execute(dsn: str, statements: bytes) -> None:
    with psycopg.connect(dsn) as session:
        session.execute(statements)


def _check(dsn: str, span: Span, table: str = TABLE, more: int = 0) -> None:
    """All rows are there, or the figure would count for nothing."""
    found = count(dsn, table)
    if found != span.size + more:
        raise FailedError(f"{found} rows in {table} instead of {span.size + more}")
