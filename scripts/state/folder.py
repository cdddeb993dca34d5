"""The state in a plain folder: another disk, a mounted share, a folder that a backup program watches.

The head changes under a lock of the file system, so the folder must lie on one that has them (local disks, NFSv4, SMB); a folder
which a client synchronises by itself (Dropbox, OneDrive) has none, and two machines would not see each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from config.errors import HeadMoved, StateError, StateMissing
from scripts.state.remote import Head, Stored

_HEAD, _LOCK, _TMP = "head", ".lock", ".tmp"


class FolderRemote:
    """`Remote` below one folder, which is made when something is first stored."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(os.path.expanduser(folder))
        self.place = f"file://{self.folder}"

    def read_head(self) -> Head | None:
        """See `Remote`."""
        with self._told():
            return self._read(_HEAD)

    def commit_head(self, manifest: bytes, tag: str | None) -> str:
        """See `Remote`; the answer is never lost here."""
        return self._commit(_HEAD, manifest, tag)

    def put(self, name: str, path: str) -> None:
        """See `Remote`."""
        final = self._path(name)
        with self._told():
            if os.path.exists(final):
                return
            _make_private(os.path.dirname(final))
            tmp = os.path.join(os.path.dirname(final), f"{uuid.uuid4().hex}{_TMP}")
            try:
                with open(path, "rb") as source, _private(tmp) as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                    target.flush()
                    os.fsync(target.fileno())
                os.replace(tmp, final)
            except BaseException:
                _remove(tmp)
                raise
            self._make_durable(final)

    def get(self, name: str, path: str) -> None:
        """See `Remote`."""
        with self._told(), _private(path) as target:
            try:
                with open(self._path(name), "rb") as source:
                    shutil.copyfileobj(source, target, 1 << 20)
            except FileNotFoundError:
                raise StateMissing("The remote state has lost an object.", "Look with: python main.py state verify") from None

    def exists(self, name: str) -> bool:
        """See `Remote`."""
        return os.path.isfile(self._path(name))

    def list(self) -> Iterator[Stored]:
        """See `Remote`. What a killed `put` left behind is listed, too: it is litter to remove."""
        with self._told():
            for folder, _, files in os.walk(self.folder):
                for file in files:
                    name = os.path.relpath(os.path.join(folder, file), self.folder).replace(os.sep, "/")
                    if "/" in name:
                        with contextlib.suppress(FileNotFoundError):
                            seen = os.stat(os.path.join(folder, file))
                            yield Stored(name, seen.st_size, seen.st_mtime)

    def delete(self, names: Sequence[str]) -> None:
        """See `Remote`."""
        with self._told():
            for name in names:
                _remove(self._path(name))
                with contextlib.suppress(OSError):  # others' objects are in it
                    os.rmdir(os.path.dirname(self._path(name)))

    def erase(self) -> None:
        """See `Remote`."""
        if os.path.isdir(self.folder):
            with self._told(), self._locked():
                _remove(os.path.join(self.folder, _HEAD))
            self.delete([stored.name for stored in self.list()])

    def probe(self) -> None:
        """See `Remote`."""
        name = f"probe-{uuid.uuid4().hex}"
        try:
            tag = self._commit(name, b"one", None)
            self._commit(name, b"two", tag)
            with contextlib.suppress(HeadMoved):
                self._commit(name, b"three", tag)
                raise StateError("The folder of the state takes a change that should have been refused.", "Use another folder.")
        finally:
            with self._told():
                _remove(os.path.join(self.folder, name))

    def _commit(self, name: str, content: bytes, tag: str | None) -> str:
        with self._told(), self._locked():
            there = self._read(name)
            if (there.tag if there else None) != tag:
                raise HeadMoved("The remote state has been changed by somebody else.", "Push again.")
            tmp = os.path.join(self.folder, f"{uuid.uuid4().hex}{_TMP}")
            try:
                with _private(tmp) as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(tmp, os.path.join(self.folder, name))
            except BaseException:
                _remove(tmp)
                raise
            _sync(self.folder)
        return hashlib.sha256(content).hexdigest()

    def _read(self, name: str) -> Head | None:
        try:
            with open(os.path.join(self.folder, name), "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        return Head(content, hashlib.sha256(content).hexdigest())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        _make_private(self.folder)
        fd = os.open(os.path.join(self.folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _make_durable(self, path: str) -> None:
        folder = os.path.dirname(path)
        while len(folder) >= len(self.folder):
            _sync(folder)
            folder = os.path.dirname(folder)

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, *name.split("/"))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise StateError(
                f"The folder of the remote state cannot be used: {why}.", "Mend that, or set STATE_URL to another place."
            ) from error


@contextmanager
def _private(path: str) -> Iterator[BinaryIO]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        yield file


def _make_private(folder: str) -> None:
    """The folder, and those above it that are not there yet."""
    if not os.path.isdir(folder):
        _make_private(os.path.dirname(folder))
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
