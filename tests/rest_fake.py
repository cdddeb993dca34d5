"""A REST API on a real socket, with every way of paging, OAuth, and faults on request; it counts what it was asked.

`/<style>/<list>` serves `lists[<list>]` page by page; styles: page, offset, cursor, json_link, header_link, single, windows, auto_page,
auto_offset. `/<style>/<list>/<key>/<child>` serves those of `lists[<child>]` whose `parent` is the key. Rows may be asked for since a
moment (`updated_since`, compared with `updated_at` as text). What each page was asked for with stands in `asked`.
"""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit


class Fault(NamedTuple):
    """What happens to one request."""

    kind: str
    """429, 500, or any other status; hang, reset, truncated, redirect, huge, html, nonsense, expired; size: pages are of another size
    from here on; duplicate: the page before comes again; loop: the next page is this one."""
    value: Any = None
    """`Retry-After` of a status; seconds of a hang; the page size from here on; the address of a redirect; bytes of a huge answer."""


class Asked(NamedTuple):
    """A request that came."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: str


@dataclass
class FakeAPI:
    """The server's side. Change the fields at any time."""

    url: str = ""
    size: int = 10
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    token: str = ""
    """The bearer token that is asked for; empty: none."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every answer."""
    once: bool = False
    """Whether a cursor works only once."""
    around: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """What becomes of an answer's envelope."""
    refresh_token: str = "refresh-0"
    rotates: bool = True
    requests: list[Asked] = field(default_factory=list)
    """Every request for a page, faults and all."""
    asked: list[str] = field(default_factory=list)
    """Those that a page was given to: `path?parameters`."""
    faults: dict[int, Fault] = field(default_factory=dict)
    """Number of the request (from 1) → what happens to it."""
    plan: Callable[[int], Fault | None] = lambda _: None
    signed_in: int = 0
    _spent: set[str] = field(default_factory=set)
    _expired: int = 0
    _tokens: int = 0
    _last: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Path → (where its last page ended, that page)."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def fail(self, at: int, kind: str, value: Any = None, times: int = 1) -> None:
        """Let requests go wrong: the `at`-th from now (1: the next one), and those right after it."""
        for number in range(at, at + times):
            self.faults[len(self.requests) + number] = Fault(kind, value)

    def expire(self) -> None:
        """No page token given so far works any more."""
        self._expired = self._tokens

    def forget(self) -> None:
        """Count anew."""
        self.requests.clear()
        self.asked.clear()
        self.faults.clear()

    @property
    def held(self) -> dict[str, list[str]]:
        """List → ids of what it holds."""
        return {name: [str(row["id"]) for row in rows] for name, rows in self.lists.items()}

    def twice(self) -> dict[str, int]:
        """Pages that were given more than once."""
        return {page: times for page, times in Counter(self.asked).items() if times > 1}


def rows(count: int, start: int = 0, day: str = "2025-01-01") -> list[dict[str, Any]]:
    """Rows as many APIs have them; each changed a second after the one before."""
    return [
        {
            "id": n,
            "bpm": 60 + n % 40,
            "measured_at": f"{day}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z",
            "updated_at": f"{day}T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}Z",
        }
        for n in range(start, start + count)
    ]


@contextmanager
def fake_api() -> Iterator[FakeAPI]:
    """A server for as long as the block."""
    api = FakeAPI()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        api.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


_WRONG: dict[str, tuple[int, bytes]] = {
    "html": (200, b"<html>please sign in</html>"),
    "nonsense": (200, b'{"message": "we have moved on"}'),
    "expired": (410, b'{"error": "this page is gone"}'),
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none."""


class _Handler(BaseHTTPRequestHandler):
    api: FakeAPI
    _span = (0, 0)
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        self._handle("")

    def do_POST(self) -> None:
        self._handle(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())

    def _handle(self, body: str) -> None:
        parts = urlsplit(self.path)
        params = dict(parse_qsl(parts.query, keep_blank_values=True))
        if body:
            json_body = self.headers.get("Content-Type", "").startswith("application/json")
            params |= {k: str(v) for k, v in json.loads(body).items()} if json_body else dict(parse_qsl(body))
        if parts.path == "/oauth/token":
            self._sign_in(params)
            return
        api = self.api
        with api._lock:
            api.requests.append(Asked(parts.path, params, {k.lower(): v for k, v in self.headers.items()}, body))
            number = len(api.requests)
            fault = api.faults.pop(number, None) or api.plan(number)
        if fault is not None and self._fault(fault):
            return
        if api.token and self.headers.get("Authorization") != f"Bearer {api.token}":
            self._json(401, {"error": "who are you"})
            return
        self._page(parts.path, params, fault)

    def _fault(self, fault: Fault) -> bool:
        """Whether nothing else is to be answered."""
        kind, value = fault
        if kind.isdigit():
            self._json(int(kind), {"error": "no"}, {} if value is None else {"Retry-After": str(value)})
        elif kind == "hang":
            self.api.over.wait(value or 5)
            self.close_connection = True
        elif kind == "reset":
            self.close_connection = True
        elif kind == "truncated":
            self._send(200, b'{"data": [{"id": 1}', {"Content-Length": "5000"})
            self.close_connection = True
        elif kind == "redirect":
            self._send(302, b"", {"Location": str(value)})
        elif kind == "huge":
            self._send(200, b'{"data": [' + b"1," * ((value or 1 << 20) // 2) + b"1]}")
        elif kind in _WRONG:
            self._send(*_WRONG[kind])
        elif kind == "size":
            self.api.size = int(value)
        return kind not in ("size", "duplicate", "loop")

    def _page(self, path: str, params: dict[str, str], fault: Fault | None) -> None:
        api = self.api
        style, _, rest = path.strip("/").partition("/")
        steps = rest.split("/")
        found = api.lists.get(steps[-1])
        if found is None:
            self._json(404, {"error": "no such list"})
            return
        if len(steps) == 3:
            found = [row for row in found if str(row["parent"]) == steps[1]]
        if since := params.get("updated_since"):
            found = [row for row in found if row["updated_at"] >= since]
        with api._lock:
            answer = self._answer(style, path, params, found)
            if answer is None:
                self._json(410, {"error": "this page is gone"})
                return
            status, document, headers = answer
            at, end = self._span
            before = api._last.get(path)
            if fault is not None and fault.kind == "duplicate" and before is not None and before[0] == at:
                document = before[1]
            elif fault is None or fault.kind != "loop":
                api._last[path] = end, document
            if fault is not None and fault.kind == "loop":
                document["next_cursor"] = params.get("cursor", document.get("next_cursor"))
            api.asked.append(path + "?" + "&".join(f"{k}={v}" for k, v in sorted(params.items())))
        self._json(status, document if isinstance(document, list) else api.around(document), headers)

    def _answer(self, style: str, path: str, params: dict[str, str], found: list[dict[str, Any]]) -> Any:
        size, total = self.api.size, len(found)
        self._span = 0, total
        if style == "single":
            return 200, {"data": found}, {}
        if style == "page":
            at = (int(params.get("page", 1)) - 1) * size
            self._span = at, at + size
            return 200, {"data": found[at : at + size]}, {}
        if style == "auto_page":
            page = int(params.get("page", 1))
            self._span = (page - 1) * size, page * size
            last = -(-total // size)
            return 200, {"data": found[(page - 1) * size : page * size], "meta": {"page": page, "total_pages": last}}, {}
        if style in ("offset", "auto_offset"):
            at = int(params.get("offset", 0))
            self._span = at, at + size
            return 200, {"data": found[at : at + size], "offset": at, "limit": size, "total": total}, {}
        if style == "windows":
            inside = [row for row in found if params["start_date"] <= row["updated_at"][:10] < params["end_date"]]
            return 200, {"data": inside}, {}
        return self._linked(style, path, params, found)

    def _linked(self, style: str, path: str, params: dict[str, str], found: list[dict[str, Any]]) -> Any:
        at = self._read(params.get("cursor", ""))
        if at is None:
            return None
        here = found[at : at + self.api.size]
        following = at + len(here)
        self._span = at, following
        token = self._mint(following) if following < len(found) else None
        kept = {k: v for k, v in params.items() if k == "updated_since"}
        link = None if token is None else f"{path}?" + "&".join(f"{k}={v}" for k, v in {**kept, "cursor": token}.items())
        if style == "json_link":
            return 200, {"data": here, "links": {"next": link}}, {}
        if style == "header_link":
            more = {} if link is None else {"Link": f'<{self.api.url}{path}>; rel="first", <{self.api.url}{link}>; rel="next"'}
            return 200, here, more
        return 200, {"data": here, "next_cursor": token, "has_more": token is not None}, {}

    def _mint(self, at: int) -> str:
        """The same token for the same place, unless tokens work only once or have expired."""
        self.api._tokens += 1
        mark = self.api._tokens if self.api.once or self.api._expired else 0
        return base64.urlsafe_b64encode(f"{at}.{mark}".encode()).decode().rstrip("=")

    def _read(self, token: str) -> int | None:
        if not token:
            return 0
        at, _, mark = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().partition(".")
        if token in self.api._spent or (self.api._expired and int(mark) <= self.api._expired):
            return None
        if self.api.once:
            self.api._spent.add(token)
        return int(at)

    def _sign_in(self, params: dict[str, str]) -> None:
        api = self.api
        with api._lock:
            good = params.get("client_id") == "client" and params.get("client_secret") == "client-secret"
            if params.get("grant_type") == "refresh_token":
                good = good and params.get("refresh_token") == api.refresh_token
            if not good:
                self._json(400, {"error": "invalid_grant"})
                return
            api.signed_in += 1
            api.token = f"access-{api.signed_in}"
            answer = {"access_token": api.token, "expires_in": 3600, "token_type": "Bearer"}
            if params["grant_type"] == "refresh_token" and api.rotates:
                api.refresh_token = f"refresh-{api.signed_in}"
                answer["refresh_token"] = api.refresh_token
        self._json(200, answer)

    def _json(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), headers or {})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        said = {"Content-Type": "application/json", "Content-Length": str(len(body)), **self.api.headers, **(headers or {})}
        self.send_response(status)
        for name, value in said.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
