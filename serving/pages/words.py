"""Figures and moments as a person reads them, and text that means nothing to Markdown."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~$:^=.&])")
_ADDRESS = re.compile(r"(?i)https?|ftp|mailto|www|\w@")


def plain(text: str) -> str:
    """The text so that Markdown shows it as it is: no link, no emphasis, no formula, no HTML, no icon."""
    return _ADDRESS.sub(lambda found: f"{found[0][0]}\u2060{found[0][1:]}", _MARKDOWN.sub(r"\\\1", text)) if text else ""


def moment(text: str) -> str:
    """An ISO moment with offset as its own clock showed it."""
    at = datetime.fromisoformat(text)
    return f"{at:%Y-%m-%d %H:%M}" + (f":{at.second:02d}" if at.second else "")


def cell(value: Any) -> str:
    """A value of the daily table; an empty one is called that."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) else str(value)
