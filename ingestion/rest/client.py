"""Requests to one REST server, with patience where it helps: limits kept, busy and broken answers asked for again, refusals not.

Retried: 408, 425, 429, 5xx, timeouts, lost connections, answers that break off or are no JSON; with growing waits, or as long as
`Retry-After` asks. A wait of more than `longest_wait` is left to the next run. No message, log or error holds an address, a parameter, a
token or anything of an answer's content.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx2
import stamina

from config.addresses import on_this_machine, safe_address
from config.errors import SourceDenied, SourceRefused
from config.rest import RestDeclaration
from config.rest_parts import rates, seconds
from config.stage import Finding
from ingestion.origins.guard import is_address
from ingestion.rest.answer import Answer, Busy, Limited, Unauthorized
from ingestion.rest.limits import Limits
from ingestion.rest.transport import opened
from ingestion.retry_after import retry_after

logging.getLogger("stamina").addHandler(logging.NullHandler())  # a person is told of waits, not of every new try

T = TypeVar("T")
Judge = Callable[[Answer], None]
_LONGEST_BACKOFF = 30.0
_TOLD = 5.0
"""Seconds from which on a wait is told."""
_SLOWEST = 20
"""Of an answer's timeouts, the time it may take in all."""
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)


class Refused(SourceDenied):
    """The server refuses: 4xx. `status` says how."""

    def __init__(self, what: str, mend: str, status: int) -> None:
        super().__init__(what, mend)
        self.args = (what, mend, status)
        self.status = status


class Ask(NamedTuple):
    """One request. `params` are added to those the address holds."""

    url: str
    params: Mapping[str, Any] = {}
    method: str = "GET"
    json: Mapping[str, Any] | None = None
    form: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = {}


class Client:
    """All requests of one extraction. `signed`: the headers that let one in; `renew`: gets new ones, False when there is no way."""

    def __init__(self, declaration: RestDeclaration, judge: Judge, folder: str = "") -> None:
        self.declaration, self._judge = declaration, judge
        self.host = urlsplit(declaration.base_url).hostname or ""
        self.signed: Callable[[], Mapping[str, str]] = dict
        self.keys: Mapping[str, str] = {}
        """Parameters that let one in, added to requests when they are sent and nowhere else."""
        self.renew: Callable[[], bool] = bool
        self.findings: dict[str, Finding] = {}
        self._limits = Limits(rates(declaration.rate), folder)
        self._longest = float(seconds(declaration.longest_wait))
        named = {self.host, urlsplit(getattr(declaration.auth, "token_url", "")).hostname or ""}
        own = {host for host in named if is_address(host) or (host == self.host and declaration.allow_private)}
        self._http = opened(own, declaration.timeout)

    def close(self) -> None:
        """Let go of connections and files."""
        self._http.close()
        self._limits.close()

    def get(self, ask: Ask, look: Callable[[Answer], T], *, sign: bool = True) -> T:
        """What `look` makes of the answer; it may raise Busy, then the request is made again.

        Raises Refused, SourceDenied, Limited (nothing more for now) and Busy (even after all tries).
        """
        first = self.declaration.first_wait
        for attempt in stamina.retry_context(
            self._worth_waiting,
            attempts=self.declaration.retries + 1,
            timeout=None,
            wait_initial=first,
            wait_jitter=first,
            wait_max=_LONGEST_BACKOFF,
        ):
            with attempt:
                return self._once(ask, look, sign=sign)
        raise AssertionError  # the last attempt has returned or raised

    def _once(self, ask: Ask, look: Callable[[Answer], T], *, sign: bool) -> T:
        """Signed in anew once, where that helps."""
        try:
            return look(self._answer(ask, sign=sign))
        except Unauthorized:
            if not sign or not self.renew():
                raise self._stranger() from None
        try:
            return look(self._answer(ask, sign=sign))
        except Unauthorized:
            raise self._stranger() from None

    def _stranger(self) -> SourceDenied:
        return SourceDenied(f"{self.host} does not accept the sign-in.", "Check the token it was given, or sign in there again.")

    def _worth_waiting(self, error: Exception) -> bool | float:
        if not isinstance(error, Busy):
            return False
        if error.wait is None or error.wait <= 0:
            return True
        if error.wait > self._longest:
            return False
        self._tell(error.wait)
        return error.wait

    def _tell(self, wait: float) -> None:
        if wait >= _TOLD:
            sys.stderr.write(f"{self.declaration.name}: waiting {wait:.0f} s for the rate limit\n")

    def _answer(self, ask: Ask, *, sign: bool) -> Answer:
        """One answer that is one. Raises as `get`, and Unauthorized."""
        if sign and not same_server(ask.url, self.declaration.base_url):
            raise SourceRefused(f"{self.host} names a page of another server.", "Do not trust this address.", "foreign_link")
        self._wait_for_limits()
        try:
            answer = self._follow(ask, self._headers(ask, sign=sign), self.keys if sign else {})
        except httpx2.TimeoutException:
            raise Busy(f"{self.host} does not answer in time.") from None
        except httpx2.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise SourceDenied(f"{self.host} has no certificate that can be trusted.", "Check the address.") from None
            raise Busy(f"{self.host} cannot be reached, or the connection broke.") from None
        except httpx2.InvalidURL:
            raise SourceDenied(f"{self.host} names an address that is none.", "Nothing is fetched from there.") from None
        if sign:
            self._note_farewell(answer)
        self._judge(answer)
        self._refuse(answer)
        return answer

    def _wait_for_limits(self) -> None:
        while wait := self._limits.take():
            if wait > self._longest:
                raise Limited(f"The rate limit of {self.declaration.name} is used up for now.", wait=wait)
            self._tell(wait)
            time.sleep(wait)

    def _headers(self, ask: Ask, *, sign: bool) -> dict[str, str]:
        usual = dict(self.declaration.headers)
        if self.declaration.version_header:
            usual[self.declaration.version_header] = self.declaration.api_version
        return {**usual, **ask.headers, **(self.signed() if sign else {})}

    def _follow(self, ask: Ask, headers: Mapping[str, str], keys: Mapping[str, str]) -> Answer:
        """The answer, redirects followed: each judged, and none takes what lets one in to another server."""
        url, params = ask.url, {**ask.params, **keys}
        for _ in range(_REDIRECTS + 1):
            request = self._http.build_request(
                ask.method,
                httpx2.URL(url).copy_merge_params(params) if params else url,
                headers=headers,
                json=ask.json,
                data=ask.form,
            )
            answer = self._read(request)
            if answer.status not in _MOVED:
                return answer
            target = self._target(answer)
            if _origin(target) != _origin(url):
                if ask.method != "GET":
                    raise SourceDenied(f"{self.host} sends a request on to another server.", "Check the address.")
                headers = {}
            if ask.method != "GET" and answer.status not in (307, 308):
                raise SourceDenied(f"{self.host} answers a POST with a redirect.", "Check the stream's path.")
            url, params = target, {}
        raise SourceDenied(f"{self.host} redirects for ever.", "Check the address.")

    def _target(self, answer: Answer) -> str:
        """Where a redirect leads: https, or within this machine when the declaration itself names it."""
        try:
            target = safe_address(urljoin(answer.url, answer.headers.get("location", "")))
        except ValueError:
            raise SourceDenied(f"{self.host} redirects to an address that is not safe.", "Check the address.") from None
        if on_this_machine(urlsplit(target).hostname or "") and not on_this_machine(self.host):
            raise SourceDenied(f"{self.host} redirects into this machine.", "Do not trust this address.")
        return target

    def _read(self, request: httpx2.Request) -> Answer:
        """The whole answer, no larger than it may be."""
        most, body = self.declaration.max_response, bytearray()
        ends = time.monotonic() + _SLOWEST * self.declaration.timeout
        self._http.cookies.clear()  # no API needs them
        answer = self._http.send(request, stream=True)
        try:
            for block in answer.iter_bytes(1 << 16):
                body += block
                if time.monotonic() > ends:
                    raise Busy(f"{self.host} sends its answer too slowly.")
                if len(body) > most:
                    raise SourceDenied(
                        f"{self.host} answers with more than {most >> 20 or 1} MB.",
                        "Ask for smaller pages, or raise `max_response`.",
                    )
        finally:
            answer.close()
        return Answer(answer.status_code, answer.headers, bytes(body), str(answer.url))

    def _refuse(self, answer: Answer) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        if status == 401:
            raise Unauthorized(f"{self.host} does not accept the sign-in.", "Check the token it was given.")
        wait = retry_after(answer.headers)
        if status == 429 or (status == 503 and wait):
            raise Limited(f"{self.host} allows no more requests for now (HTTP {status}).", wait=wait)
        if status in (408, 425) or (status >= 500 and status != 501):
            raise Busy(f"{self.host} is too busy (HTTP {status}).", wait=wait)
        version = self.declaration.api_version
        if version and status in (410, 426):
            what = f"{self.host} no longer speaks version {version} of its API (HTTP {status})."
            raise Refused(what, "Look for a newer version of the source.", status)
        raise Refused(f"{self.host} refuses the request (HTTP {status}).", _MEND.get(status, "Check the stream's path."), status)

    def _note_farewell(self, answer: Answer) -> None:
        """`Deprecation` (RFC 9745) and `Sunset` (RFC 8594): told once."""
        if "deprecation" in answer.headers or "sunset" in answer.headers:
            version = f" version {self.declaration.api_version} of" if self.declaration.api_version else ""
            until = _day(answer.headers.get("sunset", ""))
            ends = f" It ends on {until}." if until else ""
            message = f"{self.host} says that{version} this API is deprecated.{ends} Look for a newer version of the source."
            self.findings.setdefault("deprecated", {"code": "deprecated", "message": message, "count": 1})


_MEND = {
    403: "Check what the token may read.",
    404: "Check the base address and the stream's path.",
    410: "The server no longer has it; a newer version of its API may.",
    426: "The server wants a newer version of its API.",
}


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _day(text: str) -> str:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).date().isoformat()
    except (ValueError, TypeError):
        return ""


def same_server(url: str, base_url: str) -> bool:
    """Whether an address is on the server a source names: only there its sign-in goes."""
    return _origin(url) == _origin(base_url)
