"""All streams of a REST source, one after the other, from where each stands to its end.

A stream that fails does not keep the others from going on; its error ends the attempt when they are done, and what was committed stays. A
stream whose round an attempt finished that died later is not polled again within the hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from config.errors import SourceError
from config.rest import RestDeclaration, Stream
from config.stage import Finding, Inputs, Outputs, Pages, Report
from ingestion.calls import RAW, Calls
from ingestion.inbox import INBOX, copy_inbox
from ingestion.reports import joined
from ingestion.rest import moments, signing
from ingestion.rest.answer import Limited
from ingestion.rest.children import Children
from ingestion.rest.client import Client
from ingestion.rest.reading import Reader, Round, Told, Unreadable, said
from ingestion.rest.secrets import Secrets

if TYPE_CHECKING:
    from ingestion.rest import RestSource

_FRESH = timedelta(hours=1)
_SLOTS = 1000
"""Pages of a list without a cursor that are compared one by one with those of last time; later ones with all that are held."""
_SHORT = 16
"""Digits of a digest that are enough for that."""


def extract(source: type[RestSource], inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Dropped files and new pages. Raises what `fetch` raises."""
    report = fetch(source, outputs, settings)
    return joined(copy_inbox(inputs, outputs), report) if INBOX in inputs.roles() else report


def fetch(source: type[RestSource], outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """New pages of every stream. Raises SourceDenied, SourceUnavailable, SourceRefused, SettingsError."""
    declaration = source.declaration(settings)
    told = Told()
    pages = {stream.name: outputs.pages(RAW, stream.name) for stream in declaration.streams}
    if not source.ready(settings):
        Calls(outputs).note_pages(pages)
        return {"rows": {}, "balance": {"unit": "file", "came": 0, "fates": {}}, "findings": []}
    secrets = Secrets.of(declaration.name, settings, declaration.tokens())
    with connected(source, declaration, secrets, outputs) as client:
        failures = _Polling(source, client, secrets, pages, outputs, told).all()
        told.findings += client.findings.values()
    Calls(outputs).note_pages(pages)
    if failures:
        raise failures[0]
    fates = dict(sorted(told.fates.items()))
    return {"rows": {}, "balance": {"unit": "file", "came": sum(fates.values()), "fates": fates}, "findings": told.findings}


@contextmanager
def connected(
    source: type[RestSource], declaration: RestDeclaration, secrets: Secrets, outputs: Outputs | None
) -> Iterator[Client]:
    """A client that signs in. Without `outputs` it shares no limits and keeps no tokens."""
    client = Client(declaration, source.judge, outputs.cache() if outputs is not None and declaration.rate else "")
    try:
        signing.sign(client, secrets, None if outputs is None else outputs.pages(RAW, signing.STREAM))
        yield client
    finally:
        client.close()


class _Polling:
    """One extraction."""

    def __init__(
        self,
        source: type[RestSource],
        client: Client,
        secrets: Secrets,
        pages: Mapping[str, Pages],
        outputs: Outputs,
        told: Told,
    ) -> None:
        self._source, self._client, self._secrets, self._pages, self._outputs = source, client, secrets, pages, outputs
        self._told, self._now = told, datetime.now(UTC)  # impure: what is new, not what comes of it
        self._after_death = any(each.new() for each in pages.values())

    def all(self) -> list[SourceError]:
        """Every stream; gives the errors of those that failed."""
        failures: list[SourceError] = []
        for stream in self._client.declaration.streams:
            try:
                self._one(stream)
            except Limited as error:
                self._tell("incomplete", f"{error.what} The next run goes on where this one stopped.", stream)
            except Unreadable as error:
                self._tell("incomplete", _UNREADABLE[error.reason], stream)
            except SourceError as error:
                failures.append(error)
        return failures

    def _tell(self, code: str, message: str, stream: Stream) -> None:
        finding: Finding = {"code": code, "message": message, "where": stream.name, "count": 1}
        self._told.findings.append(finding)

    def _one(self, stream: Stream) -> None:
        pages = self._pages[stream.name]
        state = pages.state() or {}
        if state.get("said", said(stream)) != said(stream):
            state = {}
            self._tell("declared_anew", "The stream is declared otherwise than before; all of it is asked for again.", stream)
        done = self._after_death and "ended" in state and self._is_fresh(state["ended"])
        reader = Reader(self._client, self._source.paginator(stream), stream, pages, self._secrets, self._told, self._now)
        if stream.parent is not None:
            parent = next(each for each in self._client.declaration.streams if each.name == stream.parent.stream)
            Children(reader, stream.parent, parent, pages, self._now).read(
                parent_pages(self._outputs, self._pages[parent.name], parent.name), state, again=not done
            )
        elif not done:
            self._list(reader, pages, state)

    def _is_fresh(self, ended: Any) -> bool:
        moment = moments.moment(ended)
        return moment is not None and timedelta(0) <= self._now - moment < _FRESH

    def _list(self, reader: Reader, pages: Pages, state: Mapping[str, Any]) -> None:
        """A stream of its own."""
        reached, slots = state.get("cursor"), list(state.get("slots", ()))
        round_ = reader.resumed(state["round"]) if state.get("round") else reader.begun(reached)

        def held(digest: str, number: int) -> bool:
            if reader.is_incremental or number >= _SLOTS:
                return pages.known(digest)
            seen = slots[number] == digest[:_SHORT] if number < len(slots) else pages.known(digest)
            slots[number : number + 1] = [digest[:_SHORT]]
            return seen

        def state_of(left: Round | None, high: Any) -> dict[str, Any]:
            compare = {"slots": slots} if slots else {}
            if left is not None:
                return {"cursor": reached, "round": left, **compare}
            return {"cursor": high, "ended": self._now.isoformat(), **compare}

        reader.read(round_, state_of, held)


def parent_pages(outputs: Outputs, pages: Pages, name: str) -> list[tuple[str, str]]:
    """(name, path) of every page of a stream, in force or not yet, in the order they came."""
    numbered = re.compile(rf"{re.escape(name)}/((\d{{6,}})-[^/]*\.json)")
    places = {member: file.path for member, file in outputs.previous(RAW).items()}
    places |= {page.member: page.path for page in pages.new()}
    found = [(match, path) for member, path in places.items() if (match := numbered.fullmatch(member))]
    return [(match[1], path) for match, path in sorted(found, key=lambda each: int(each[0][2]))]


_UNREADABLE = {
    "json_too_deep": "An answer nests too deep; it is kept as a dead letter, and asked for again in the next run.",
    "not_json": "The server answers with something that is no JSON; it is kept as a dead letter, and asked for again in the next run.",
    "no_records": "An answer does not hold its records where they were; it is kept as a dead letter, and asked for again.",
}
