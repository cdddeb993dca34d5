"""`source add`: a new API from one address. It is asked once; what its answer suggests and a person agrees to becomes a YAML file.

Everything can be given by options; what is not is asked for on a terminal, and taken as proposed where nobody can be asked.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from config.addresses import web_address
from config.errors import PDPError, UsageError
from config.sources import REST_FOLDER, name_fault
from scripts.answer import Answer
from scripts.project import ROOT, Project
from scripts.source_yaml import written
from scripts.summary import command
from scripts.words import counted

_AUTH = "none, bearer:VARIABLE, header:NAME:VARIABLE, query:NAME:VARIABLE or basic:USER_VARIABLE:PASSWORD_VARIABLE"
_SECRET_PARAMETER = re.compile(r"(?i)(api_?key|access_?token|token|secret|password|auth|signature|sig)$")
_READING = re.compile(r"(?P<metric>[a-z0-9_]+|=[^=@]+)=(?P<value>[^@]+)@(?P<time>[^:]+)(:(?P<unit>.+))?")
Ask = Callable[[str, str], str]
"""(question, what is proposed) → what a person says; what is proposed where nobody can be asked."""


class _Tried(NamedTuple):
    """What came of asking the API once."""

    document: Any
    pages: dict[str, Any]
    """How its list goes on, as a declaration."""
    how: str


def answer(project: Project, options: Namespace) -> Answer:
    """Ask, try, write. Raises UsageError, SettingsError, SourceDenied, SourceUnavailable; then nothing is written."""
    ask = _asking(options)
    name = _name(options.name or ask("What shall the source be called?", ""))
    options.url = options.url or ask("The address of one of its lists?", "")
    base, stream, params = _address(options.url, options.stream)
    options.auth = options.auth or ask(f"How does it sign in ({_AUTH})?", "none")
    auth = _auth(options.auth)
    declared: dict[str, Any] = {"base_url": base} | ({"auth": auth} if auth else {})
    declared |= {"rate": options.rate} if options.rate else {}
    declared |= {"allow_private": True} if options.allow_private else {}
    again = f"{command()} source add {name} --url {shlex.quote(options.url)} --auth {options.auth}"
    tried = _try(name, again, {**declared, "streams": [{**stream, "params": params, "pages": {"type": "single"}}]})
    said, notes = _agreed(tried, stream, params, options, ask)
    text = written({**declared, **said}, _schema())
    _check(name, text)
    shown = f"{os.path.basename(REST_FOLDER)}/{name}.yaml"
    if not options.dry_run:
        _write(name, text)
    head = [*notes, "", f"{shown}{' would say' if options.dry_run else ''}:", *(f"  {line}" for line in text.splitlines())]
    told = head if options.dry_run else [*head, "", *_next(name, said)]
    return Answer({"name": name, "file": shown, "yaml": text, "written": not options.dry_run}, "\n".join(told).strip())


def _asking(options: Namespace) -> Ask:
    if options.yes or options.json or not sys.stdin.isatty():
        return lambda _, proposed: proposed

    def ask(question: str, proposed: str) -> str:
        sys.stderr.write(f"{question}{f' [{proposed}]' if proposed else ''} ")
        sys.stderr.flush()
        return sys.stdin.readline().strip() or proposed

    return ask


def _name(name: str) -> str:
    if not name:
        raise UsageError(
            "The new source has no name.", "Example: python main.py source add heart_cloud --url https://api.example/v1/heart"
        )
    if os.path.exists(os.path.join(REST_FOLDER, f"{name}.yaml")):
        raise UsageError(
            f"There is a source {name} already.", f"Edit {os.path.basename(REST_FOLDER)}/{name}.yaml, or take another name."
        )
    if fault := name_fault(name):
        raise UsageError(f"A source cannot be called {name!r}: {fault}.", "Example: heart_cloud")
    return name


def _address(url: str, called: str | None) -> tuple[str, dict[str, Any], dict[str, str]]:
    """(base address, the stream's name and path, its parameters)."""
    try:
        parts = urlsplit(web_address(url))
    except ValueError as error:
        raise UsageError(f"The address is none to ask: {error}.", "Example: --url https://api.example/v1/heart_rate") from None
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    if held := next((name for name in params if _SECRET_PARAMETER.search(name)), None):
        raise UsageError(
            f"The address holds what looks like a key ({held}); it would lie open in the file.",
            f"Leave it out of the address, and say --auth query:{held}:VARIABLE with a variable that holds it.",
        )
    head, _, last = parts.path.rstrip("/").rpartition("/")
    name = called or re.sub(r"[^a-z0-9]+", "_", last.lower()).strip("_") or "records"
    stream = {"name": name if name[0].isalpha() else f"s_{name}"} | ({"path": last} if last and last != name else {})
    return f"{parts.scheme}://{parts.netloc}{head}", stream, params


def _auth(said: str) -> dict[str, str] | None:
    kind, *rest = said.split(":")
    keys = {"bearer": ("token",), "header": ("name", "token"), "query": ("param", "token"), "basic": ("user", "password")}.get(
        kind, ()
    )
    if kind == "none" and not rest:
        return None
    if not keys or len(rest) != len(keys):
        raise UsageError("That is no way to sign in.", f"Ways are: {_AUTH}.")
    return {"type": kind, **dict(zip(keys, rest, strict=True))}


def _try(name: str, again: str, declared: dict[str, Any]) -> _Tried:
    """Ask the API once, as a run would."""
    from config.declared import held
    from config.rest_files import checked
    from config.settings import RESERVED
    from ingestion.rest import auto
    from ingestion.rest.declared import Declared
    from ingestion.rest.looking import looks

    said = checked(name, declared, "the new source", RESERVED)
    tokens = {variable: value for variable, value in held(Path(ROOT, ".env")).items() if variable in said.tokens}
    if missing := [variable for variable in said.tokens if not tokens.get(variable)]:
        raise UsageError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
            f"Put it into .env ({missing[0]}=…) and ask again: {again}",
        )
    settings = {f"rest_{name}": said.rest, f"tokens_{name}": json.dumps(tokens)}
    ((_, look),) = looks(Declared, settings)
    if isinstance(look, PDPError) or look is None:
        raise look or UsageError("The address shows nothing.", "Give the address of one of its lists.")
    got, document = look.answer, look.answer.document
    from scripts.source_proposals import at, proposed

    rows = at(document, proposed(document).records)
    try:
        kind = auto.detect(got, rows if isinstance(rows, list) else [rows])
    except PDPError as error:
        return _Tried(document, {}, f"how its list goes on is not plain: {error}")
    pages = kind.model_dump(mode="json", exclude_defaults=True)
    return _Tried(document, pages, f"pages: {pages['type']}")


def _agreed(
    tried: _Tried, stream: dict[str, Any], params: dict[str, str], options: Namespace, ask: Ask
) -> tuple[dict[str, Any], list[str]]:
    """(streams, readings and unify; what a person should know)."""
    from scripts.source_proposals import proposed

    where = proposed(tried.document).records
    where = (
        options.records
        if options.records is not None
        else ask("Where are its records (a path; empty: the answer itself)?", where)
    )
    seen = proposed(tried.document, where)
    identity = options.id if options.id is not None else ask("Which field names a record?", seen.id)
    kind = options.pages or ask("How does the list go on?", tried.pages.get("type", "auto"))
    pages = tried.pages if kind == tried.pages.get("type") else {"type": kind}
    cursor = _cursor(options, ask, seen.changed)
    listed = {**stream, "records": where, "id": identity, "params": params, "pages": pages, "cursor": cursor, "time": seen.time}
    whole = {key: value for key, value in listed.items() if value not in ("", {}, None)}
    readings = [_reading(text) for text in options.reading] if options.reading else _agreed_readings(seen.readings, ask)
    notes = [
        f"It answers: {counted(seen.held, 'record')} {f'at {where}' if where else 'in the answer itself'}, {tried.how}.",
        f"Fields: {', '.join(list(seen.fields)[:24]) or 'none'}{' …' if len(seen.fields) > 24 else ''}",
    ]
    unify = proposed(tried.document, where, identity).unify
    return {"streams": [whole]} | ({"readings": readings} if readings else {}) | ({"unify": unify} if unify else {}), notes


def _cursor(options: Namespace, ask: Ask, changed: str) -> dict[str, str] | None:
    said = options.cursor or (
        ask("The field and parameter that ask for what is new (updated_at:since; empty: none)?", "") if changed else ""
    )
    field, _, param = said.partition(":")
    if not field:
        return None
    return {"field": field} | ({"param": param} if param else {}) | ({"initial": options.initial} if options.initial else {})


def _agreed_readings(seen: list[dict[str, str]], ask: Ask) -> list[dict[str, str]]:
    return [r for r in seen if ask(f"Is {r['value']} {r['metric']}, taken at {r['time']}?", "yes").lower() in ("y", "yes")]


def _reading(text: str) -> dict[str, str]:
    found = _READING.fullmatch(text)
    if not found:
        raise UsageError(f"{text!r} is no reading.", "Example: --reading heart_rate=bpm@measured_at")
    return {key: value for key, value in found.groupdict().items() if value}


def _check(name: str, text: str) -> None:
    """What is written is what would be read."""
    import yaml

    from config.rest_files import checked
    from config.settings import RESERVED
    from config.yaml_file import Strict

    checked(name, yaml.load(text, Strict), "the new source", RESERVED)  # noqa: S506 - a safe loader


def _write(name: str, text: str) -> None:
    os.makedirs(REST_FOLDER, mode=0o700, exist_ok=True)
    path = os.path.join(REST_FOLDER, f"{name}.yaml")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _schema() -> str:
    """Where the JSON Schema is, seen from the file."""
    schema = os.path.join(ROOT, "config", "rest.schema.json")
    return os.path.relpath(schema, REST_FOLDER) if REST_FOLDER.startswith(ROOT + os.sep) else schema


def _next(name: str, said: dict[str, Any]) -> list[str]:
    lines = [
        "Next:",
        f"  python main.py source preview {name}    what its first pages hold, and what they would give",
        f"  python main.py {name}                   bring it in",
    ]
    if not said.get("readings"):
        lines.append(
            "  No reading is mapped: its records go to bronze and silver. For the daily table add `readings:`, see docs/connectors.md."
        )
    return lines
