"""What a browser test needs beside `scripts.browsing`: everything that goes over the wire, what a person would see of an error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from config.errors import UsageError
from scripts import browsing


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium; skips loudly when there is none."""
    try:
        browsing.chromium()
    except UsageError:
        pytest.skip("NO CHROMIUM: what only a browser can show is not tested here; install the package chromium")
    with browsing.browser() as opened:
        yield opened


class Wire:
    """All that a page exchanges with anybody: every frame of every WebSocket, every HTTP body, every address."""

    def __init__(self, page: Any) -> None:
        self.urls: list[str] = []
        self.frames: list[bytes] = []
        self._answers: list[Any] = []
        page.on("request", lambda request: self.urls.append(request.url))
        page.on("response", lambda answer: self._answers.append(answer))
        page.on("websocket", self._socket)

    def _socket(self, socket: Any) -> None:
        self.urls.append(socket.url)
        for event in ("framereceived", "framesent"):
            socket.on(event, lambda payload: self.frames.append(payload if isinstance(payload, bytes) else payload.encode()))

    def bodies(self) -> list[bytes]:
        """The HTTP bodies so far; those the browser keeps no bytes of (redirects, aborted ones) are left out."""
        found = []
        for answer in self._answers:
            with contextlib.suppress(Exception):
                found.append(answer.body())
        return found

    @property
    def received(self) -> int:
        """Bytes of all WebSocket frames."""
        return sum(map(len, self.frames))

    def everything(self) -> bytes:
        """One blob to look for canaries in."""
        return b"\n".join([*self.frames, *self.bodies(), *(url.encode() for url in self.urls)])


def faults(page: Any) -> list[str]:
    """What a person would see of an error."""
    return [e.inner_text()[:300] for e in page.query_selector_all("[data-testid=stException], [data-testid=stAlertContentError]")]


def overflow(page: Any) -> int:
    """Pixels by which the page is wider than its window."""
    return int(
        page.evaluate(
            """() => Math.max(...[document.documentElement, ...document.querySelectorAll(
                '[data-testid=stMain], [data-testid=stAppViewContainer]')].map(e => e.scrollWidth - e.clientWidth))"""
        )
    )
