"""Where an export goes: a folder or a zip, whole or not at all, for its owner's eyes only, the same bytes for the same data."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import uuid
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, NamedTuple, TypeVar, cast

from config.errors import StoreError, UsageError
from pipeline.registry import sync_folder

_Content = TypeVar("_Content")
_MANAGED = ("inbox", "store", "raw", "records", "processed", "gold", "postgres", "state", "reports")
"""Folders of the data root that are ours to fill, to sweep or to read from."""
_NEVER_CHANGED = (1980, 1, 1, 0, 0, 0)
"""The time a zip says of its files, so that equal files make an equal zip."""


class Written(NamedTuple):
    """One file of an export."""

    path: str
    what: str
    rows: int | None
    size: int
    sha256: str


class Target(ABC):
    """Takes one file after another."""

    def __init__(self) -> None:
        self.files: list[Written] = []

    @abstractmethod
    def finish(self) -> None:
        """Make what was written durable."""

    @abstractmethod
    def _opened(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A new file."""

    def add(self, path: str, what: str, write: Callable[[BinaryIO, _Content], int | None], content: _Content) -> None:
        """Write one file's content; `write` gives its rows, or None where it has none."""
        with self._opened(path) as file:
            counting = _Counting(file)
            rows = write(cast("BinaryIO", counting), content)
        self.files.append(Written(path, what, rows, counting.size, counting.digest.hexdigest()))


@contextmanager
def target(out: str, data_dir: str) -> Iterator[Target]:
    """The folder or zip `out`; it appears when the block has ended well. Raises UsageError, or StoreError when the disk refuses."""
    path = os.path.abspath(out)
    _refuse(path, os.path.abspath(data_dir))
    parent, name = os.path.split(path)
    building = os.path.join(parent, f".{name}.{uuid.uuid4().hex}.tmp")
    umask = os.umask(0o077)
    try:
        os.makedirs(parent, exist_ok=True)
        _clear_up(parent, name)
        with _archive(building) if path.endswith(".zip") else _folder(building) as found:
            yield found
            found.finish()
            os.rename(building, path)
        sync_folder(parent)
    except OSError as error:
        raise StoreError(f"The export could not be written: {error.strerror}.", "Choose another place with --out.") from error
    finally:
        os.umask(umask)
        _remove(building)


def _clear_up(parent: str, name: str) -> None:
    """Remove what exports to this place have left behind when they were killed; one that still goes on holds its lock."""
    for entry in os.scandir(parent):
        if re.fullmatch(rf"\.{re.escape(name)}\.[0-9a-f]{{32}}\.tmp", entry.name) and not entry.is_symlink():
            with contextlib.suppress(OSError), _held(os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)):
                _remove(entry.path)


def _remove(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.unlink(path)


@contextmanager
def _held(handle: int) -> Iterator[None]:
    """Keep an open file or folder for this process alone. Raises BlockingIOError when another one has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _refuse(path: str, data_dir: str) -> None:
    if os.path.lexists(path) and (not os.path.isdir(path) or os.path.islink(path) or os.listdir(path)):
        raise UsageError(f"{os.path.basename(path)} is already there.", "Name a new folder or zip with --out.")
    if path.endswith(".zip") and os.path.isdir(path):
        raise UsageError(f"{os.path.basename(path)} is a folder.", "Name a new folder or zip with --out.")
    inside = os.path.relpath(os.path.realpath(path), os.path.realpath(data_dir))
    if inside == "." or inside.split(os.sep)[0] in _MANAGED:
        raise UsageError("An export does not belong among the pipeline's own files.", "Name a place outside them with --out.")


class _Folder(Target):
    def __init__(self, root: str) -> None:
        super().__init__()
        self._root = root

    @contextmanager
    def _opened(self, path: str) -> Iterator[BinaryIO]:
        place = os.path.join(self._root, path)
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    def finish(self) -> None:
        for parent, _, _ in os.walk(self._root):
            sync_folder(parent)


@contextmanager
def _folder(root: str) -> Iterator[Target]:
    os.mkdir(root, 0o700)
    with _held(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)):
        yield _Folder(root)


class _Archive(Target):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)

    @contextmanager
    def _opened(self, path: str) -> Iterator[BinaryIO]:
        entry = zipfile.ZipInfo(path, _NEVER_CHANGED)
        entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
        entry.external_attr = (stat.S_IFREG | 0o600) << 16
        with self._archive.open(entry, "w", force_zip64=True) as file:
            yield cast("BinaryIO", file)

    def close(self) -> None:
        """Write the list of files at the end of the zip."""
        self._archive.close()

    def finish(self) -> None:
        self.close()
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def _archive(path: str) -> Iterator[Target]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with _held(os.dup(handle)), open(handle, "w+b") as file:
        found = _Archive(file)
        try:
            yield found
        finally:
            with contextlib.suppress(Exception):  # closed it is silent when it is collected
                found.close()


class _Counting:
    """A file to write to that knows its size and digest."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self.closed = False
        self._file = file

    def write(self, data: bytes) -> int:
        view = memoryview(data).cast("B")
        self.size += len(view)
        self.digest.update(view)
        self._file.write(view)
        return len(view)

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """What is written is passed on at once."""

    def close(self) -> None:
        """Whoever opened the file closes it."""
