"""Options of the commands that change what the registry keeps."""

from __future__ import annotations

import argparse

from scripts.commandline.answers import node
from scripts.commandline.kinds import positive


def accept(parser: argparse.ArgumentParser) -> None:
    """A node and the reason."""
    node(parser)
    parser.add_argument("--reason", default="", metavar="TEXT", help="why its outputs are still right; kept in the registry")


def gc(parser: argparse.ArgumentParser) -> None:
    """What is kept."""
    parser.add_argument("--keep", type=positive, default=3, metavar="K", help="versions to keep of each artifact (3)")
    parser.add_argument("--raw", action="store_true", help="raw artifacts too; they cannot be made again")
    parser.add_argument("--dry-run", action="store_true", help="list what would go; change nothing")
