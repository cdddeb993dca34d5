"""The state in a folder of Google Drive: a shared drive, a person's own by OAuth, or one with files made beforehand.

Names are not unique on Drive and its listings lag behind, so what must be right goes by ids and conditions. The folder's public
property `pdp-head` names the head's file; whoever makes the first head sets it on the condition that nobody has. The head then
changes on the condition that it is the one that was read. The head tells the ids of the newest objects, so the next job finds them
before any listing does, and a number of its own by which a writer whose answer was lost knows it again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from config.errors import HeadMoved, StateError, StateMissing
from config.settings import Settings
from ingestion.google.installed import google_libraries
from scripts.state.remote import Head, Stored

if TYPE_CHECKING:
    from ingestion.google.drive_files import DriveFile
    from ingestion.google.drive_store import DriveStore

_POINTER = "pdp-head"
_OBJECT, _HEAD, _PROBE = "object", "head", "probe"
_NEWEST = 20
"""So many ids travel with the head."""
_ROUNDS = 8
_DOWNLOADS = 3
_PATIENCE = (0.5, 1.0, 2.0, 4.0)
"""Seconds to wait for a listing that lags behind."""
_DAMAGED = "Run again later; when it stays so, look with: python main.py state verify"


def open_drive(folder: str, settings: Settings) -> DriveRemote:
    """The state in this folder, given by its id or its link. SettingsError without credentials."""
    with google_libraries():
        from ingestion.google.credentials import google_id
        from ingestion.google.drive_account import account
        from ingestion.google.drive_files import DriveFiles
        from ingestion.google.drive_store import DriveStore

    folder_id = google_id(folder, "The Drive folder of the state")
    return DriveRemote(DriveStore(DriveFiles(account(settings), settings.google_api_endpoint), folder_id))


class DriveRemote:
    """`Remote` in one folder. Objects are files of its own making, told from others by a property."""

    place = "a folder of Google Drive"

    def __init__(self, store: DriveStore) -> None:
        self._store, self._files, self._folder = store, store.files, store.folder_id
        self._newest: dict[str, str] = {}
        """Name → id of the objects put last, by us or by the writer of the head; the newest at the end."""

    def read_head(self) -> Head | None:
        """See `Remote`."""
        file = self._head()
        if file is None:
            return None
        file, content = self._content(file)
        first, _, manifest = content.partition(b"\n")
        try:
            self._newest = dict(json.loads(first)["newest"]) | self._newest
        except (ValueError, KeyError, TypeError):
            raise StateError("The head of the state on Drive is not one.", _DAMAGED) from None
        return Head(manifest, _tag(file, content))

    def commit_head(self, manifest: bytes, tag: str | None) -> str:
        """See `Remote`."""
        first = {"newest": dict(list(self._newest.items())[-_NEWEST:]), "commit": uuid.uuid4().hex}
        content = json.dumps(first, separators=(",", ":")).encode() + b"\n" + manifest
        if tag is None:
            return self._first(content)
        file = self._head()
        if file is None:
            raise StateError("The head of the state is gone from Drive.", "Take it out of Drive's bin.")
        etag, _, digest = tag.partition(" ")
        return _tag(self._written(file._replace(etag=etag), content, digest), content)

    def put(self, name: str, path: str) -> None:
        """See `Remote`."""
        there = self._find(name)
        if there is not None and there.size == os.path.getsize(path):
            return
        with open(path, "rb") as content:
            self._newest[name] = self._store.make(name, _OBJECT, content).id

    def get(self, name: str, path: str) -> None:
        """See `Remote`."""
        file = self._find(name)
        for wait in _PATIENCE:
            if file is not None:
                break
            time.sleep(wait)
            file = self._find(name)
        if file is None:
            raise StateMissing("The remote state has lost an object.", "Look with: python main.py state verify")
        with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b") as sink:
            for _ in range(_DOWNLOADS):
                if self._files.read(file, sink):
                    return
        raise StateError("An object of the state arrives damaged from Drive, three times.", _DAMAGED)

    def exists(self, name: str) -> bool:
        """See `Remote`."""
        return self._find(name) is not None

    def list(self) -> Iterator[Stored]:
        """See `Remote`. Files of one name are told as one."""
        found: dict[str, Stored] = {}
        for file in self._files.children(self._folder):
            if file.kind == _OBJECT:
                before = found.get(file.title, Stored(file.title, 0, 0.0))
                found[file.title] = Stored(file.title, before.size + file.size, max(before.modified, file.modified))
        yield from found.values()

    def delete(self, names: Sequence[str]) -> None:
        """See `Remote`. Where the account may not delete for good, Drive's bin keeps them for 30 days."""
        for name in names:
            self._newest.pop(name, None)
            for file in list(self._files.children(self._folder, name)):
                if file.kind == _OBJECT:
                    self._store.remove(file)

    def erase(self) -> None:
        """See `Remote`. A file's earlier revisions go with it; what was only emptied keeps them for 30 days."""
        for _ in range(_ROUNDS):
            folder = self._checked_folder()
            if _POINTER not in folder.properties:
                break
            with suppress(HeadMoved):
                self._files.describe(folder, {k: v for k, v in folder.properties.items() if k != _POINTER})
        self._newest.clear()
        for file in list(self._files.children(self._folder)):
            if file.kind in (_HEAD, _OBJECT, _PROBE):
                self._store.remove(file)

    def probe(self) -> None:
        """See `Remote`."""
        self._checked_folder()
        self._store.remove(self._proven(_PROBE, b"probe"))

    def _find(self, name: str) -> DriveFile | None:
        """The newest file of this name."""
        if (newest := self._newest.get(name)) is not None:
            with suppress(StateMissing):
                file = self._files.file(newest)
                if file.title == name and not file.trashed:
                    return file
            self._newest.pop(name, None)
        found = [file for file in self._files.children(self._folder, name) if file.kind == _OBJECT]
        return max(found, key=lambda file: (file.modified, file.id), default=None)

    def _head(self) -> DriveFile | None:
        """The file the folder's property names; None when it names none."""
        pointer = self._checked_folder().properties.get(_POINTER)
        if pointer is None:
            return None
        try:
            file = self._files.file(pointer)
        except StateMissing:
            file = None
        if file is None or file.trashed:
            raise StateError("The head of the state is gone from Drive.", "Take it out of Drive's bin.")
        return file

    def _checked_folder(self) -> DriveFile:
        folder = self._files.file(self._folder)
        if not folder.is_folder or folder.trashed:
            raise StateError("The folder of the state on Drive is none, or lies in the bin.", "Give the id of a folder.")
        return folder

    def _content(self, file: DriveFile) -> tuple[DriveFile, bytes]:
        """The head's bytes with the description they belong to."""
        for _ in range(_ROUNDS):
            with tempfile.SpooledTemporaryFile(max_size=1 << 20) as sink:
                if self._files.read(file, cast("BinaryIO", sink)):
                    sink.seek(0)
                    return file, sink.read()
            file = self._files.file(file.id)  # it may have changed in between
        raise StateError("The head of the state arrives damaged from Drive.", _DAMAGED)

    def _first(self, content: bytes) -> str:
        """Make a head and let the folder name it, if it names none."""
        folder = self._checked_folder()
        if _POINTER in folder.properties:
            raise _moved()
        file = self._proven(_HEAD, content)
        named: str | None = None
        try:
            for _ in range(_ROUNDS):
                with suppress(HeadMoved):
                    self._files.describe(folder, folder.properties | {_POINTER: file.id})
                folder = self._checked_folder()
                named = folder.properties.get(_POINTER)  # also when the answer was lost
                if named is not None:
                    break
        finally:
            if named != file.id and self._checked_folder().properties.get(_POINTER) != file.id:
                self._store.remove(file)
        if named != file.id:
            raise _moved()
        return _tag(file, content)

    def _proven(self, kind: str, content: bytes) -> DriveFile:
        """A file with this content, on which Drive has shown that it refuses a stale change of bytes and of properties."""
        before = self._store.make(kind, kind, io.BytesIO(b"new"))
        try:
            file = self._written(before, content, hashlib.sha256(b"new").hexdigest())
            changes: tuple[Callable[[], DriveFile], ...] = (
                lambda: self._files.replace(before, io.BytesIO(content)),
                lambda: self._files.describe(before, before.properties),
            )
            for change in changes:
                with suppress(HeadMoved):
                    change()
                    raise StateError("Drive takes a change that should have been refused.", "Use another place for the state.")
        except StateError:
            self._store.remove(self._files.file(before.id))
            raise
        return file

    def _written(self, file: DriveFile, content: bytes, digest: str) -> DriveFile:
        """The head with other bytes, if it still holds those of `digest`. HeadMoved when it does not."""
        for _ in range(_ROUNDS):
            try:
                file = self._files.replace(file, io.BytesIO(content))
            except HeadMoved:
                file, there = self._content(self._files.file(file.id))
                if there == content:  # the answer was lost
                    return file
                if hashlib.sha256(there).hexdigest() != digest:
                    raise
                continue  # something else of the file has changed: its name, who sees it
            if file.sha256 in (None, hashlib.sha256(content).hexdigest()):
                return file
            digest = file.sha256 or ""  # it arrived damaged: once more, unless somebody was faster
        raise StateError("The head of the state cannot be written to Drive.", _DAMAGED)


def _tag(file: DriveFile, content: bytes) -> str:
    return f"{file.etag} {hashlib.sha256(content).hexdigest()}"


def _moved() -> HeadMoved:
    return HeadMoved("The remote state has been changed by somebody else.", "Push again.")
