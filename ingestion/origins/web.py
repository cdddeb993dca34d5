"""An export behind a web address: asked whether it changed, fetched with patience, resumed after a broken connection, capped.

`ETag` or `Last-Modified` tell a change (RFC 9110); a download that breaks off goes on with `Range` and `If-Range`, so two versions
are never glued together. No message names more of the address than its host: the rest is often what lets one in.
"""

from __future__ import annotations

import email.message
import http.client
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple, TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit

from config.addresses import on_this_machine, safe_address
from config.errors import SourceDenied, SourceUnavailable, StoreError
from ingestion.calls import Call
from ingestion.google.names import safe_name
from ingestion.origins import guard
from ingestion.origins.remote import MAX_FILE, Remote, token

T = TypeVar("T")

_ATTEMPTS = 5
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0
_REDIRECTS = 5
_BLOCK = 1 << 20
_LATER = "Run again later; what is there stays valid."
_MOVED = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)


class _Busy(Exception):
    """A failure that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.why, self.wait = why, wait


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: http.client.HTTPResponse
    host: str
    path: str


def files(address: str) -> list[Remote]:
    """The one file behind a web address. Raises SourceDenied, SourceUnavailable."""
    return [_patiently(address, lambda: _look(address))]


def _look(address: str) -> Remote:
    """What the server says of the file: asked by HEAD, by a GET of its first byte where HEAD is not known."""
    with _ask(address, "HEAD", {}) as answer:
        if answer.status == 200:
            return _remote(address, answer, answer.headers.get("content-length"))
        _refuse_unless(answer.status in (403, 405, 501), answer)
    with _ask(address, "GET", {"Range": "bytes=0-0"}) as answer:
        _refuse_unless(answer.status in (200, 206), answer)
        whole = answer.headers.get("content-range", "").rpartition("/")[2] if answer.status == 206 else ""
        return _remote(address, answer, whole or answer.headers.get("content-length"))


def _remote(address: str, answer: _Answer, length: str | None) -> Remote:
    size = int(length) if length and length.isascii() and length.isdigit() else None
    return Remote(_name(answer), address, _state(answer.headers), size, lambda path: _fetch(address, path))


def _state(headers: Mapping[str, str]) -> str | None:
    said = headers.get("etag") or headers.get("last-modified")
    return token(said) if said else None


def _name(answer: _Answer) -> str:
    """As the server calls it, else the last part of the path."""
    message = email.message.Message()
    message["content-disposition"] = answer.headers.get("content-disposition", "")
    given = message.get_filename() or unquote(urlsplit(answer.path).path.rpartition("/")[2])
    return safe_name(given.rpartition("/")[2] or "export")


def _fetch(address: str, path: str) -> Call:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as sink:
        download = _Download(address, sink)
        return _patiently(address, download.go_on, lambda: download.moved)


class _Download:
    """A download in as many pieces as the connection needs."""

    def __init__(self, address: str, sink: BinaryIO) -> None:
        self._address, self._sink = address, sink
        self._validator: str | None = None
        self.moved = False
        """Whether the last piece brought so much that patience may start anew."""

    def go_on(self) -> Call:
        """The rest of the bytes; all of them where the file has changed or the server gives no parts."""
        self.moved = False
        have = self._sink.tell() if self._validator else 0
        asked = {"Range": f"bytes={have}-", "If-Range": self._validator} if have and self._validator else {}
        with _ask(self._address, "GET", asked) as answer:
            _refuse_unless(answer.status in (200, 206), answer)
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise SourceDenied(f"{answer.host} packs the file on its way, though asked not to.", "Use another address.")
            begin = have if answer.status == 206 else 0
            if answer.status == 206 and not answer.headers.get("content-range", "").startswith(f"bytes {have}-"):
                raise _Busy("sends another part than was asked for")
            self._sink.seek(begin)
            self._sink.truncate()
            self._validator = _strong(answer.headers)
            self._take(answer, begin)
            return Call.answered("", f"https://{answer.host}/{{path}}", answer.status, answer.headers)._replace(
                state=_state(answer.headers)
            )

    def _take(self, answer: _Answer, have: int) -> None:
        begin, length = have, answer.body.length
        if have + (length or 0) > MAX_FILE:
            raise _too_big(answer.host)
        while block := answer.body.read(_BLOCK):
            have += len(block)
            if have > MAX_FILE:
                raise _too_big(answer.host)
            try:
                self._sink.write(block)
            except OSError as error:
                raise StoreError(f"An export cannot be written: {error.strerror}.", "Free disk space.") from None
            self.moved = self._validator is not None and have - begin >= _BLOCK
        if answer.body.length:  # the connection ended early and http.client says nothing
            raise _Busy("breaks off")


def _strong(headers: Mapping[str, str]) -> str | None:
    """What `If-Range` may hold: a weak ETag promises nothing of bytes."""
    tag = headers.get("etag", "")
    return tag if tag.startswith('"') else headers.get("last-modified")


def _too_big(host: str) -> SourceDenied:
    return SourceDenied(
        f"{host} has a file of more than {MAX_FILE >> 30} GB.", "Check the address; drop large files in the inbox."
    )


@contextmanager
def _ask(address: str, method: str, headers: Mapping[str, str]) -> Iterator[_Answer]:
    """The answer, redirects followed. The connection lives as long as the block."""
    named, url = True, address
    for _ in range(_REDIRECTS + 1):
        parts = urlsplit(url)
        host = parts.hostname or ""
        connection = guard.connect(parts.scheme, host, parts.port, named=named)
        try:
            path = parts.path or "/"
            connection.request(method, f"{path}?{parts.query}" if parts.query else path, headers={**_USUAL, **headers})
            with connection.getresponse() as answer:
                if answer.status not in _MOVED:
                    yield _Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer, host, path)
                    return
                url = _target(url, answer.headers.get("location", ""), named)
            named = named and urlsplit(url).hostname == host
        finally:
            connection.close()
    raise SourceDenied(f"{urlsplit(address).hostname} redirects for ever.", "Check the address.")


_USUAL = {"Accept-Encoding": "identity", "User-Agent": "personal-data-platform", "Connection": "close"}


_IN_URL = "%/:=&?~#+!$,;'@()*[]"


def _target(url: str, location: str, named: bool) -> str:
    """Where a redirect leads: https, or within this machine when the settings themselves name it."""
    host = urlsplit(url).hostname or ""
    try:
        target = safe_address(urljoin(url, quote(location.encode("latin-1"), safe=_IN_URL)))
    except ValueError:
        raise SourceDenied(f"{host} redirects to an address that is not safe.", "Check the address.") from None
    inside = on_this_machine(urlsplit(target).hostname or "")
    if inside and not (named and on_this_machine(host)):
        raise SourceDenied(f"{host} redirects into this machine.", "Do not trust this address.")
    return target


def _refuse_unless(fine: bool, answer: _Answer) -> None:
    if fine:
        return
    if answer.status in _PASSING:
        raise _Busy(f"is too busy (HTTP {answer.status})", _seconds(answer.headers))
    if answer.status in (401, 403):
        raise SourceDenied(f"{answer.host} refuses to give the export (HTTP {answer.status}).", "Share it by a link that works.")
    if answer.status in (404, 410):
        raise SourceDenied(f"{answer.host} has no export there (HTTP {answer.status}).", "Check the address; links expire.")
    raise SourceDenied(f"{answer.host} does not give the export (HTTP {answer.status}).", "Check the address.")


def _seconds(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _patiently(address: str, action: Callable[[], T], moved: Callable[[], bool] = lambda: False) -> T:
    """What `action` gives; tried again while failures may pass, anew whenever it `moved` on."""
    host, tries = urlsplit(address).hostname, 0
    while True:
        try:
            return action()
        except ssl.SSLCertVerificationError:
            raise SourceDenied(f"{host} has no certificate that can be trusted.", "Check the address.") from None
        except (_Busy, OSError, http.client.HTTPException) as error:
            tries = 1 if moved() else tries + 1
            why = error.why if isinstance(error, _Busy) else "cannot be reached, or the connection broke"
            asked = error.wait if isinstance(error, _Busy) else None
            wait = _FIRST_WAIT * 2 ** (tries - 1) if asked is None else asked
            if tries >= _ATTEMPTS or wait > _LONGEST_WAIT:
                raise SourceUnavailable(f"{host} {why}.", _LATER) from None
            time.sleep(wait)
