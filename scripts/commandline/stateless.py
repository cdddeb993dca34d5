"""Options of `state with`."""

from __future__ import annotations

import argparse


def with_state(parser: argparse.ArgumentParser) -> None:
    """Whether to push, and the command."""
    parser.add_argument("--push", action="store_true", help="push what the command has changed")
    words = "after --: a command of ours, such as trace 2025-03-01 systolic, or a program, which finds the data in DATA_DIR"
    parser.add_argument("words", nargs="*", metavar="COMMAND", help=words)
