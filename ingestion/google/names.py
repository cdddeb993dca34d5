"""Names people give their files → names that are safe on every disk, each once."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence

_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u200b-\u200f\u2028-\u202e\ud800-\udfff]')
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE)
_LONGEST = 120
"""Bytes: the suffixes of temporary files must still fit into 255."""


def safe_name(name: str) -> str:
    """One path segment: NFC, no separators or control characters, no reserved or hidden name, bounded length; its ending kept."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip().rstrip(".")
    if not name or name.startswith(".") or _RESERVED.match(name):
        name = "_" + name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 10:
        stem, ending = name, ""
    room = _LONGEST - len((dot + ending).encode()) if ending else _LONGEST
    stem = stem.encode()[:room].decode("utf-8", "ignore")
    return f"{stem}.{ending}" if ending else stem


def distinct(items: Sequence[tuple[str, str]], taken: Collection[str] = ()) -> list[str]:
    """A path per (path, id), none twice even where case does not count; twins all get a mark made from their id, so order is nothing."""
    times = Counter(_folded(path) for path, _ in items) + Counter(_folded(path) for path in taken)
    return [path if times[_folded(path)] == 1 else _marked(path, ident) for path, ident in items]


def _marked(path: str, ident: str) -> str:
    mark = hashlib.sha256(ident.encode()).hexdigest()[:8]
    stem, dot, ending = path.rpartition(".")
    return f"{stem}~{mark}.{ending}" if dot and "/" not in ending else f"{path}~{mark}"


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
