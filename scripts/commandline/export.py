"""Options of `export`."""

from __future__ import annotations

import argparse


def export(parser: argparse.ArgumentParser) -> None:
    """What is handed out, and where to."""
    parser.add_argument("--out", required=True, metavar="DIR|FILE.zip", help="a new folder, or a new zip, to write it to")
    formats = ("all", "raw", "csv", "parquet", "fhir", "omh")
    listed = f"in these formats only: {', '.join(formats[:-1])} or {formats[-1]} (all)"
    parser.add_argument("--format", nargs="+", choices=formats, default=["all"], metavar="FORMAT", help=listed)
    parser.add_argument("--source", nargs="+", action="extend", metavar="SOURCE", help="only what came from these sources")
    parser.add_argument("--metric", nargs="+", action="extend", metavar="METRIC", help="only these metrics, or kinds of them")
    parser.add_argument("--from", dest="from_day", metavar="DATE", help="from this local day on, such as 2025-03-01")
    parser.add_argument("--to", dest="to_day", metavar="DATE", help="up to this local day, itself included")
    others = "with the rows of other people that a source holds; without it they stay out"
    parser.add_argument("--with-others", action="store_true", help=others)
