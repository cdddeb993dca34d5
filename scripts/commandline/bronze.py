"""Actions of `bronze` and their options."""

from __future__ import annotations

import argparse

from scripts.commandline.kinds import actions, nothing


def bronze(parser: argparse.ArgumentParser) -> None:
    """The actions of `bronze`."""
    actions(parser, _BRONZE)


def _psql(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="after --: passed on to psql")


def _backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the archive to write, such as bronze.dump")
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")


def _restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="an archive bronze backup has written")
    force = "replace what the embedded database holds, once FILE is restored beside it"
    parser.add_argument("--force", action="store_true", help=force)


def _upgrade(parser: argparse.ArgumentParser) -> None:
    where = "the folder of the old version's postgres; without it the usual places and PATH are searched"
    parser.add_argument("--old-bin", metavar="DIR", default="", help=where)
    parser.add_argument("--drop-old", action="store_true", help="remove the old version's data an earlier upgrade has kept")


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sql", action="store_true", help="only print what an administrator runs to make the roles")


def _reconcile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="only these sources")
    parser.add_argument("--repair", action="store_true", help="load what is missing; rows that are there are never touched")


def _retain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="only these sources")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--before", metavar="DATE", help="the months that lie before this day entirely, such as 2020-01-01")
    what.add_argument("--restore", metavar="MONTH", help="attach a detached month again, such as 2019-12")
    parser.add_argument("--drop", action="store_true", help="drop them for good; without it they are detached and kept as tables")
    parser.add_argument("--apply", action="store_true", help="do it; without it nothing is changed")


_BRONZE = {
    "init": ("make the database ready: migrations, a table for every source, the four roles", _init),
    "status": ("tables, rows, bytes, freshness, quality, dead letters and loads", nothing),
    "reconcile": ("whether the records in force, the ledger and the rows agree; load what is missing", _reconcile),
    "retain": ("take old months out: what would go, and with --apply it does", _retain),
    "psql": ("a console on the database", _psql),
    "backup": ("save the database to a file", _backup),
    "restore": ("bring a saved database back", _restore),
    "upgrade": ("bring the embedded database to the installed version of PostgreSQL", _upgrade),
}
"""Action of `bronze` → what it gives, its options."""
