"""All pages as one manual page, pdp(1), in the language of man. The same bytes for the same commands."""

from __future__ import annotations

from collections.abc import Sequence

from config import VERSION
from scripts.commandline.examples import DESCRIPTIONS, EXAMPLES
from scripts.commandline.page import Option, Page
from scripts.commandline.text import EXITS, FILES


def manual(run: Page, commands: Sequence[Page]) -> str:
    """The manual page. `run`: the page of what goes without a command."""
    lines = [
        '.\\" Made by: python main.py help --roff',
        f'.TH PDP 1 "" "PDP {VERSION}" "Personal Data Platform"',
        ".SH NAME",
        f"pdp \\- {_plain(run.gives[:1].lower() + run.gives[1:])}",
        ".SH SYNOPSIS",
        *_synopsis(run),
        ".SH DESCRIPTION",
        *_paragraphs(DESCRIPTIONS[""])[1:],
        ".SH OPTIONS",
        *(line for option in run.options for line in _option(option)),
        ".SH COMMANDS",
        "Each takes \\fB\\-\\-json\\fR, \\fB\\-\\-debug\\fR and \\fB\\-\\-help\\fR.",
        *(line for page in commands for line in _command(page)),
        ".SH EXIT STATUS",
        *(line for code, text in EXITS for line in (".TP", f".B {code}", _plain(text))),
        ".SH FILES",
        *(line for name, text in FILES for line in (".TP", f".I {_plain(name)}", _plain(text))),
        ".SH EXAMPLES",
        *_examples(""),
    ]
    return "\n".join(lines) + "\n"


def _command(page: Page) -> list[str]:
    common = {"--json", "--debug", "--help"}
    own = [option for option in page.options if not common & set(option.flags)]
    return [
        f".SS {_plain(page.name)}",
        _plain(page.gives + "."),
        ".PP",
        *_synopsis(page),
        *_paragraphs(DESCRIPTIONS.get(page.name, ())),
        *(line for option in own for line in _option(option)),
        *_examples(page.name),
        *(line for action in page.actions for line in _command(action)),
    ]


def _synopsis(page: Page) -> list[str]:
    return [".nf", _plain(page.synopsis), ".fi"] if len(page.synopsis) < 78 else [_plain(page.synopsis)]


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in (".PP", _plain(text))]


def _option(option: Option) -> list[str]:
    flags = ", ".join(f"\\fB{_plain(flag)}\\fR" for flag in option.flags)
    value = "|".join(option.choices) or option.value
    head = f"{flags} \\fI{_plain(value)}\\fR" if flags and value else flags or f"\\fI{_plain(value)}\\fR"
    return [".TP", head, _plain(option.help)]


def _examples(name: str) -> list[str]:
    return [line for example, text in EXAMPLES.get(name, ()) for line in (".TP", f".B pdp {_plain(example)}", _plain(text))]


def _plain(text: str) -> str:
    """Text that means itself: no control line, no escape, hyphens that can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace('"', "\\(dq")
    for character, name in {"…": "\\&...", "→": "\\(->", "–": "\\(en", "≥": "\\(>=", "×": "\\(mu"}.items():
        text = text.replace(character, name)
    return f"\\&{text}" if text.startswith((".", "'")) else text
