"""Reads one list page by page: each page is committed with the state that follows it, before the next is asked for.

A round is one polling from its first page to its last. Its state says where it began, the token of the next page and the newest change
seen, so that an attempt that dies is continued by the next. A page as held costs no bytes; a token that comes again, or a page, is asked
for anew and then refused, so that no server keeps us for ever.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin

from config.errors import SourceRefused
from config.rest import Stream
from config.stage import Finding, Pages
from ingestion.calls import Call
from ingestion.rest import moments
from ingestion.rest.answer import Answer, Busy, Expired
from ingestion.rest.client import Ask, Client, Refused
from ingestion.rest.found import MisshapenError, records_in
from ingestion.rest.paginators import Steps, Token, Way
from ingestion.rest.secrets import Secrets
from ingestion.rest.validity import Validity
from ingestion.strict_json import BadJSONError

_LONGEST_TOKEN = 16 << 10
_GONE = (400, 404, 410)
"""What servers say of a page token they know no more."""
Round = dict[str, Any]


class Unreadable(Busy):
    """An answer whose records cannot be found, even when asked again."""

    def __init__(self, answer: Answer, reason: str) -> None:
        super().__init__("An answer holds no records that can be read.")
        self.answer, self.reason = answer, reason


class Looping(Busy):
    """A page or token that was there before."""


class Page(NamedTuple):
    """A page that can be read."""

    answer: Answer
    records: list[Any]
    digest: str
    next: Token | None


class Told:
    """What an extraction has to tell."""

    def __init__(self) -> None:
        self.fates: Counter[str] = Counter()
        self.findings: list[Finding] = []


class Reader:
    """Reads the lists of one stream."""

    def __init__(
        self, client: Client, steps: Steps, stream: Stream, pages: Pages, secrets: Secrets, told: Told, now: datetime
    ) -> None:
        self._client, self._steps, self._stream, self._pages, self._secrets = client, steps, stream, pages, secrets
        self._told, self._now, self._validity = told, now, Validity(stream.schema_)
        self._said = said(stream)
        self._tokens: set[bytes] = set()

    def advance(self, state: Mapping[str, Any], *, repeated: int = 0) -> None:
        """The state alone."""
        self._pages.advance({**state, "said": self._said}, repeated=repeated)

    @property
    def is_incremental(self) -> bool:
        """Whether a record's change is told by a field of it."""
        return self._stream.cursor is not None

    def begun(self, reached: Any = None, high: Any = None) -> Round:
        """A new round. `reached`: the newest change of earlier ones; `high`: of this one, when it is begun anew."""
        since = moments.begin(self._stream.cursor, reached)
        token = self._steps.first(since, self._now)
        return {"reached": reached, "since": moments.kept(since), "token": token, "high": high or reached, "n": 0, "last": ""}

    def resumed(self, left: Mapping[str, Any]) -> Round:
        """A round that an earlier attempt left, where it left it; from its beginning where tokens work only once."""
        if "token" in left:
            return {**left, "token": _each(left["token"], self._secrets.shown)}
        return self._again(left)

    def read(
        self,
        round_: Round,
        state_of: Callable[[Round | None, Any], Mapping[str, Any]],
        held: Callable[[str, int], bool],
        key: str = "",
        scope: str = "",
    ) -> None:
        """From where the round stands to its end. `state_of(what is left of the round, newest change)`: the state to commit; `held`:
        whether a page of this digest and number brings nothing new; `key`: the parent's, of a child stream; `scope`: within what two
        pages that are alike are one.

        Raises as `Client.get`, SourceRefused for pages without end, and Expired when a new round does not help either.
        """
        for last in (False, False, True):
            self._tokens.clear()
            following: Round | None = round_
            try:
                while following is not None:
                    round_ = following
                    following = self._step(round_, state_of, held, (key, scope))
            except Expired:
                if last:
                    raise
                round_ = self._again(round_)
            else:
                return

    def _again(self, left: Mapping[str, Any]) -> Round:
        on = self._stream.cursor is not None and self._stream.cursor.oldest_first
        return self.begun(left["high"] if on else left["reached"], left["high"])

    def _step(self, round_: Round, state_of: Any, held: Callable[[str, int], bool], whose: tuple[str, str]) -> Round | None:
        """One page; gives what is left of the round."""
        try:
            page = self._page(round_, *whose)
        except Unreadable as error:
            self._keep_evidence(error, state_of(self._left(round_), round_["high"]))
            raise
        except Looping as error:
            raise SourceRefused(str(error), "Check `pages` of the stream.", "endless_pages") from None
        high = self._highest(round_["high"], page.records)
        following = None
        if page.next is not None:
            following = {**round_, "token": page.next, "high": high, "n": round_["n"] + 1, "last": page.digest}
        again = held(page.digest, round_["n"])
        self._commit(page, state_of(self._left(following), high), again=again)
        return following

    def _page(self, round_: Round, key: str, scope: str) -> Page:
        """The page a round stands at. Raises as `Client.get`, Unreadable, Looping, Expired."""
        self._tokens.add(_mark(round_["token"]))
        way, since = self._steps.ask(round_["token"]), moments.read(round_["since"])
        ask = request(self._client.declaration.base_url, self._stream, way, since, key)
        try:
            return self._client.get(ask, lambda answer: self._understood(answer, round_, scope))
        except Refused as error:
            if round_["n"] and error.status == getattr(self._stream.pages, "end_status", None):
                return Page(Answer(error.status, {}, b"", ""), [], "", None)
            if round_["n"] and error.status in _GONE:
                raise Expired("The server does not know a page's token any more.") from error
            raise

    def _understood(self, answer: Answer, round_: Round, scope: str) -> Page:
        """What an answer holds and where it leads. Raises Unreadable, Looping, Expired, SourceRefused."""
        if not answer.body.strip():
            return Page(answer, [], "", None)
        try:
            records = records_in(answer.document, self._stream)
            digest = _digest(scope, records)
        except BadJSONError:
            raise Unreadable(answer, "not_json") from None
        except MisshapenError:
            raise Unreadable(answer, "no_records") from None
        except RecursionError:
            raise Unreadable(answer, "json_too_deep") from None
        following = self._steps.after(round_["token"], answer, records)
        if following is not None and len(json.dumps(following)) > _LONGEST_TOKEN:
            raise SourceRefused("The server's name for the next page is longer than any.", "Do not trust it.", "long_token")
        if following is not None and _mark(following) in self._tokens:
            raise Looping("The server names a page as the next that has been already.")
        if records and digest == round_["last"] and not getattr(self._steps, "marches", False):
            raise Looping("The server gives one page again and again.")
        return Page(answer, records, digest, following)

    def _left(self, round_: Round | None) -> Round | None:
        """What of a round a state may hold: no secret, and no token that works only once."""
        if round_ is None or self._stream.reusable:
            return None if round_ is None else {**round_, "token": _each(round_["token"], self._secrets.hidden)}
        return {"reached": round_["reached"], "high": round_["high"]}

    def _highest(self, high: Any, records: list[Any]) -> Any:
        """The newest change seen. A record of the future must not hide those that come before it."""
        cursor = self._stream.cursor
        if cursor is None:
            return None
        if any(moments.vague(record, cursor) for record in records):
            raise SourceRefused(
                f"The field {cursor.field} tells a time without an offset, so nobody knows how it compares with UTC.",
                "Say `format: local` in the stream's cursor, or a `lag` of 14h.",
                "cursor_without_offset",
            )
        marks = [mark for record in records if (mark := moments.mark(record, cursor)) is not None]
        marks = [min(mark, self._now) if isinstance(mark, datetime) else mark for mark in marks]
        so_far = moments.read(high)
        return moments.kept(max([*marks, *([] if so_far is None else [so_far])], default=None))

    def _commit(self, page: Page, state: Mapping[str, Any], *, again: bool) -> None:
        if not page.records:
            self.advance(state)
            self._told.fates["unused:empty"] += 1
        elif again:
            self.advance(state, repeated=1)
            self._told.fates["duplicate"] += 1
        else:
            facts = {**self._facts(page.answer), "records": len(page.records), "invalid": self._validity.count(page.records)}
            state = {**state, "said": self._said}
            self._pages.commit(page.answer.body, state, facts=facts, records=len(page.records), digest=page.digest)
            self._told.fates["accepted"] += 1

    def _keep_evidence(self, error: Unreadable, state: Mapping[str, Any]) -> None:
        """What cannot be read is kept once, as a dead letter to be; the state stays where it was."""
        digest = hashlib.sha256(error.answer.body).hexdigest()
        if not self._pages.known(digest):
            facts = {**self._facts(error.answer), "records": 0, "reason": error.reason}
            state = {**state, "said": self._said}
            self._pages.commit(error.answer.body, state, facts=facts, records=0, digest=digest, suffix=".txt")
            self._told.fates[f"rejected:{error.reason}"] += 1

    def _facts(self, answer: Answer) -> dict[str, Any]:
        declaration = self._client.declaration
        template = f"{declaration.base_url}/{(self._stream.path or self._stream.name).lstrip('/')}"
        return {"call": Call.answered(declaration.api_version, template, answer.status, answer.headers)._asdict()}


def request(base_url: str, stream: Stream, way: Way, since: datetime | float | None, key: str = "") -> Ask:
    """The request for a page. `since`: where its round begins; `key`: what stands in place of the parent's placeholder."""
    path = (stream.path or stream.name).lstrip("/")
    if stream.parent is not None:
        path = path.replace(f"{{{stream.parent.param}}}", quote(key, safe=""))
    url = f"{base_url}/{path}"
    if way.url:
        return Ask(urljoin(url, way.url), method=stream.method)
    asked = dict(way.params)
    if stream.cursor is not None and stream.cursor.param and since is not None:
        asked[stream.cursor.param] = moments.written(since, stream.cursor.format)
    if stream.method == "GET":
        return Ask(url, {**stream.params, **asked})
    body = {**stream.body, **asked}
    return Ask(url, stream.params, "POST", **({"form": body} if stream.body_as == "form" else {"json": body}))


def said(stream: Stream) -> str:
    """Changes when a stream asks for something else than before: then a state of before means nothing."""
    asked = {"path", "method", "params", "body", "body_as", "pages", "cursor", "parent"}
    text = json.dumps(
        stream.model_dump(mode="json", include=asked, exclude={"cursor": {"lag"}}, exclude_defaults=True), sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest(scope: str, records: list[Any]) -> str:
    """Of what a page brings: what stands around its records (a clock, a request's name) may change."""
    text = json.dumps([scope, records], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _mark(token: Token) -> bytes:
    return hashlib.blake2b(json.dumps(token, sort_keys=True).encode(), digest_size=8).digest()


def _each(token: Any, change: Callable[[str], str]) -> Any:
    """A token with every text in it changed."""
    if isinstance(token, str):
        return change(token)
    if isinstance(token, list):
        return [_each(part, change) for part in token]
    return {name: _each(part, change) for name, part in token.items()} if isinstance(token, dict) else token
