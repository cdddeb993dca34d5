"""Downloads of private data: made when they are asked for, handed only to the browser that signed in, while it is signed in.

Streamlit serves what its download button was given at `/media/<hash>` to anybody who asks, as long as the page is open, even when it
was made only after the click. So nothing private is given to it: a private download is a link to a route of our own. The route
wants a token nobody can guess, the cookie of the browser that signed in, and a session that is still open; the bytes are made for
that one answer and kept nowhere.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

OFFERED = "downloads: offered"
"""Where a session keeps its offers; every run of its page makes them anew."""
ROUTE = "/private-download/{token}"


@dataclass(frozen=True, eq=False)
class Offer:
    """What a link leads to. Whoever keeps it keeps the link alive: the session does, nobody else."""

    browser: str
    name: str
    kind: str
    make: Callable[[], bytes]
    open: Callable[[], bool]


class Shelf:
    """The offers of this process, held weakly: with its session an offer is gone, and all it could reach."""

    def __init__(self) -> None:
        self._offers: WeakValueDictionary[str, Offer] = WeakValueDictionary()

    def put(self, offer: Offer) -> str:
        """The token of an offer."""
        token = secrets.token_urlsafe(32)
        self._offers[token] = offer
        return token

    def take(self, token: str, browser: str) -> Offer | None:
        """The offer, if this browser may have it now."""
        offer = self._offers.get(token)
        if offer is None or not browser or not hmac.compare_digest(offer.browser, browser) or not offer.open():
            return None
        return offer


SHELF = Shelf()
"""Shared by the pages, which offer, and the route, which hands over."""


async def hand_over(request: Request) -> Response:
    """Answers the route; 404 for whoever may not, and for what is not there."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import PlainTextResponse, Response

    from serving.dashboard.addresses import browser

    offer = SHELF.take(request.path_params["token"], browser(request.cookies))
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if offer is None:
        return PlainTextResponse("This download is no longer offered. Open the page again and sign in.", 404, headers)
    try:
        content = await run_in_threadpool(offer.make)
    except Exception:  # noqa: BLE001 - whatever it is, it is told to nobody outside
        return PlainTextResponse("The file could not be made. Open the page again.", 500, headers)
    headers["Content-Disposition"] = f'attachment; filename="{offer.name}"'
    return Response(content, media_type=offer.kind, headers=headers)
