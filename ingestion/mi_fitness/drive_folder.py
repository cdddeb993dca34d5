"""The Drive folder a person saves Mi Fitness exports in, mirrored below `drive/`: only what is new or changed is fetched."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from config.stage import File, Outputs, Report
from ingestion.calls import Calls
from ingestion.google.credentials import google_id, load_credentials
from ingestion.google.drive import Drive, DriveFile, md5_of
from ingestion.google.names import distinct

_ENDINGS = (".csv", ".zip")
_MIMES = frozenset({"text/csv", "application/zip", "application/x-zip-compressed", "text/comma-separated-values"})


def open_folder(settings: Mapping[str, Any]) -> tuple[Drive, str]:
    """The Drive API and the folder's id. SettingsError when one of them cannot be had."""
    folder_id = google_id(settings["mi_band_drive_folder_id"], "MI_BAND_DRIVE_FOLDER_ID")
    return Drive(load_credentials(settings), settings["google_api_endpoint"]), folder_id


def folder_digest(settings: Mapping[str, Any]) -> str:
    """Changes when a file of the folder is added, removed, renamed or changed; never with the order of listing."""
    drive, folder_id = open_folder(settings)
    with drive:
        files = drive.folder(folder_id)
    state = [(f.id, f.path, f.sha256 or f.md5 or f.version, f.size) for f in files if is_export(f)]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def fetch_folder(outputs: Outputs, settings: Mapping[str, Any], taken: Collection[str]) -> Report:
    """The folder's CSV and zip files → collection `raw`, as `drive/<path>`, with their `calls`. `taken`: members that
    are there already.

    Fates: accepted (fetched), kept (unchanged), unused:not_an_export.
    """
    drive, folder_id = open_folder(settings)
    fates: Counter[str] = Counter()
    held, calls = outputs.previous("raw"), Calls(outputs)
    with drive:
        files = drive.folder(folder_id)
        exports = [f for f in files if is_export(f)]
        fates["unused:not_an_export"] = len(files) - len(exports)
        for file, member in zip(exports, distinct([(f"drive/{f.path}", f.id) for f in exports], taken), strict=True):
            if member in held and _is_same(file, held[member]):
                calls.keep(member)
                fates["kept"] += 1
            else:
                with outputs.open("raw", member) as sink:
                    fetched = drive.download(file, sink)
                calls.note(member, fetched.sha256, fetched.call)
                fates["accepted"] += 1
    fates = +fates
    return {
        "rows": {},
        "balance": {"unit": "file", "came": sum(fates.values()), "fates": dict(sorted(fates.items()))},
        "findings": [],
    }


def is_export(file: DriveFile) -> bool:
    """Whether it may be an export or a part of one; what is in it is judged when it is read."""
    return file.path.lower().endswith(_ENDINGS) or file.mime in _MIMES


def _is_same(file: DriveFile, held: File) -> bool:
    """Whether Drive's checksum says that we have these bytes; without a checksum they are fetched."""
    if file.size is not None and file.size != held.size:
        return False
    if file.sha256 is not None:
        return file.sha256 == held.sha256
    return file.md5 is not None and file.md5 == md5_of(held.path)
