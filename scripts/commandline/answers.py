"""Options of the commands that answer: why, whence, what, when."""

from __future__ import annotations

import argparse

from scripts.commandline.kinds import positive


def node(parser: argparse.ArgumentParser) -> None:
    """One node."""
    parser.add_argument("node", metavar="NODE")


def graph(parser: argparse.ArgumentParser) -> None:
    """How the DAG is drawn."""
    parser.add_argument("--format", choices=("text", "mermaid", "svg", "html"), default="text")
    parser.add_argument("--out", metavar="FILE", help="write it there instead of printing it")


def lineage(parser: argparse.ArgumentParser) -> None:
    """An artifact, and which way to look."""
    parser.add_argument("artifact", metavar="ARTIFACT[@vN]")
    parser.add_argument("--up", action="store_true", help="only what it was made from")
    parser.add_argument("--down", action="store_true", help="only what was made of it")


def diff(parser: argparse.ArgumentParser) -> None:
    """An artifact and two of its versions."""
    parser.add_argument("artifact", metavar="ARTIFACT")
    parser.add_argument("a", metavar="vA")
    parser.add_argument("b", metavar="vB")
    parser.add_argument("--values", action="store_true", help="show up to 20 changed values; without it none is ever shown")


def trace(parser: argparse.ArgumentParser) -> None:
    """A cell of the daily table."""
    parser.add_argument("date", metavar="DATE", help="a day of the daily table, such as 2025-03-01")
    parser.add_argument("metric", metavar="METRIC", help="a column of the daily table, such as systolic")


def query(parser: argparse.ArgumentParser) -> None:
    """SQL, and how its answer is printed."""
    parser.add_argument("sql", nargs="?", metavar="SQL", help="one SELECT; without it the tables and columns are listed")
    parser.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    parser.add_argument("--limit", type=positive, default=1000, metavar="N", help="rows at most (1000)")


def gold(parser: argparse.ArgumentParser) -> None:
    """Where the second making goes."""
    parser.add_argument("--from-bronze", action="store_true", required=True, help="read the raw records from the bronze database")
    parser.add_argument("--out", metavar="FILE", help="write it there instead of gold/from_bronze.duckdb in the data directory")
    install = "let DuckDB fetch its postgres extension from the internet; without it records come through psycopg"
    parser.add_argument("--install-extension", action="store_true", help=install)


def _one_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", default="", metavar="RUN", help="a run's id or its beginning; the last one without")


def runs(parser: argparse.ArgumentParser) -> None:
    """Which runs."""
    one = "one run's nodes, slowest first: its id or its beginning, or last; the list of runs without"
    parser.add_argument("run", nargs="?", default="", metavar="RUN", help=one)
    parser.add_argument("--last", type=positive, default=20, metavar="N", help="how many runs to list (20)")


def report(parser: argparse.ArgumentParser) -> None:
    """A run, and where its page goes."""
    _one_run(parser)
    parser.add_argument(
        "--out", metavar="FILE", help="write the page there instead of reports/run-<id>.html in the data directory"
    )


def openlineage(parser: argparse.ArgumentParser) -> None:
    """A run, and where its events go."""
    _one_run(parser)
    parser.add_argument("--out", metavar="FILE", help="append the events there, one JSON object per line; else they are printed")
    parser.add_argument("--url", metavar="URL", help="send them there; OPENLINEAGE_URL when it is set")
