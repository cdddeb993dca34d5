"""Making and removing the files of the state on Drive, whoever owns them.

On a shared drive, and as a person, the account makes its own files. A service account in a person's folder can own none: there it
fills empty files the person has put into the folder, and empties them when they are no longer needed.
"""

from __future__ import annotations

import io
import random
from contextlib import suppress
from typing import BinaryIO

from config.errors import HeadMoved, StateError, StateMissing
from ingestion.google.drive_files import DriveFile, DriveFiles, ForbiddenError, FullError, holds

_FREE = "free"


class DriveStore:
    """The files of one folder."""

    def __init__(self, files: DriveFiles, folder_id: str) -> None:
        self.files, self.folder_id = files, folder_id
        self._owns = True
        self._removals = ["delete", "trash", "empty"]
        """What to try; what the account may not do is left out from then on."""

    def make(self, title: str, kind: str, content: BinaryIO) -> DriveFile:
        """A file with this title and content that was not there. StateError when there is no room."""
        if self._owns:
            try:
                return self.files.create(self.folder_id, title, kind, content)
            except FullError:
                self._owns = False
        return self._fill(title, kind, content)

    def remove(self, file: DriveFile) -> None:
        """Take a file away: for good, into the bin, or emptied; whatever the account may do."""
        while True:
            try:
                self._take(file, self._removals[0])
                return
            except ForbiddenError:
                if len(self._removals) == 1:
                    raise
                del self._removals[0]

    def _fill(self, title: str, kind: str, content: BinaryIO) -> DriveFile:
        free = [file for file in self.files.children(self.folder_id) if _is_free(file)]
        random.shuffle(free)  # others fill files at the same time
        for file in free:
            with suppress(HeadMoved, StateMissing):
                made = self.files.replace(file, content, title, kind)
                if holds(made, content):
                    return made
                self._empty(made)
                continue
            with suppress(StateMissing):
                now = self.files.file(file.id)
                if now.title == title and holds(now, content):  # the answer was lost
                    return now
        raise StateError(
            "The account can own no files on Drive, and the folder of the state has no empty one left.",
            "Put more empty files into the folder, remove old state with `python main.py state gc`, or see docs/state.md.",
        )

    def _take(self, file: DriveFile, how: str) -> None:
        if how == "delete":
            self.files.delete(file.id)
        elif how == "trash":
            self.files.trash(file.id)
        else:
            self._empty(file)

    def _empty(self, file: DriveFile) -> None:
        with suppress(StateMissing, HeadMoved):
            self.files.replace(file, io.BytesIO(), _FREE, _FREE)


def _is_free(file: DriveFile) -> bool:
    return file.size == 0 and not file.is_folder and file.kind in ("", _FREE)
