"""Options of the commands on the life of the data: erased, saved, brought back, looked up in the audit log."""

from __future__ import annotations

import argparse

from scripts.commandline.kinds import positive

_WORDS = "a file that holds a passphrase, used in place of STATE_KEY"


def erase(parser: argparse.ArgumentParser) -> None:
    """What goes."""
    parser.add_argument(
        "--source", dest="sources", nargs="+", action="extend", metavar="SOURCE", help="everything of these sources"
    )
    parser.add_argument("--before", metavar="DATE", help="what was measured before this local day, such as 2024-01-01")
    parser.add_argument("--expired", action="store_true", help="what is older than the setting `retention` lets a source keep")
    parser.add_argument("--all", dest="everything", action="store_true", help="everything; only the audit log remains")
    parser.add_argument("--yes", action="store_true", help="do it; without it the plan is shown and nothing is changed")


def backup(parser: argparse.ArgumentParser) -> None:
    """Where it goes and what locks it."""
    parser.add_argument("file", metavar="FILE", help="the backup to write, such as pdp.backup")
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")
    parser.add_argument("--passphrase-file", metavar="FILE", default="", help=_WORDS)


def restore(parser: argparse.ArgumentParser) -> None:
    """What is brought back."""
    parser.add_argument("file", metavar="FILE", help="a backup this program has written")
    force = "replace what the data directory holds, which is put aside in it first"
    parser.add_argument("--force", action="store_true", help=force)
    parser.add_argument("--passphrase-file", metavar="FILE", default="", help=_WORDS)


def audit(parser: argparse.ArgumentParser) -> None:
    """How many lines."""
    parser.add_argument("--last", type=positive, default=50, metavar="N", help="lines at most, the newest (50)")
