"""How long a sign-in lasts: it ends when nothing is done for a while, after some hours in any case, and when it is locked.

Times only: what a session may see is kept by the session itself, never here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

_LOCKED = "It was locked."


class Terms(NamedTuple):
    """How long a sign-in lasts, in seconds."""

    idle: float
    absolute: float


class _Login(NamedTuple):
    began: float
    seen: float
    terms: Terms


class Sessions:
    """The sign-ins of this process. A login is a name nobody can guess; several tabs may share one."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._open: dict[str, _Login] = {}
        self._ended: dict[str, float] = {}

    def begin(self, login: str, terms: Terms, began: float | None = None) -> str:
        """Open a login that began at this time (now without one); gives why it cannot be, or ''.

        One that is open already goes on as it is. One that has ended stays so, and one that began longer ago than it may
        be idle was last seen by nobody: it has ended, too.
        """
        with self._lock:
            now = self._clock()
            if login in self._ended:
                return _LOCKED
            self._open = {name: found for name, found in self._open.items() if name == login or not self._over(name, now)}
            if login not in self._open:
                self._open[login] = _Login(now if began is None else began, now if began is None else began, terms)
            return self._over(login, now)

    def touch(self, login: str) -> None:
        """Somebody does something."""
        with self._lock:
            if login in self._open:
                self._open[login] = self._open[login]._replace(seen=self._clock())

    def over(self, login: str) -> str:
        """Why the login has ended, in words; '' while it is open."""
        with self._lock:
            return self._over(login, self._clock())

    def left(self, login: str) -> float:
        """Seconds until it ends if nothing is done; 0 when it has."""
        with self._lock:
            found, now = self._open.get(login), self._clock()
            return max(0.0, min(found.seen + found.terms.idle, found.began + found.terms.absolute) - now) if found else 0.0

    def end(self, login: str) -> None:
        """Lock it, in all its tabs."""
        with self._lock:
            now = self._clock()
            found = self._open.pop(login, None)
            self._ended[login] = now + (found.terms.absolute if found else 0.0)
            self._ended = {name: until for name, until in self._ended.items() if until >= now or name == login}

    def _over(self, login: str, now: float) -> str:
        found = self._open.get(login)
        if found is None:
            return _LOCKED
        if now - found.seen >= found.terms.idle:
            return f"Nothing was done for {_said(found.terms.idle)}."
        if now - found.began >= found.terms.absolute:
            return f"A sign-in lasts {_said(found.terms.absolute)}."
        return ""


def _said(seconds: float) -> str:
    for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            number = f"{seconds / size:.1f}".removesuffix(".0")
            return f"{number} {unit}{'' if number == '1' else 's'}"
    return "a moment"
