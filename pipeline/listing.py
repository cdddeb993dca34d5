"""Which files a pattern means, and what modules lie in a folder. Looks at names only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator


def below(root: str, pattern: str) -> list[tuple[str, str]]:
    """(logical name, path) of the regular files a `files` pattern means, sorted by name: one path, or all below `folder/**`; `**` is
    all below the root itself.

    Hidden files, editors' lock files and half-written downloads are nobody's data. Folders are not followed through links.
    """
    if pattern != "**" and not pattern.endswith("/**"):
        path = pattern if os.path.isabs(pattern) else os.path.join(root, pattern)
        return [(pattern, path)] if os.path.isfile(path) else []
    prefix = pattern[:-2]
    base = os.path.join(root, pattern[:-3])
    return sorted((prefix + readable(name), path) for name, path in _walk(base, ""))


def readable(name: str) -> str:
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


def matching(root: str, pattern: str) -> list[str]:
    """Names of the files below `root` that match a glob pattern, sorted."""
    import glob

    return sorted(n for n in glob.glob(pattern, root_dir=root, recursive=True) if os.path.isfile(os.path.join(root, n)))


def modules_in(folder: str) -> list[str]:
    """Modules and folders in a folder, sorted; no hidden ones, caches, environments or data directories."""
    from importlib.machinery import EXTENSION_SUFFIXES

    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError:
        return []
    modules = (".py", *EXTENSION_SUFFIXES)
    return [e.name for e in entries if e.name.endswith(modules) or (e.is_dir() and _is_code(e.path, e.name))]


def _is_code(path: str, name: str) -> bool:
    hidden = name.startswith(".") or not name.isidentifier() or name == "__pycache__"
    return not hidden and not any(os.path.exists(os.path.join(path, mark)) for mark in ("pyvenv.cfg", "registry.db"))
