"""What a file's content is, without reading it twice: SHA-256 behind a stat cache.

A cached hash is believed only if device, inode, size, mtime and ctime are what they were *and* the file was already older than two
seconds when it was hashed: a change within the clock's tick cannot hide.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.registry import Registry

_RACY_NS = 2_000_000_000
_INO = (1 << 63) - 1


class Token(NamedTuple):
    """What the file system says about a file; any change of content changes it (ctime cannot be set back)."""

    dev: int
    ino: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Digest(NamedTuple):
    """A file's content."""

    sha256: str
    size: int


def token(path: str) -> Token:
    """The file's token, following links. Raises OSError."""
    return _token(os.stat(path))


def _token(s: os.stat_result) -> Token:
    return Token(s.st_dev & _INO, s.st_ino & _INO, s.st_size, s.st_mtime_ns, s.st_ctime_ns)


class Files:
    """Content hashes of one data root, for one run."""

    def __init__(self, registry: Registry | None, data_dir: str) -> None:
        self._root = data_dir + os.sep
        self._known: dict[str, tuple[Token, str, int]] = {}
        self._fresh: dict[str, tuple[Token, str, int]] = {}
        self.bytes_read = 0
        if registry:
            for path, *rest, sha, hashed_at in registry.db.execute("SELECT * FROM cache_file"):
                self._known[path] = (Token(*rest), sha, hashed_at)

    def digest(self, path: str) -> Digest:
        """Content of a regular file, read only if the cache cannot vouch for it. Raises OSError."""
        key = path.removeprefix(self._root)
        seen = token(path)
        known = self._known.get(key)
        if known is not None and known[0] == seen and max(seen.mtime_ns, seen.ctime_ns) < known[2] - _RACY_NS:
            return Digest(known[1], seen.size)
        return self._read(path, key)

    def seen(self, path: str) -> Token | None:
        """What a hashed file looked like when its hash was taken."""
        known = self._known.get(path.removeprefix(self._root))
        return known[0] if known else None

    def note(self, path: str, sha256: str) -> None:
        """Remember the content of a file this process has just written and made durable."""
        key = path.removeprefix(self._root)
        self._known[key] = self._fresh[key] = (token(path), sha256, time.time_ns())

    def save(self, registry: Registry) -> None:
        """Write what was learnt to the cache; nothing when nothing was."""
        self._fresh = {
            key: kept for key, kept in self._fresh.items() if key == _readable(key)
        }  # the others have no text to store
        if not self._fresh:
            return
        with registry.atomic() as db:
            db.executemany(
                "INSERT OR REPLACE INTO cache_file VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(key, *seen, sha, at) for key, (seen, sha, at) in self._fresh.items()],
            )
        self._fresh.clear()

    def _read(self, path: str, key: str) -> Digest:
        hashed_at = time.time_ns()
        with open(path, "rb", buffering=0) as file:
            opened = os.fstat(file.fileno())
            if not stat.S_ISREG(opened.st_mode):
                raise OSError(f"{path} is no regular file")
            sha = hashlib.file_digest(file, "sha256").hexdigest()
        seen = _token(opened)  # taken before reading: a change meanwhile shows as a token that no longer fits
        self.bytes_read += seen.size
        self._known[key] = self._fresh[key] = (seen, sha, hashed_at)
        return Digest(sha, seen.size)


def below(root: str, pattern: str) -> list[tuple[str, str]]:
    """(logical name, path) of the regular files a `files` pattern means, sorted by name: one path, or all below `folder/**`.

    Hidden files, editors' lock files and half-written downloads are nobody's data. Folders are not followed through links.
    """
    if not pattern.endswith("/**"):
        path = pattern if os.path.isabs(pattern) else os.path.join(root, pattern)
        return [(pattern, path)] if os.path.isfile(path) else []
    prefix = pattern[:-2]
    base = os.path.join(root, pattern[:-3])
    return sorted((prefix + _readable(name), path) for name, path in _walk(base, ""))


def _readable(name: str) -> str:
    """A file name whose bytes are no text, as text: it can be refused by name, never stored as it is."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


_SKIPPED_PREFIXES = (".", "~$")
_SKIPPED_SUFFIXES = (".tmp", ".part", ".crdownload")


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    try:
        entries: Iterable[os.DirEntry[str]] = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith(_SKIPPED_PREFIXES) or entry.name.endswith(_SKIPPED_SUFFIXES):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield prefix + entry.name, entry.path
