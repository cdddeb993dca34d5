"""What a reading command gives."""

from __future__ import annotations

from typing import Any, NamedTuple

NOTHING_YET = "Nothing has run yet: python main.py"
"""What is there to tell of a data directory without a registry."""


class Answer(NamedTuple):
    """What a command prints and how it ends."""

    data: dict[str, Any]
    """The JSON object of `--json`."""
    text: str
    """What a person reads."""
    exit_code: int = 0
