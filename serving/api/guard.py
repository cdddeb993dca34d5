"""What stands before every question: the name we are called by, the caller's key, how often he asks; and what goes out with an answer.

Two layers, because a browser must be able to read a refusal: `Guard` outermost, `Door` within what answers for other origins.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.configuration import Configuration, digest
from serving.api.errors import Refused, response
from serving.api.limiter import Limiter, network
from serving.api.page import STYLE_SOURCE

Log = Callable[[str, Mapping[str, Any]], None]

OPEN = frozenset({"/", "/health", "/openapi.json"})
"""What answers without a key; /health then says its status and nothing else."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": f"default-src 'none'; style-src {STYLE_SOURCE}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
"""What the log names; any other word is the caller's own text."""
_STRANGER = Refused(
    400, "host", "This server is not called by that name.", "Call it by a name it knows, or add the name to api_allowed_hosts."
)
_NO_KEYS = Refused(
    403, "no_key_set", "No API key is set, so nothing private is told.", "Set SERVE_API_KEY and start the API again."
)
_UNKNOWN = Refused(
    401,
    "unauthorized",
    "This needs a key, and none that is known was sent.",
    "Send it as X-API-Key or as Authorization: Bearer.",
    {"WWW-Authenticate": "Bearer"},
)


class Guard:
    """Checks the Host header, adds the security headers, logs method, route, status and time; turns what fails into a sentence."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str], log: Log) -> None:
        self._app, self._hosts, self._log = app, hosts, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app: ASGIApp = self._app if self._known(scope) else response(_STRANGER)
        try:
            await app(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - a traceback may hold a value: its kind is all that is told
            self._log("failure", {"route": _route(scope), "error": type(error).__name__})
            if not status:
                failed = Refused(
                    500, "internal", "The API failed at this question.", "Its log tells which kind of failure it was."
                )
                await response(failed)(scope, receive, sending)
        took = round((time.perf_counter() - began) * 1000, 1)
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        self._log("request", {"method": method, "route": _route(scope), "status": status, "ms": took})

    def _known(self, scope: Scope) -> bool:
        if "*" in self._hosts:
            return True
        name = Headers(scope=scope).get("host", "").lower()
        return (name if name.endswith("]") else name.rpartition(":")[0] if ":" in name else name) in self._hosts


class Door:
    """Lets those in who have a key, and nobody too often. A caller with a key has a bucket of his own, whoever else asks from there."""

    def __init__(self, app: ASGIApp, configuration: Configuration) -> None:
        self._app, self._keys = app, configuration.keys
        self._limiter = Limiter(configuration.rate)
        self._open = OPEN | ({"/metrics"} if configuration.metrics_open else frozenset())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        key = self._key(scope)
        scope.setdefault("state", {})["known"] = bool(key)
        refused = self._refused(scope, key)
        await (response(refused) if refused else self._app)(scope, receive, send)

    def _refused(self, scope: Scope, key: str) -> Refused | None:
        client = scope.get("client")
        wait = self._limiter.wait(key or network(client[0] if client else ""))
        if wait:
            message = "Too many requests: the limit is counted by the minute."
            return Refused(429, "rate_limit", message, f"Ask again in {wait} s.", {"Retry-After": str(wait)})
        if key or scope["path"] in self._open:
            return None
        return _UNKNOWN if self._keys else _NO_KEYS

    def _key(self, scope: Scope) -> str:
        """A name for the caller's key, "" without a known one. Every key is compared to its end, found or not."""
        headers = Headers(scope=scope)
        kind, _, token = headers.get("authorization", "").partition(" ")
        found = ""
        for sent in (headers.get("x-api-key", ""), token.strip() if kind.lower() == "bearer" else ""):
            mark = digest(sent)
            for number, known in enumerate(self._keys):
                if hmac.compare_digest(mark, known):
                    found = f"key {number}"
        return found


def _route(scope: Scope) -> str:
    """The address as it is declared: what was put into it is nobody's business."""
    return str(getattr(scope.get("route"), "path", "")) or "(none)"
