"""A page as text for a terminal, in the sections of a manual page."""

from __future__ import annotations

import shutil
import sys
import textwrap

from scripts.commandline.examples import DESCRIPTIONS, EXAMPLES
from scripts.commandline.page import Option, Page

EXITS = (
    ("0", "done"),
    ("1", "a step failed (the others still ran), or a check found a problem"),
    ("2", "a wrong option or setting; nothing was done"),
    ("75", "try again: another run holds the data, or others kept changing the remote state"),
    ("130, 143", "stopped by Ctrl-C or a signal; what was finished stands"),
)
"""Exit code → what it tells."""
FILES = (
    ("data/", "the data directory (DATA_DIR): inbox/, raw/, records/, processed/, registry.db, store/"),
    ("config/settings.yaml", "settings; PDP_SETTINGS names another file"),
    (".env", "secrets and settings of this machine; the environment goes before it"),
)
_IN, _WIDE = 4, 110


def written(page: Page, commands: dict[str, str] | None = None) -> str:
    """The page with NAME, SYNOPSIS, DESCRIPTION, OPTIONS, EXAMPLES, EXIT STATUS and FILES; COMMANDS are listed where they are given."""
    width = max(60, min(_WIDE, shutil.get_terminal_size().columns))
    title = f"python main.py {page.name}".rstrip()
    parts = [
        ("NAME", [_indented(f"{title} - {page.gives[:1].lower()}{page.gives[1:]}", width)]),
        ("SYNOPSIS", [_hanging(page.synopsis, width)]),
        ("DESCRIPTION", ["\n\n".join(_indented(text, width) for text in DESCRIPTIONS.get(page.name, (f"{page.gives}.",)))]),
        ("ACTIONS", [_entry(action.name.split()[-1], action.gives, width) for action in page.actions]),
        ("ARGUMENTS", [_option(option, width) for option in page.arguments]),
        ("OPTIONS", [_option(option, width) for option in page.flags]),
        ("COMMANDS", [f"{' ' * _IN}{name:<13}{text}" for name, text in (commands or {}).items()]),
        ("EXAMPLES", [f"{' ' * _IN}python main.py {line}\n{' ' * 2 * _IN}{text}" for line, text in _examples(page)]),
        ("EXIT STATUS", [f"{' ' * _IN}{code:<10}{text}" for code, text in EXITS]),
        ("FILES", [_entry(name, text, width) for name, text in FILES]),
    ]
    return "\n\n".join("\n".join([_heading(name), *lines]) for name, lines in parts if lines) + "\n"


def _examples(page: Page) -> list[tuple[str, str]]:
    own = list(EXAMPLES.get(page.name, ()))
    return own + [example for action in page.actions for example in EXAMPLES.get(action.name, ())]


def _heading(name: str) -> str:
    return f"\033[1m{name}\033[0m" if sys.stdout.isatty() else name


def _option(option: Option, width: int) -> str:
    return _entry(option.shown, option.help, width)


def _entry(head: str, text: str, width: int) -> str:
    body = textwrap.wrap(text, width - 2 * _IN, break_long_words=False, break_on_hyphens=False)
    return "\n".join([f"{' ' * _IN}{head}", *(f"{' ' * 2 * _IN}{line}" for line in body)])


def _indented(text: str, width: int) -> str:
    return textwrap.fill(
        text, width, initial_indent=" " * _IN, subsequent_indent=" " * _IN, break_long_words=False, break_on_hyphens=False
    )


def _hanging(text: str, width: int) -> str:
    first, rest = " " * _IN, " " * (_IN + 4)
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
