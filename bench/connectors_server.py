"""The API of the contest: the tests' own (`tests/rest_fake.py`), slow as a real one; it can kill who asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.rest_fake import FakeAPI, Fault, fake_api

TOKEN = "bench-of-nobody"
_START = datetime(2025, 1, 1, tzinfo=UTC)


class Api:
    """What the server holds, and what it has been asked for."""

    def __init__(self, fake: FakeAPI, pages: int, size: int, latency: float) -> None:
        self.pages, self.size = pages, size
        self.records = [_record(number) for number in range(pages * size)]
        self.fetched: list[str] = []
        """Ids, each time one was sent."""
        self.deadly: Callable[[int], bool] = never
        """Whether the client dies now, with this request unanswered; told how many were answered before."""
        self.kill: Callable[[], None] = lambda: None
        self._fake, self._latency = fake, latency
        fake.token, fake.size, fake.lists = TOKEN, size, {"heart": self.records}
        fake.plan, fake.around = self._before, self._note

    def reset(self) -> None:
        """Forget what was asked; nobody is to be killed."""
        self._fake.forget()
        self.fetched, self.deadly = [], never

    def base(self, style: str) -> str:
        """The base address of one way of paging."""
        return f"{self._fake.url}/{style}"

    @property
    def asked(self) -> int:
        """Requests that a page was given to."""
        return len(self._fake.asked)

    @property
    def twice(self) -> int:
        """Pages that were given again."""
        return sum(times - 1 for times in self._fake.twice().values())

    def _before(self, _: int) -> Fault | None:
        if self.deadly(self.asked):
            self.kill()
            return Fault("reset")
        time.sleep(self._latency)
        return None

    def _note(self, answer: dict[str, Any]) -> dict[str, Any]:
        self.fetched += [record["id"] for record in answer["data"]]
        return answer


def never(asked: int) -> bool:
    """Nobody dies."""
    return asked < 0


def _record(number: int) -> dict[str, Any]:
    moment = (_START + timedelta(minutes=number)).isoformat().replace("+00:00", "Z")
    return {
        "id": f"h{number}",
        "updated_at": moment,
        "bpm": 60 + number % 40,
        "confidence": 0.5,
        "device": {"name": "Band", "firmware": [1, 4, number % 3], "owner": None},
    }


@contextmanager
def serving(pages: int, size: int, latency: float) -> Iterator[Api]:
    """The API, answering on this machine."""
    with fake_api() as fake:
        yield Api(fake, pages, size, latency)
