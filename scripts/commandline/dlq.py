"""Actions of `dlq` and their options."""

from __future__ import annotations

import argparse
import os

from scripts.commandline.kinds import actions, positive


def dlq(parser: argparse.ArgumentParser) -> None:
    """The actions of `dlq`."""
    actions(parser, _DLQ)


def _letters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", default="", metavar="SOURCE", help="only this source's")
    states = ("open", "replayed", "obsolete", "ignored", "all")
    parser.add_argument("--state", choices=states, default="open", help="those in this state; open without it")
    parser.add_argument("--reason", default="", metavar="CODE", help="those refused for this reason")


def _letter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=positive, metavar="ID", help="its number in dlq list")


def _show(parser: argparse.ArgumentParser) -> None:
    _letter(parser)
    parser.add_argument("--raw", action="store_true", help="print its bytes as they were received; without it nothing of them")


def _replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="only these sources' letters; all without one")
    parser.add_argument("--id", nargs="+", action="extend", type=positive, metavar="ID", help="the sources of these letters")
    parser.add_argument("--dry-run", action="store_true", help="tell which letters would be tried, and by which nodes")
    parser.set_defaults(jobs=1, executor="", strict=bool(os.environ.get("CI")))


def _ignore(parser: argparse.ArgumentParser) -> None:
    _letter(parser)
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why it will never be mended; kept with it")


_DLQ = {
    "list": ("the dead letters, and how many there are for each reason", _letters),
    "show": ("all that is known of one", _show),
    "replay": ("try the open ones again, after a fix", _replay),
    "ignore": ("set one aside that nobody will mend", _ignore),
}
"""Action of `dlq` → what it gives, its options."""
