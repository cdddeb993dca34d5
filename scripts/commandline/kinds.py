"""Kinds of options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

FLAGS = ("--json", "--debug")
"""Every command has them; they may stand before it, too."""

Options = Callable[[argparse.ArgumentParser], None]
"""Puts the options of a command, or of one of its actions, into its parser."""


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("give a whole number of at least 1, such as 2")
    return int(text)


def actions(parser: argparse.ArgumentParser, table: Mapping[str, tuple[str, Options]]) -> None:
    """A word after the command that says what to do; each with options of its own. Name → what it gives, its options."""
    found = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions, each with --help")
    for name, (gives, options) in table.items():
        action = found.add_parser(name, help=gives, description=described(gives))
        for flag in FLAGS:  # after the action, too
            action.add_argument(flag, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        options(action)


def nothing(parser: argparse.ArgumentParser) -> None:
    """A command without options of its own."""


def described(text: str) -> str:
    """What a command gives, as a sentence."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
