"""The source of a closure's leaves, by digest: what `explain` shows the difference to when a later change has replaced it.

Only first-party source, only while the file still has the content that was digested, and nothing larger than 64 KB.
"""

from __future__ import annotations

import ast
import hashlib
import io
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

LARGEST = 64 * 1024
"""Characters; a longer text is not kept."""


class _File(NamedTuple):
    lines: list[str]
    spans: dict[int, tuple[int, int]]
    """Line of a statement → the lines it takes, decorators included; from 0, the last not included."""


class SourceTexts:
    """Reads texts at a leaf's location; `content` gives the hash a file had when it was indexed. Gives each digest once."""

    def __init__(self, root: str, content: Callable[[str], str], known: Iterable[str] = ()) -> None:
        self._root = root
        self._content = content
        self._known = {"", *known}
        self._files: dict[str, _File | None] = {}

    def new(self, leaves: Iterable[list[str]]) -> dict[str, str]:
        """Digest → text of the leaves [name, digest, location] that are not known yet."""
        found: dict[str, str] = {}
        for _, digest, location in leaves:
            if digest not in self._known:
                self._known.add(digest)
                text = self._at(location)
                if text is not None and len(text) <= LARGEST:
                    found[digest] = text
        return found

    def _at(self, location: str) -> str | None:
        path, _, line = location.rpartition(":")
        if not line.isdecimal():  # a whole file: a resource, or source that reads itself
            path = location
        if path not in self._files:
            self._files[path] = self._read(os.path.join(self._root, path), parse=path != location)
        file = self._files[path]
        if file is None:
            return None
        first, end = file.spans.get(int(line), (0, 0)) if path != location else (0, len(file.lines))
        return "\n".join(file.lines[first:end]) if end > first else None

    def _read(self, path: str, parse: bool) -> _File | None:
        try:
            with open(path, "rb") as file:
                data = file.read()
            if hashlib.sha256(data).hexdigest() != self._content(path):
                return None
            lines = _lines(data)
            return _File(lines, _spans(ast.parse(data).body) if parse else {})
        except (OSError, SyntaxError, ValueError):
            return None


def _lines(data: bytes) -> list[str]:
    """The lines as Python counts them. Raises SyntaxError or ValueError for bytes that are no text."""
    from tokenize import detect_encoding

    encoding, _ = detect_encoding(io.BytesIO(data).readline)
    return io.TextIOWrapper(io.BytesIO(data), encoding, newline=None).read().split("\n")


def _spans(body: Iterable[ast.stmt]) -> dict[int, tuple[int, int]]:
    """Those of top-level statements and of what stands in a top-level `else`."""
    found: dict[int, tuple[int, int]] = {}
    for node in body:
        if isinstance(node, ast.If):
            found |= _spans(node.orelse)
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        known = found.get(node.lineno, (first - 1, 0))
        found[node.lineno] = (min(first - 1, known[0]), max(node.end_lineno or node.lineno, known[1]))
    return found
