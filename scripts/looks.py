"""What a step's state looks like, the same in every list, picture and page: one mark, one word, one colour."""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """A colour to be read as text, on a light page and on a dark one."""

    light: str
    dark: str


MARKS = {"skip": "✓", "run": "▶", "restore": "↺", "blocked": "■", "failed": "✗"}
"""Look → mark; told apart without colour."""
WORDS = {
    "skip": "up to date",
    "run": "would run",
    "restore": "would come back",
    "blocked": "blocked",
    "failed": "failed last time",
}
COLOURS = {
    "skip": Colour("#00875f", "#2fc79a"),
    "run": Colour("#0072b2", "#58b0ee"),
    "restore": Colour("#2b8cc4", "#8accf5"),
    "blocked": Colour("#b87900", "#f0b429"),
    "failed": Colour("#c44f00", "#ff8a4c"),
}
"""Look → colour: Okabe and Ito's palette for every kind of colour vision, darkened or lightened to be read as text."""

STATE_LOOKS = {
    "committed": "skip",
    "succeeded": "skip",
    "accepted": "skip",
    "restored": "restore",
    "failed": "failed",
    "aborted": "blocked",
    "interrupted": "blocked",
    "started": "run",
    "running": "run",
}
"""State of an attempt or of a run → its look."""
STATE_MARKS = {state: MARKS[look] for state, look in STATE_LOOKS.items()} | {"accepted": "≈"}
STATE_WORDS = {"committed": "ran", "accepted": "accepted, not computed", "aborted": "interrupted", "started": "running"}
"""State → what is said of it, where that is another word."""


def printable(text: str) -> str:
    """Text that cannot move a terminal's cursor or colour; control characters are shown as a question mark."""
    return "".join(c if c.isprintable() else "?" for c in text)
