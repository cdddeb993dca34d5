"""The web server around the pages: a cookie that tells browsers apart, strict headers, the route of private downloads, and no socket
for pages of other sites."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from serving.dashboard.addresses import BROWSER_COOKIE
from serving.dashboard.downloads import ROUTE, hand_over

if TYPE_CHECKING:
    from starlette.middleware import Middleware
    from starlette.routing import Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


_CHART_SCRIPTS = ("ArrowVegaLiteChart", "arrowFormatUtils", "embed", "loadVegaEmbed", "vega-interpreter")
"""Streamlit's own, before the mark of their version."""


class Shield:
    """ASGI middleware: adds the headers to every answer and the cookie where there is none yet; keeps other sites off the socket."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        headers = {"content-security-policy": _policy(), **_HEADERS}
        self._early = _early()
        self._added = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; what goes back is dressed."""
        sent = dict(scope["headers"]) if scope["type"] in {"http", "websocket"} else {}
        if scope["type"] == "websocket" and not _is_ours(sent):
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = list(self._added)
                if _is_page(message):
                    added.append((b"link", self._early.encode()))
                if _is_page(message) and not _has_cookie(sent):
                    added.append((b"set-cookie", _cookie(_is_encrypted(scope, sent)).encode()))
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self.app(scope, receive, dressed)


def middleware() -> list[Middleware]:
    """For `st.App`."""
    from starlette.middleware import Middleware

    return [Middleware(Shield)]


def routes() -> list[Route]:
    """For `st.App`."""
    from starlette.routing import Route

    return [Route(ROUTE, hand_over, methods=["GET"])]


def stay_home() -> None:
    """From here on Streamlit asks no service elsewhere which address this machine has: it would, to judge a socket."""
    from streamlit import net_util

    net_util.get_external_ip = _unknown


def trust_charts() -> None:
    """From here on Altair checks no part of a chart against its schema while it is made: the charts' tests do."""
    from altair.utils import schemapi

    schemapi.DEBUG_MODE = False


def _unknown() -> str | None:
    return None


def on_error(error: Exception) -> bool:
    """A sentence in the page instead of a traceback; errors of ours say what is wrong and how to mend it."""
    import streamlit as st

    from config.errors import PDPError

    st.error(str(error) if isinstance(error, PDPError) else "This part could not be shown. Reload the page; the log has more.")
    return True


def _early() -> str:
    """Value of the header Link: what draws charts is fetched beside the page's own script, not after it has asked for a chart."""
    import streamlit

    scripts = Path(streamlit.__file__).parent / "static" / "static" / "js"
    names = sorted(file.name for kind in _CHART_SCRIPTS for file in scripts.glob(f"{kind}.*.js"))
    return ", ".join(f"</static/js/{name}>; rel=modulepreload" for name in names)


def _policy() -> str:
    """Nothing is fetched from elsewhere. Vega makes functions of text, hence 'unsafe-eval'; of scripts inside a page, Streamlit's own."""
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_bytes()
    inline = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    known = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'" for text in inline)
    return (
        f"default-src 'self'; script-src 'self' 'unsafe-eval' {known}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-src data:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )


def _is_ours(headers: dict[bytes, bytes]) -> bool:
    """Whether a socket is asked for by a page of this very server, of a site in `server.corsAllowedOrigins`, or by no page at all.

    Streamlit's own check would take any page of this machine, whatever its port.
    """
    from streamlit import config

    origin = headers.get(b"origin", b"").decode("latin-1")
    listed = [each.strip() for each in config.get_option("server.corsAllowedOrigins")]
    return not origin or origin in listed or _place(origin) == headers.get(b"host", b"").decode("latin-1").lower()


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _has_cookie(headers: dict[bytes, bytes]) -> bool:
    """Read as the pages read it, whatever else the machine's other programs have left in the browser."""
    from starlette.requests import cookie_parser

    return bool(cookie_parser(headers.get(b"cookie", b"").decode("latin-1")).get(BROWSER_COOKIE))


def _is_page(message: Message) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in message.get("headers", []))


def _is_encrypted(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    return scope["scheme"] == "https" or headers.get(b"x-forwarded-proto") == b"https"


def _cookie(encrypted: bool) -> str:
    secure = "; Secure" if encrypted else ""
    return f"{BROWSER_COOKIE}={secrets.token_urlsafe(32)}; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000{secure}"
