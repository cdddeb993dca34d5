"""How many passwords may be tried, and in which order, so that nobody guesses and nobody locks the owner out.

Every attempt waits its turn. Three rules, their mathematics in `docs/security.md`:

- **Pace**: one attempt is checked per `1 / rate` seconds, whoever makes it: an upper bound for guessing from anywhere.
- **Delay**: an attempt waits 0.5 s, 1 s, 2 s … for the wrong ones its lane has made of late, and never longer than `longest`.
- **Order**: browsers that have signed in before go first, then lanes with fewer wrong passwords, then who came first. Only when
  `places` attempts wait is one turned away: the newest of the lane that holds most of them, or of these has failed most.

A lane is a client's address, or a browser that has signed in before.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

RATE = 2.0
"""Attempts checked per second."""
LONGEST = 5.0
"""Seconds of delay at most."""
PLACES = 400
"""Attempts that may wait at once: each holds a thread."""
FORGET = 900.0
"""Seconds after which a lane's wrong passwords are forgotten."""
_LANES = 10_000
_KNOWN_FAILURES = 10
"""After so many wrong passwords a known browser is one like any other."""


Value = TypeVar("Value")


class Verdict(Enum):
    """How an attempt ended."""

    RIGHT = "right"
    WRONG = "wrong"
    BUSY = "busy"
    """Too many were waiting: it was not checked."""


class Ticket:
    """One attempt that waits."""

    def __init__(self, lane: str, due: float, number: int) -> None:
        self.lane, self.due, self.number = lane, due, number
        self.called = self.turned_away = False


class Queue:
    """Who is checked when; knows no clock and no thread. `now` is in seconds and never falls."""

    def __init__(self, rate: float = RATE, longest: float = LONGEST, places: int = PLACES) -> None:
        self._gap, self._longest, self._places = 1 / rate, longest, places
        self._waiting: list[Ticket] = []
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._next = 0.0
        self._numbers = 0

    def knows(self, lane: str) -> bool:
        """Whether a right password came from there."""
        return lane in self._known

    def delay(self, lane: str, now: float) -> float:
        """Seconds an attempt of this lane waits at least."""
        wrong = self._wrong(lane, now)
        return min(self._longest, 0.5 * 2.0 ** min(wrong - 1, 10)) if wrong else 0.0

    def arrive(self, lane: str, now: float) -> Ticket:
        """Take a place; when there is none left, somebody is turned away."""
        self._numbers += 1
        ticket = Ticket(lane, now + self.delay(lane, now), self._numbers)
        self._waiting.append(ticket)
        if len(self._waiting) > self._places:
            self._turn_one_away(now)
        return ticket

    def turn(self, now: float) -> tuple[Ticket | None, float]:
        """The attempt to check now and 0, or None and the seconds until it is worth asking again."""
        if not self._waiting:
            return None, self._longest
        due = [t for t in self._waiting if t.due <= now]
        if now < self._next or not due:
            return None, max(self._next - now, min(t.due for t in self._waiting) - now)
        ticket = min(due, key=lambda t: (not self.knows(t.lane), self._wrong(t.lane, now), t.number))
        self._waiting.remove(ticket)
        self._next = now + self._gap
        return ticket, 0.0

    def told(self, lane: str, right: bool, now: float) -> None:
        """How an attempt of the lane ended."""
        if right:
            self._failures.pop(lane, None)
            return
        wrong = self._wrong(lane, now) + 1
        _keep(self._failures, lane, (wrong, now))
        if wrong >= _KNOWN_FAILURES:
            self._known.pop(lane, None)

    def remember(self, lane: str) -> None:
        """A right password came from this browser."""
        _keep(self._known, lane, None)

    def _turn_one_away(self, now: float) -> None:
        """The newest of the heaviest lane: who has waited longer keeps the place; known browsers are the lightest."""
        places = Counter(t.lane for t in self._waiting)
        ticket = max(self._waiting, key=lambda t: (not self.knows(t.lane), places[t.lane], self._wrong(t.lane, now), t.number))
        self._waiting.remove(ticket)
        ticket.turned_away = True

    def _wrong(self, lane: str, now: float) -> int:
        wrong, last = self._failures.get(lane, (0, now))
        return wrong if now - last < FORGET else 0


class Throttle:
    """The queue for a process: `check` blocks until the attempt's turn, and checks one at a time."""

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue, self._clock = queue, clock
        self._changed = threading.Condition()
        self._checking = False

    def check(self, address: str, browser: str, verify: Callable[[], bool]) -> Verdict:
        """The verdict of `verify`, in its turn. `browser`: what tells this one from others, or empty."""
        with self._changed:
            lane = browser if browser and self._queue.knows(browser) else address
            if not self._called(self._queue.arrive(lane, self._clock())):
                return Verdict.BUSY
        right = False
        try:
            right = verify()
        finally:
            with self._changed:
                self._queue.told(lane, right, self._clock())
                if right and browser:
                    self._queue.remember(browser)
                self._checking = False
                self._changed.notify_all()
        return Verdict.RIGHT if right else Verdict.WRONG

    def _called(self, ticket: Ticket) -> bool:
        """Wait for the ticket's turn; False if it was turned away. Whoever is awake calls for all, while nobody is checked."""
        while not ticket.called and not ticket.turned_away:
            called, wait = (None, None) if self._checking else self._queue.turn(self._clock())
            if called is None:
                self._changed.wait(wait)
            else:
                called.called = self._checking = True
                self._changed.notify_all()
        return ticket.called


def _keep(table: OrderedDict[str, Value], name: str, value: Value) -> None:
    """Newest last; the oldest go when there are too many."""
    table.pop(name, None)
    table[name] = value
    if len(table) > _LANES:
        table.popitem(last=False)
