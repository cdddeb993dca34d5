"""Streams whose lists are named by the records of another: `posts/{post_id}/comments` of every post that is new or has changed.

The parent's pages are gone through in the order they came; the state names the page and the parent on it, so an attempt that dies goes on
there. A parent that comes again in later pages of one pass is asked once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from config.mapping import found
from config.rest import Parent, Stream
from config.stage import Pages
from ingestion.rest.client import Refused
from ingestion.rest.found import MisshapenError, records_in
from ingestion.rest.reading import Reader, Round

_GONE = (404, 410)
_NO_KEYS = ("", ".", "..")
"""What would lead to another path."""


class Children:
    """The lists of one child stream."""

    def __init__(self, reader: Reader, parent: Parent, parents: Stream, pages: Pages, now: datetime) -> None:
        self._reader, self._parent, self._parents, self._pages, self._now = reader, parent, parents, pages, now

    def read(self, parent_pages: Sequence[tuple[str, str]], state: Mapping[str, Any], *, again: bool) -> None:
        """From where the state stands to the last of the parent's pages, (name, path) each. `again`: whether a stream that is read
        whole in every run may begin anew. Where a page that the state names is gone, all are asked for again."""
        if self._parent.every and again and "ended" in state:
            state = {}
        names = [name for name, _ in parent_pages]
        since = state.get("from", "")
        todo = parent_pages[names.index(since) + 1 :] if since in names else parent_pages
        at, index, left = (state["page"], state["index"], state.get("round")) if state.get("page") in names else ("", 0, None)
        asked: set[str] = set()
        for name, path in todo:
            keys = list(self._keys(path))
            begin = index if name == at else len(keys) if at else 0
            at = "" if name == at else at
            asked.update(keys[:begin])
            for place in range(begin, len(keys)):
                if keys[place] not in asked:
                    asked.add(keys[place])
                    self._one(keys[place], name, place, since, left)
                left = None
        if todo or "ended" not in state:
            self._reader.advance({"from": names[-1] if names else "", "ended": self._now.isoformat()})

    def _one(self, key: str, name: str, place: int, since: str, left: Mapping[str, Any] | None) -> None:
        """The list of one parent."""

        def state_of(round_: Round | None, high: Any) -> dict[str, Any]:  # noqa: ARG001
            if round_ is not None:
                return {"from": since, "page": name, "index": place, "round": round_}
            return {"from": since, "page": name, "index": place + 1}

        scope = key if self._parent.every else f"{name}:{key}"  # a list that goes X, Y, X is news where its parent has changed
        round_ = self._reader.resumed(left) if left else self._reader.begun()
        try:
            self._reader.read(round_, state_of, lambda digest, _: self._pages.known(digest), key, scope)
        except Refused as error:
            if error.status not in _GONE or round_["n"]:
                raise
            self._reader.advance(state_of(None, None))  # the parent has been removed since

    def _keys(self, path: str) -> Iterator[str]:
        """What the parents on a page are called."""
        with open(path, "rb") as file:
            body = file.read()
        try:
            records = records_in(json.loads(body), self._parents) if body.strip() else []
        except (ValueError, RecursionError, MisshapenError):
            return
        for record in records:
            key = found(record, self._parent.field)
            if isinstance(key, (str, int)) and not isinstance(key, bool) and key not in _NO_KEYS:
                yield str(key)
