"""`help [COMMAND [ACTION]]`: a manual page; `help --roff`: the whole manual for man."""

from __future__ import annotations

from argparse import Namespace

from config.errors import UsageError
from scripts import options as commandline
from scripts.answer import Answer
from scripts.commandline.page import Page, page_of
from scripts.commandline.roff import manual
from scripts.commandline.text import written

_PROGRAM = "pdp"


def shown(options: Namespace) -> Answer:
    """The page asked for; that of the run without one. UsageError for a command or an action that is not there."""
    if options.roff:
        text = manual(*pages(_PROGRAM))
        return Answer({"manual": text}, text.rstrip("\n"))
    words = list(options.topic)
    page = _page(words)
    text = written(page, commandline.COMMANDS if not words else None)
    return Answer({"command": page.name, "page": text}, text.rstrip("\n"))


def pages(program: str = "") -> tuple[Page, list[Page]]:
    """(the run's page, every command's)."""
    run, *others = (_whole(name, program) for name in ("run", *commandline.COMMANDS))
    return run, others


def _whole(command: str, program: str = "") -> Page:
    name = "" if command == "run" else command
    return page_of(commandline.parser_of(command), name, program)


def _page(words: list[str]) -> Page:
    if not words or words == ["run"]:
        return _whole("run")
    if words[0] not in commandline.COMMANDS:
        raise UsageError(f"There is no command {words[0]!r}.", "All of them: python main.py help")
    page = _whole(words[0])
    for word in words[1:]:
        found = {action.name.split()[-1]: action for action in page.actions}
        if word not in found:
            known = f"Its actions are: {', '.join(found)}." if found else "It has no actions."
            raise UsageError(f"{page.name} has no action {word!r}.", known)
        page = found[word]
    return page
