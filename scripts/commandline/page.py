"""A command's parser as a page: the one description that help, the manual page and the shells' completion are made of."""

from __future__ import annotations

import argparse
from typing import NamedTuple


class Option(NamedTuple):
    """An option, or an argument without a flag."""

    flags: tuple[str, ...]
    """Empty for an argument."""
    value: str
    """What stands for its value, such as FILE; empty for a switch."""
    choices: tuple[str, ...]
    help: str

    @property
    def shown(self) -> str:
        """As a heading: `-h, --help`, `--out FILE`, `SOURCE`."""
        value = "|".join(self.choices) or self.value
        return f"{', '.join(self.flags)} {value}".strip() if self.flags else value


class Page(NamedTuple):
    """One command, or one action of a command."""

    name: str
    """Words after the program's: `plan`, `bronze backup`; empty for the run itself."""
    gives: str
    synopsis: str
    options: tuple[Option, ...]
    actions: tuple[Page, ...]

    @property
    def flags(self) -> tuple[Option, ...]:
        """Options with a flag."""
        return tuple(option for option in self.options if option.flags)

    @property
    def arguments(self) -> tuple[Option, ...]:
        """What stands without a flag."""
        return tuple(option for option in self.options if not option.flags)


def page_of(parser: argparse.ArgumentParser, name: str = "", program: str = "") -> Page:
    """The page of a parser; `program` replaces its program's name in the synopsis."""
    options, actions = [], []
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way to ask
        if isinstance(action.choices, dict):
            actions = [page_of(found, f"{name} {word}", program) for word, found in action.choices.items()]
        elif action.help != argparse.SUPPRESS:
            options.append(_option(action))
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    if program:
        usage = usage.replace("python main.py", program, 1)
    return Page(name, (parser.description or "").rstrip("."), usage, tuple(options), tuple(actions))


def _option(action: argparse.Action) -> Option:
    takes = action.nargs != 0
    choices = tuple(str(choice) for choice in action.choices or ())
    value = str(action.metavar or action.dest.upper()) if takes else ""
    return Option(tuple(action.option_strings), value, choices, action.help or "")
