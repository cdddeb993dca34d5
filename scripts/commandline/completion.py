"""`completion bash|zsh|fish`: the shell's script, made of the very options each command has."""

from __future__ import annotations

from argparse import Namespace
from typing import NamedTuple

from config.sources import SOURCES
from pipeline.dag import Dag
from pipeline.nodes import STAGES, nodes
from scripts.answer import Answer
from scripts.commandline.help import pages
from scripts.commandline.page import Option, Page
from scripts.doctor.finding import AREAS

FILES = "@files"
"""In place of words: the shell completes names of files."""


class Place(NamedTuple):
    """Where on the command line somebody stands: after a command, or an action of one."""

    at: str
    """`plan`, `bronze backup`; empty at the very beginning, `run` after the first word of a run."""
    flags: tuple[tuple[str, str], ...]
    """(flag, what it does)."""
    values: tuple[tuple[str, str], ...]
    """(flag that takes a value, words for it or `FILES`); a value nobody can guess has no words."""
    words: tuple[tuple[str, str], ...]
    """(word that may stand here, what it does)."""
    files: bool
    """Names of files may stand here."""


def completion(options: Namespace) -> Answer:
    """The script; where it goes is in `help completion`."""
    from scripts.commandline import shells

    script = getattr(shells, options.shell)(places())
    return Answer({"shell": options.shell, "script": script}, script.rstrip("\n"))


def places() -> list[Place]:
    """Every place there is, the very beginning first."""
    run, commands = pages()
    begin = _place(run, "")
    named = tuple((page.name, page.gives) for page in commands)
    found = [begin._replace(words=(*named, *begin.words)), begin._replace(at="run")]
    for page in commands:
        found.append(_place(page, page.name))
        found += [_place(action, action.name) for action in page.actions]
    return found


def _place(page: Page, at: str) -> Place:
    flags = tuple((flag, option.help) for option in page.flags for flag in option.flags)
    values = tuple((flag, _words(option)) for option in page.flags if option.value for flag in option.flags)
    arguments = [_words(option) for option in page.arguments]
    actions = tuple((action.name.split()[-1], action.gives) for action in page.actions)
    words = tuple((word, "") for text in arguments if text != FILES for word in text.split())
    return Place(at, flags, values, (*actions, *words), FILES in arguments)


def _words(option: Option) -> str:
    """What may stand for a value, by the name it has on the page."""
    if option.choices:
        return " ".join(option.choices)
    return {
        "SOURCE": " ".join(SOURCES),
        "NAME": " ".join(SOURCES),
        "STAGE": " ".join(STAGES),
        "NODE": " ".join(Dag(nodes(SOURCES, sealed=True), STAGES).order),
        "AREA": " ".join(AREAS),
        "FILE": FILES,
        "DIR": FILES,
    }.get(option.value, "")
