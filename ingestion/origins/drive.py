"""Exports in a Google Drive folder, whatever source they are of."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from config.origins import Origin
from ingestion.calls import Call
from ingestion.google.credentials import load_credentials
from ingestion.google.drive import Drive, DriveFile
from ingestion.origins.remote import Remote, token


@contextmanager
def files(origin: Origin, settings: Mapping[str, Any]) -> Iterator[list[Remote]]:
    """Every file below the folder but Google's own documents; they can be fetched as long as the block lives.

    Raises SourceDenied, SourceUnavailable, SettingsError.
    """
    with Drive(load_credentials(settings), settings["google_api_endpoint"]) as drive:
        yield [_remote(drive, file) for file in drive.folder(origin.place)]


def _remote(drive: Drive, file: DriveFile) -> Remote:
    state = token(file.id, file.sha256 or file.md5 or file.version, file.size)
    return Remote(file.path, file.id, state, file.size, lambda path: _fetch(drive, file, path, state))


def _fetch(drive: Drive, file: DriveFile, path: str, state: str) -> Call:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as sink:
        return drive.download(file, sink).call._replace(state=state)
