"""An error of a Google source as one line that begins with the word a person looks for."""

from __future__ import annotations

from config.errors import PDPError, SourceDenied, SourceUnavailable
from ingestion.google.retry import NotSharedError


def verdict(error: PDPError) -> str:
    """`not shared: …`, `denied: …`, `unreachable: …` or `wrong settings: …`."""
    if isinstance(error, NotSharedError):
        return f"not shared: {error}"
    if isinstance(error, SourceDenied):
        return f"denied: {error}"
    if isinstance(error, SourceUnavailable):
        return f"unreachable: {error}"
    return f"wrong settings: {error}"
