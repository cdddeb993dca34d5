"""An error of a source as one line of `source check`, which begins with the word a person looks for."""

from __future__ import annotations

from config.errors import PDPError, SourceDenied, SourceUnavailable


def verdict(error: PDPError, about: str = "") -> str:
    """`denied: …`, `unreachable: …` or `wrong settings: …`; `about` names what of several things it speaks of."""
    text = f"{about}: {error}" if about else str(error)
    if isinstance(error, SourceDenied):
        return f"denied: {text}"
    if isinstance(error, SourceUnavailable):
        return f"unreachable: {text}"
    return f"wrong settings: {text}"
