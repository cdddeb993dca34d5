"""Three days of heart rates, as an API would have them: four a day, the last of the third is still to come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.rest_fake import FakeAPI, fake_api

TOKEN = "of-the-heart"
SHOWN = "https://api.example/v1"
"""What the documents call its address."""


def heart_days(count: int = 11) -> list[dict[str, Any]]:
    """Rows; ids from 1."""
    return [
        {
            "id": n + 1,
            "bpm": 58 + 2 * n,
            "measured_at": f"2025-03-{1 + n // 4:02d}T{7 + n % 4 * 4:02d}:00:00Z",
            "updated_at": f"2025-03-{1 + n // 4:02d}T{7 + n % 4 * 4:02d}:05:00Z",
            "device": {"name": "Band 7"},
        }
        for n in range(count)
    ]


@contextmanager
def serving() -> Iterator[FakeAPI]:
    """An API that holds them under `/cursor/heart`, four on a page."""
    with fake_api() as api:
        api.lists["heart"], api.size, api.token = heart_days(), 4, TOKEN
        api.url += "/cursor"
        yield api
