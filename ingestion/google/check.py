"""An error of a Google source as one line that begins with the word a person looks for."""

from __future__ import annotations

from config.errors import PDPError
from ingestion import verdicts
from ingestion.google.retry import NotSharedError


def verdict(error: PDPError) -> str:
    """`not shared: …`, `denied: …`, `unreachable: …` or `wrong settings: …`."""
    return f"not shared: {error}" if isinstance(error, NotSharedError) else verdicts.verdict(error)
