"""A look at a REST source without taking anything in: whether its streams can be read, and what their first pages show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from config.errors import PDPError, SettingsError, SourceDenied, SourceUnavailable
from config.mapping import found
from config.rest import Auto, Stream
from ingestion.rest import moments
from ingestion.rest.answer import Answer
from ingestion.rest.auto import detect
from ingestion.rest.client import Client
from ingestion.rest.extraction import connected
from ingestion.rest.found import MisshapenError, records_in
from ingestion.rest.reading import request
from ingestion.rest.secrets import Secrets
from ingestion.strict_json import BadJSONError

if TYPE_CHECKING:
    from ingestion.rest import RestSource

_MOST_FIELDS = 200
_JSON = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array", type(None): "null"}


class Look(NamedTuple):
    """The first page of a stream."""

    answer: Answer
    records: list[Any]


def check(source: type[RestSource], settings: Mapping[str, Any]) -> list[str]:
    """A line for each stream: `ok: …`, `empty: …`, `denied: …`, `unreachable: …` or `wrong settings: …`."""
    if not source.ready(settings):
        return [f"off: {source.declaration(settings).name} cannot sign in: a token it needs is not set."]
    try:
        return [_line(stream, seen) for stream, seen in looks(source, settings)]
    except PDPError as error:
        return [f"wrong settings: {error}"]


def _line(stream: Stream, seen: Look | PDPError | None) -> str:
    if seen is None:
        return f"empty: {stream.name}: its parent has no record to ask for."
    if isinstance(seen, SettingsError):
        return f"wrong settings: {stream.name}: {seen}"
    if isinstance(seen, SourceUnavailable):
        return f"unreachable: {stream.name}: {seen}"
    if isinstance(seen, PDPError):
        return f"denied: {stream.name}: {seen}"
    if not seen.records:
        return f"empty: {stream.name} answers, with no record."
    return f"ok: {stream.name} answers, {len(seen.records)} records on its first page."


def discover(source: type[RestSource], settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Stream → `records` on its first page, `pages` (how it goes on, as it would be declared), `fields` (name → JSON types). A stream
    that cannot be read says why: `error`."""
    told: dict[str, dict[str, Any]] = {}
    for stream, seen in looks(source, settings):
        if isinstance(seen, PDPError):
            told[stream.name] = {"error": str(seen)}
        elif seen is None:
            told[stream.name] = {"records": 0, "pages": None, "fields": {}}
        else:
            told[stream.name] = {"records": len(seen.records), "pages": _pages(stream, seen), "fields": fields(seen.records)}
    return told


def _pages(stream: Stream, seen: Look) -> Any:
    if not isinstance(stream.pages, Auto):
        return stream.pages.model_dump(exclude_defaults=True)
    try:
        return detect(seen.answer, seen.records).model_dump(exclude_defaults=True)
    except PDPError as error:
        return {"error": str(error)}


def fields(records: list[Any]) -> dict[str, list[str]]:
    """Field → JSON types it has; those of objects within objects by their dotted paths."""
    types: dict[str, set[str]] = {}
    for record in records:
        for path, value in _leaves(record, ""):
            if path in types or len(types) < _MOST_FIELDS:
                types.setdefault(path, set()).add(_JSON[type(value)])
    return {path: sorted(kinds) for path, kinds in types.items()}


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and (value or not prefix):
        for name, below in value.items():
            yield from _leaves(below, f"{prefix}.{name}" if prefix else name)
    elif prefix:
        yield prefix, value


def looks(source: type[RestSource], settings: Mapping[str, Any]) -> Iterator[tuple[Stream, Look | PDPError | None]]:
    """The first page of every stream; None where a child's parents are none. Raises SettingsError, SourceDenied without a sign-in."""
    declaration = source.declaration(settings)
    secrets = Secrets.of(declaration.name, settings, declaration.tokens())
    seen: dict[str, Look | PDPError | None] = {}
    with connected(source, declaration, secrets, None) as client:
        for stream in declaration.streams:
            try:
                key = _key(stream, seen)
                seen[stream.name] = None if key is None else _look(source, client, stream, key)
            except PDPError as error:
                seen[stream.name] = error
            yield stream, seen[stream.name]


def _key(stream: Stream, seen: Mapping[str, Look | PDPError | None]) -> str | None:
    """What a child's path is asked with: its parent's first record."""
    if stream.parent is None:
        return ""
    parent = seen[stream.parent.stream]
    records = parent.records if isinstance(parent, Look) else []
    keys = (found(record, stream.parent.field) for record in records)
    return next((str(key) for key in keys if isinstance(key, (str, int))), None)


def _look(source: type[RestSource], client: Client, stream: Stream, key: str) -> Look:
    steps, now = source.paginator(stream), datetime.now(UTC)  # impure: what to look at
    since = moments.begin(stream.cursor, None)
    token = steps.first(since, now)

    def look(answer: Answer) -> Look:
        try:
            return Look(answer, records_in(answer.document, stream) if answer.body.strip() else [])
        except BadJSONError:
            raise SourceDenied(f"{client.host} answers with something that is no JSON.", "Check the stream's path.") from None
        except MisshapenError:
            raise SourceDenied("The answer does not hold its records there.", "Check `records` of the stream.") from None

    return client.get(request(client.declaration.base_url, stream, steps.ask(token), since, key), look)
