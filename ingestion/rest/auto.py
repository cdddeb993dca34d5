"""How a list goes on, found out from its first answer: a link, a token, numbers of pages, an offset and a total; else it is whole.

An answer that says it is not whole (`X-Total-Count`, a total) and shows no known way on is refused: part of a list passed off as all of
it is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from config.errors import SourceRefused
from config.mapping import found
from config.rest_parts import Cursor, HeaderLink, JsonLink, Offset, PageNumber, Paginator, Single
from ingestion.rest.answer import Answer
from ingestion.rest.paginators import Steps, Token, Way, link_of, steps

_KINDS: TypeAdapter[Any] = TypeAdapter(Paginator)
_WHERE = ("", "meta", "pagination", "paging", "page_info", "response_metadata", "_metadata", "links", "_links")
_LINKS = ("next", "next_url", "nextUrl", "next.href", "@odata.nextLink", "nextLink", "next_page_url", "next_link")
_TOKENS: Mapping[str, str] = {
    "next_cursor": "cursor",
    "nextCursor": "cursor",
    "nextPageToken": "pageToken",
    "next_page_token": "page_token",
    "nextToken": "nextToken",
    "next_token": "next_token",
    "continuation_token": "continuation_token",
    "continuationToken": "continuationToken",
}
_PAGES = ("total_pages", "totalPages", "last_page", "page_count", "pages")
_TOTALS = ("total", "total_count", "totalCount", "count")


class Detected:
    """Auto. Token: {"as": the way found, "at": its token}."""

    def first(self, since: datetime | float | None, now: datetime) -> Token:  # noqa: ARG002
        return {"as": None, "at": ""}

    def ask(self, token: Token) -> Way:
        return _way(token["as"]).ask(token["at"]) if token["as"] else Way()

    def after(self, token: Token, answer: Answer, records: Sequence[Any]) -> Token | None:
        said = token["as"]
        if said is None:
            kind = detect(answer, records)
            said, at = kind.model_dump(), _begun(kind)
        else:
            at = token["at"]
        following = _way(said).after(at, answer, records)
        return None if following is None else {"as": said, "at": following}


def _way(said: Mapping[str, Any]) -> Steps:
    return steps(_KINDS.validate_python(said))


def _begun(kind: Any) -> Token:
    """The token that the first answer would have been asked for with."""
    if isinstance(kind, PageNumber):
        return [kind.first, None, 0]
    return kind.first if isinstance(kind, Offset) else ""


def detect(answer: Answer, records: Sequence[Any]) -> Any:
    """How the list that begins with this answer goes on, as a declaration. Raises SourceRefused."""
    kind = _by_link(answer) or _by_token(answer) or _by_numbers(answer) or _by_offset(answer, records)
    if kind is not None:
        return kind
    for total in _totals(answer):
        if total > len(records) > 0:
            raise SourceRefused(
                "The answer says there are more records than it holds, and not how to ask for them.",
                "Say how its pages go on: `pages` of the stream.",
                "unknown_pages",
            )
    return Single()


def _by_link(answer: Answer) -> HeaderLink | JsonLink | None:
    if link_of(answer, "next"):
        return HeaderLink()
    for path, value in _at(answer, _LINKS):
        if isinstance(value, str) and value.startswith(("http://", "https://", "/", "?")):
            return JsonLink(path)
    return None


def _by_token(answer: Answer) -> Cursor | None:
    for path, value in _at(answer, _TOKENS):
        if isinstance(value, (str, int)) and value not in ("", False):
            return Cursor(path, _TOKENS[path.rpartition(".")[2]])
    return None


def _by_numbers(answer: Answer) -> PageNumber | None:
    for path, value in _at(answer, _PAGES):
        prefix = path.rpartition(".")[0]
        at = next((name for name in ("page", "current_page", "currentPage") if _int(answer, prefix, name) is not None), None)
        if type(value) is int and at and value > 1:
            return PageNumber(first=_int(answer, prefix, at) or 0, last=path)
    return None


def _by_offset(answer: Answer, records: Sequence[Any]) -> Offset | None:
    for path, value in _at(answer, _TOTALS):
        prefix = path.rpartition(".")[0]
        offset, limit = _int(answer, prefix, "offset"), _int(answer, prefix, "limit")
        if type(value) is int and offset is not None and limit and records:
            return Offset(size=limit, first=offset, total=path)
    return None


def _totals(answer: Answer) -> Iterator[int]:
    count = answer.headers.get("x-total-count", "")
    if count.isascii() and count.isdigit() and len(count) < 10:
        yield int(count)
    yield from (value for _, value in _at(answer, _TOTALS[:3]) if type(value) is int)


def _at(answer: Answer, names: Sequence[str] | Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """(path, what stands there) for each name in each place where such things stand."""
    document = answer.document
    for place in _WHERE:
        for name in names:
            path = f"{place}.{name}" if place else name
            value = found(document, path) if isinstance(document, dict) else None
            if value is not None:
                yield path, value


def _int(answer: Answer, prefix: str, name: str) -> int | None:
    value = found(answer.document, f"{prefix}.{name}" if prefix else name)
    return value if type(value) is int else None
