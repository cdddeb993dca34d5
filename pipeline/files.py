"""What a file's content is, without reading it twice: SHA-256 behind a stat cache.

A cached hash is believed only if device, inode, size, mtime and ctime are what they were *and* the file was already older than two
seconds when it was hashed: a change within the clock's tick cannot hide.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from typing import NamedTuple

from pipeline.listing import readable
from pipeline.registry import Registry

_RACY_NS = 2_000_000_000
_DAY_NS = 86_400_000_000_000
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
        self._registry = registry
        self._known: dict[str, tuple[Token, str, int] | None] = {}
        self._fresh: dict[str, tuple[Token, str, int]] = {}
        self._used: dict[str, Token | None] = {}
        self._behind: int | None = None
        self.bytes_read = 0

    def digest(self, path: str) -> Digest:
        """Content of a regular file, read only if the cache cannot vouch for it. Raises OSError."""
        key = path.removeprefix(self._root)
        seen = token(path)
        known = self._remembered(key)
        if known is None or known[0] != seen or not _is_settled(seen, known[2]):
            known = self._read(path, key)
        sure = _is_settled(known[0], known[2]) and self._used.get(key, known[0]) == known[0]
        self._used[key] = known[0] if sure else None
        return Digest(known[1], known[0].size)

    def facts(self) -> dict[str, list[int]] | None:
        """What every file asked for looked like; None if one was too young when it was hashed for its looks to prove anything,
        or changed between two looks."""
        if None in self._used.values() or any(key != readable(key) for key in self._used):
            return None
        return {k: [t.ino, t.size, t.mtime_ns, t.ctime_ns, t.dev] for k, t in self._used.items() if t is not None}

    def seen(self, path: str) -> Token | None:
        """What a hashed file looked like when its hash was taken."""
        known = self._remembered(path.removeprefix(self._root))
        return known[0] if known else None

    def note(self, path: str, sha256: str) -> None:
        """Remember the content of a file this process has just written and made durable."""
        key = path.removeprefix(self._root)
        self._known[key] = self._fresh[key] = (token(path), sha256, self._now())

    def save(self, registry: Registry) -> None:
        """Write what was learnt to the cache; nothing when nothing was."""
        self._fresh = {key: kept for key, kept in self._fresh.items() if key == readable(key)}  # the others have no text to store
        if not self._fresh:
            return
        with registry.atomic() as db:
            db.executemany(
                "INSERT OR REPLACE INTO cache_file VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(key, *seen, sha, at) for key, (seen, sha, at) in self._fresh.items()],
            )
        self._fresh.clear()

    def _remembered(self, key: str) -> tuple[Token, str, int] | None:
        if key not in self._known:
            row = self._registry.db.execute(_CACHED, (key,)).fetchone() if self._registry and key == readable(key) else None
            self._known[key] = (Token(*row[:5]), row[5], row[6]) if row else None
        return self._known[key]

    def _now(self) -> int:
        """The time, by the clock that stamps the data root's files: a file server's may be behind ours."""
        if self._behind is None:
            self._behind = _behind(self._root)
        return time.time_ns() - self._behind

    def _read(self, path: str, key: str) -> tuple[Token, str, int]:
        hashed_at = self._now()
        with open(path, "rb", buffering=0) as file:
            opened = os.fstat(file.fileno())
            if not stat.S_ISREG(opened.st_mode):
                raise OSError(f"{path} is no regular file")
            sha = hashlib.file_digest(file, "sha256").hexdigest()
        seen = _token(opened)  # taken before reading: a change meanwhile shows as a token that no longer fits
        self.bytes_read += seen.size
        known = self._known[key] = self._fresh[key] = (seen, sha, hashed_at)
        return known


_CACHED = "SELECT dev, ino, size, mtime_ns, ctime_ns, sha256, hashed_at_ns FROM cache_file WHERE path = ?"


def _is_settled(seen: Token, hashed_at: int) -> bool:
    """Whether the file was already old when it was hashed: only then do its looks prove its content.

    A stamp more than a day ahead is of a time when a clock was wrong, or of another machine: no edit of that moment has it.
    """
    old, ahead = hashed_at - _RACY_NS, hashed_at + _DAY_NS
    return not (old <= seen.mtime_ns <= ahead or old <= seen.ctime_ns <= ahead)


def _behind(root: str) -> int:
    """By how much the file system's clock is behind ours; 0 when there is no run's lock to ask with."""
    try:
        os.utime(root + ".lock")
        return max(time.time_ns() - os.stat(root + ".lock").st_mtime_ns, 0)
    except OSError:
        return 0
