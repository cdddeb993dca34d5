"""How a list goes on from page to page, one class for each way (`config.rest_parts`): what to ask for, and where to go after an answer.

A token is any JSON value but null; it stands in the stream's state, so that a later run goes on with it. Null after a page: it was the
last. What an answer cannot mean (a link to another server, more to come and no way to it) raises SourceRefused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol
from urllib.parse import urljoin, urlsplit

from config.errors import SourceRefused
from config.mapping import found
from config.rest_parts import Auto, Cursor, HeaderLink, JsonLink, Offset, PageNumber, Single, Windows
from ingestion.rest.answer import Answer, Expired
from ingestion.rest.moments import written

Token = Any
_LINK = re.compile(r"<([^>]*)>([^,<]*)")


class Way(NamedTuple):
    """What a token asks for: parameters, and an address of its own instead of the stream's."""

    params: Mapping[str, Any] = {}
    url: str = ""


class Steps(Protocol):
    """A way of going on."""

    def first(self, since: datetime | float | None, now: datetime) -> Token:
        """The token of a round's first page. `since`: where the round begins, None for everything; `now`: when it began."""

    def ask(self, token: Token) -> Way:
        """What to ask for."""

    def after(self, token: Token, answer: Answer, records: Sequence[Any]) -> Token | None:
        """The next page's token; None after the last. Raises Expired when the pages have moved, SourceRefused."""


class _FromTheFirst:
    """Rounds that begin alike, whenever."""

    def first(self, since: datetime | float | None, now: datetime) -> Token:  # noqa: ARG002
        return ""


class OnePage(_FromTheFirst):
    """Single."""

    def ask(self, token: Token) -> Way:  # noqa: ARG002
        return Way()

    def after(self, token: Token, answer: Answer, records: Sequence[Any]) -> Token | None:  # noqa: ARG002
        return None


class Numbers:
    """PageNumber. Token: [number, size of the smallest page so far, number of the last as it was said].

    A page larger than one before it, or fewer pages than there were, says that pages are cut otherwise than before: what lay between
    would be lost.
    """

    def __init__(self, said: PageNumber) -> None:
        self._said = said

    def first(self, since: datetime | float | None, now: datetime) -> Token:  # noqa: ARG002
        return [self._said.first, None, 0]

    def ask(self, token: Token) -> Way:
        size = {self._said.size_param: self._said.size} if self._said.size_param else {}
        return Way({self._said.param: token[0], **size})

    def after(self, token: Token, answer: Answer, records: Sequence[Any]) -> Token | None:
        page, smallest, said = token
        last = found(answer.document, self._said.last) if self._said.last else None
        last = last if type(last) is int else 0
        if (smallest is not None and len(records) > smallest) or last < said:
            raise Expired("The server has changed the size of its pages.")
        if not records or (last and page >= last):
            return None
        return [page + 1, len(records), last]


class Offsets:
    """Offset, counted by what came, so that a server's own idea of the size does no harm."""

    def __init__(self, said: Offset) -> None:
        self._said = said

    def first(self, since: datetime | float | None, now: datetime) -> Token:  # noqa: ARG002
        return self._said.first

    def ask(self, token: Token) -> Way:
        size = {self._said.size_param: self._said.size} if self._said.size_param else {}
        return Way({self._said.param: token, **size})

    def after(self, token: Token, answer: Answer, records: Sequence[Any]) -> Token | None:
        total = found(answer.document, self._said.total) if self._said.total else None
        after = token + len(records)
        return None if not records or (isinstance(total, int) and after >= total + self._said.first) else after


class Cursors(_FromTheFirst):
    """Cursor."""

    def __init__(self, said: Cursor) -> None:
        self._said = said

    def ask(self, token: Token) -> Way:
        size = {self._said.size_param: self._said.size} if self._said.size_param else {}
        return Way({self._said.param: token, **size} if token != "" else size)

    def after(self, token: Token, answer: Answer, records: Sequence[Any]) -> Token | None:
        said = self._said
        if said.has_more and not found(answer.document, said.has_more):
            return None
        at = records[-1] if said.from_last and records else answer.document
        token = None if said.from_last and not records else found(at, said.from_last or said.next)
        if isinstance(token, (str, int)) and token not in ("", False):
            return token
        if said.has_more and (records or not said.from_last):
            raise SourceRefused(
                "The answer says there is more and names no next page.", "Check `pages` of the stream.", "no_next_page"
            )
        return None


class _Links(_FromTheFirst):
    """A link to the next page: kept as an address below the server's own, which it may not leave."""

    def ask(self, token: Token) -> Way:
        return Way(url=token)

    def _link(self, answer: Answer, link: Any) -> Token | None:
        if not isinstance(link, str) or not link:
            return None
        here, there = urlsplit(answer.url), urlsplit(urljoin(answer.url, link))
        if (there.scheme, there.netloc) != (here.scheme, here.netloc) or there.path.startswith("//"):
            raise SourceRefused(
                "The link to the next page leads to another server.", "Do not trust this address.", "foreign_link"
            )
        return f"{there.path}?{there.query}" if there.query else there.path


class JsonLinks(_Links):
    """JsonLink."""

    def __init__(self, said: JsonLink) -> None:
        self._said = said

    def after(self, token: Token, answer: Answer, records: Sequence[Any]) -> Token | None:  # noqa: ARG002
        return self._link(answer, found(answer.document, self._said.next))


class HeaderLinks(_Links):
    """HeaderLink."""

    def __init__(self, said: HeaderLink) -> None:
        self._said = said

    def after(self, token: Token, answer: Answer, records: Sequence[Any]) -> Token | None:  # noqa: ARG002
        return self._link(answer, link_of(answer, self._said.rel))


def link_of(answer: Answer, rel: str) -> str | None:
    """The target of a `Link` header's link of a relation."""
    for target, parameters in _LINK.findall(answer.headers.get("link", "")):
        relations = re.search(r'rel\s*=\s*"?([^";]*)"?', parameters, re.IGNORECASE)
        if relations and rel.lower() in relations[1].lower().split():
            return str(target)
    return None


class DateWindows:
    """Windows; each begins where the one before ended. Token: [begin, end of all], ISO 8601 in UTC."""

    marches = True
    """Two pages may be alike: what lies on the border of two windows is in both."""

    def __init__(self, said: Windows) -> None:
        self._said = said

    def first(self, since: datetime | float | None, now: datetime) -> Token:
        if not isinstance(since, datetime):
            raise SourceRefused("Windows of dates have nowhere to begin.", "Give the cursor an `initial` date.", "no_beginning")
        until = now + timedelta(days=1) if self._said.format == "date" else now  # a date's window ends before that date
        return [since.isoformat(), max(until, since).isoformat()]

    def ask(self, token: Token) -> Way:
        begin, end = self._window(token)
        return Way({self._said.start: written(begin, self._said.format), self._said.end: written(end, self._said.format)})

    def after(self, token: Token, answer: Answer, records: Sequence[Any]) -> Token | None:  # noqa: ARG002
        end = self._window(token)[1]
        return None if end >= _moment(token[1]) else [end.isoformat(), token[1]]

    def _window(self, token: Token) -> tuple[datetime, datetime]:
        begin, until = _moment(token[0]), _moment(token[1])
        return begin, min(begin + timedelta(days=self._said.days), until)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


_STEPS: Mapping[type, Any] = {
    PageNumber: Numbers,
    Offset: Offsets,
    Cursor: Cursors,
    JsonLink: JsonLinks,
    HeaderLink: HeaderLinks,
    Windows: DateWindows,
}


def steps(said: Any) -> Steps:
    """The way a declaration means."""
    if isinstance(said, Auto):
        from ingestion.rest.auto import Detected

        return Detected()
    made: Steps = OnePage() if isinstance(said, Single) else _STEPS[type(said)](said)
    return made
