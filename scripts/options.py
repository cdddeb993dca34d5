"""The command line: every command, what it gives and where its options are. Importing it is cheap; nothing is run here."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from config import VERSION
from scripts.commandline.kinds import FLAGS, Options, described
from scripts.commandline.manual import Manual

COMMANDS = {
    "plan": "what a run would do, and why",
    "explain": "why a node would run or not, to the symbol, setting, library or file; how its outputs came to be",
    "status": "what is in force, step by step; what failed",
    "graph": "the DAG as text, Mermaid, SVG or a page",
    "lineage": "where an artifact comes from, what was made of it",
    "diff": "how two versions of an artifact differ",
    "trace": "from a cell of the daily table to the raw records behind it",
    "query": "SQL on the gold tables; which tables and columns there are",
    "gold": "the gold tables made again from bronze, beside those of the last run",
    "history": "a node's attempts",
    "runs": "the last runs; one run's nodes beside what is usual",
    "report": "one run as a page to keep",
    "openlineage": "one run as OpenLineage events",
    "verify": "whether every artifact, the registry and bronze are as committed",
    "accept": "take a node's outputs over as they are, on the record",
    "gc": "remove the bytes of superseded versions",
    "erase": "everything of a source, older than a day, expired or at all: listed first, then gone for good",
    "backup": "all there is in one encrypted file",
    "restore": "a backup brought back, whole or not at all",
    "audit": "what was erased, exported, saved, restored and signed in to",
    "source": "which sources there are; whether they can be read",
    "bronze": "the bronze database: init, its tables, psql, backup, restore, upgrade",
    "cdc": "the slot in a PostgreSQL whose changes are read: made, dropped, looked at",
    "dlq": "dead letters: what was refused; tried again after a fix",
    "serve": "the dashboard, or the read API",
    "state": "the state kept elsewhere: pull, push, show, verify, gc, rotate, unlock; any command with it",
    "password": "the hash of a password for the dashboard",
    "alerts": "what is not as it should be, and who was told; test tries every channel",
    "export": "everything of a person as files: raw, tables, FHIR, Open mHealth, with a manifest",
    "doctor": "whether this installation is sound; every problem with its mend",
    "events": "a mock API's events, the Lambda function that stores them, run on this machine",
    "mock": "exports of an invented person, in the vendors' own layouts, to try everything with",
    "completion": "completion of commands and options for bash, zsh or fish",
    "help": "a command's manual page",
}
"""Command → what it gives."""
_OPTIONS = {
    "run": "scripts.commandline.running:run",
    "plan": "scripts.commandline.running:selection",
    "explain": "scripts.commandline.answers:node",
    "graph": "scripts.commandline.answers:graph",
    "lineage": "scripts.commandline.answers:lineage",
    "diff": "scripts.commandline.answers:diff",
    "trace": "scripts.commandline.answers:trace",
    "query": "scripts.commandline.answers:query",
    "gold": "scripts.commandline.answers:gold",
    "history": "scripts.commandline.answers:node",
    "runs": "scripts.commandline.answers:runs",
    "report": "scripts.commandline.answers:report",
    "openlineage": "scripts.commandline.answers:openlineage",
    "accept": "scripts.commandline.keeping:accept",
    "gc": "scripts.commandline.keeping:gc",
    "erase": "scripts.commandline.privacy:erase",
    "backup": "scripts.commandline.privacy:backup",
    "restore": "scripts.commandline.privacy:restore",
    "audit": "scripts.commandline.privacy:audit",
    "source": "scripts.commandline.sources:source",
    "bronze": "scripts.commandline.bronze:bronze",
    "cdc": "scripts.commandline.cdc:cdc",
    "dlq": "scripts.commandline.dlq:dlq",
    "serve": "scripts.commandline.serving:serve",
    "state": "scripts.commandline.state:state",
    "alerts": "scripts.commandline.serving:alerts",
    "export": "scripts.commandline.export:export",
    "doctor": "scripts.commandline.upkeep:doctor",
    "events": "scripts.commandline.events:events",
    "mock": "scripts.commandline.upkeep:mock",
    "completion": "scripts.commandline.upkeep:completion",
    "help": "scripts.commandline.upkeep:manual",
}
"""Command → the function that puts its options into a parser, imported only when it is asked for; without one it has none."""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as options; its first word, flags aside, may name a command. Ends the program on a wrong one, with 2."""
    arguments = list(argv)
    at, command = next(((n, a) for n, a in enumerate(arguments) if a not in FLAGS), (0, "run"))
    if command in COMMANDS and not _is_source(command, arguments[at + 1 :]):
        del arguments[at]
    else:
        command = "run"
    parsed = parser_of(command).parse_args(arguments)
    parsed.typed = arguments
    return parsed


def _is_source(command: str, rest: Sequence[str]) -> bool:
    """Whether a word that names a command and a source is meant as the source: no action of the command follows."""
    return command == "cdc" and not {"create", "drop", "status", "-h", "--help"} & set(rest)


def parser_of(command: str) -> argparse.ArgumentParser:
    """The options of one command; `run` is what goes without a name."""
    parser = Manual(
        prog="python main.py" + (f" {command}" if command != "run" else ""),
        description=described(COMMANDS.get(command, "Bring your health telemetry home: run what has to run.")),
        allow_abbrev=False,  # a worker hands its options on as they were written
    )
    parser.set_defaults(command=command)
    if command == "run":
        parser.commands = COMMANDS
        parser.add_argument("--version", action="version", version=f"Personal Data Platform {VERSION}", help="print the version")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    _options_of(command)(parser)
    return parser


def _options_of(command: str) -> Options:
    module, _, function = _OPTIONS.get(command, "scripts.commandline.kinds:nothing").partition(":")
    options: Options = getattr(importlib.import_module(module), function)
    return options
