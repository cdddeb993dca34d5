"""What the pages we write have in common: one self-contained file, light and dark, no script, nothing from outside, everything escaped."""

from __future__ import annotations

import contextlib
import html
import os
import uuid

from config.errors import StoreError
from scripts.looks import COLOURS, printable

_LIGHT = ";".join(f"--{look}:{colour.light}" for look, colour in COLOURS.items())
_DARK = ";".join(f"--{look}:{colour.dark}" for look, colour in COLOURS.items())
STYLE = f"""
:root{{color-scheme:light dark;--page:#fbfbfa;--card:#fff;--ink:#1d2126;--soft:#5d6670;--line:#dfe3e8;--band:#f1f3f5;{_LIGHT}}}
@media (prefers-color-scheme:dark){{:root{{
--page:#14171a;--card:#1d2125;--ink:#e8eaed;--soft:#9aa4af;--line:#343a41;--band:#1a1d21;{_DARK}}}}}
@media print{{:root{{--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--band:#f4f4f4;{_LIGHT}}}}}
"""
"""Colours by meaning; the marks beside them say the same without colour."""
FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif'

PATHS = {
    "skip": "M2.5 8.5 6.3 12.2 13.5 4",
    "run": "M4.5 2.8v10.4L13 8z",
    "restore": "M3.2 5.2A5.6 5.6 0 1 1 2.6 9M3 1.8v3.8h3.8",
    "blocked": "M3.5 3.5h9v9h-9z",
    "failed": "M3.5 3.5l9 9M12.5 3.5l-9 9",
}
"""Look → its mark, drawn in 16 × 16."""
_SOLID = ("run", "blocked")


def escaped(text: object) -> str:
    """Text as it may stand in HTML and SVG, in an attribute too; control characters shown as a question mark."""
    return html.escape(printable(str(text)))


def mark(look: str, x: float = 0, y: float = 0) -> str:
    """A look's mark, as part of an SVG."""
    fill = f"var(--{look})" if look in _SOLID else "none"
    return (
        f'<path d="{PATHS[look]}" transform="translate({x:g} {y:g})" fill="{fill}" stroke="var(--{look})" stroke-width="2" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def icon(look: str) -> str:
    """A look's mark within a line of text."""
    return f'<svg class="icon" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">{mark(look)}</svg>'


def page(title: str, style: str, body: str) -> str:
    """A whole HTML document."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escaped(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def write_private(path: str, text: str) -> None:
    """Write a file for its owner alone, whole or not at all. Raises StoreError when it cannot be written."""
    tmp = f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(tmp, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(tmp)
        raise StoreError(f"{path} could not be written: {error.strerror}.", "Choose another place with --out.") from error
