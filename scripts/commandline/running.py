"""Options of a run, and of what looks at the same selection."""

from __future__ import annotations

import argparse
import os

from scripts.commandline.kinds import positive


def run(parser: argparse.ArgumentParser) -> None:
    """Everything that steers a run."""
    selection(parser)
    parser.add_argument("--jobs", type=positive, default=1, metavar="N", help="run N independent nodes at a time")
    parser.add_argument(
        "--executor",
        default="",
        metavar="dask://HOST:PORT",
        help="run nodes on this Dask cluster; --jobs above 1 is how many at a time",
    )
    strict = "fail a node that reads or writes files it does not declare; on when CI is set"
    parser.add_argument("--strict", action=argparse.BooleanOptionalAction, default=bool(os.environ.get("CI")), help=strict)
    parser.add_argument("--dry-run", action="store_true", help="show the plan, or what --clean would remove; change nothing")
    parser.add_argument("--clean", action="store_true", help="remove generated artifacts; raw ones stay")
    parser.add_argument("--raw", action="store_true", help="with --clean: raw artifacts too")
    _unattended(parser)


def _unattended(parser: argparse.ArgumentParser) -> None:
    due = "stay, and run whenever it is due by five fields of cron in your time zone, never two at a time; --dry-run lists when"
    parser.add_argument("--schedule", metavar="CRON", help=due)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--sync", action="store_true", help="pull the remote state before, push it after, a failed run's too")
    fresh = "the same in a folder of its own, in memory where there is room, removed afterwards: nothing stays on this disk"
    where.add_argument("--stateless", action="store_true", help=fresh)


def selection(parser: argparse.ArgumentParser) -> None:
    """Which part of the DAG is looked at."""
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="only look at these sources")
    parser.add_argument("--start-stage", metavar="STAGE", help="take what earlier stages have committed as it is")
    parser.add_argument("--until-stage", metavar="STAGE", help="leave out later stages")
    parser.add_argument("--only-stage", metavar="STAGE", help="look at this stage only")
    parser.add_argument("--skip-ingestion", action="store_true", help="use what is ingested, look at no inbox and no remote")
    parser.add_argument("--resume", action="store_true", help="finish what the last interrupted or failed run was asked for")
    parser.add_argument("--force", nargs="*", metavar="NODE", help="run these nodes in any case; all without a name")
