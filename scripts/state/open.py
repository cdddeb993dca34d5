"""Which remote the settings name, opened; nothing is asked of it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from config.errors import SettingsError

if TYPE_CHECKING:
    from config.settings import Settings
    from scripts.state.remote import Remote

_EXAMPLES = "Examples: STATE_URL=s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, drive:FOLDER_ID, /path/to/folder"


def open_remote(settings: Settings) -> Remote | None:
    """The remote of STATE_URL, else the Drive folder GOOGLE_DRIVE_STATE_FOLDER_ID; None when neither is set.

    Raises SettingsError for an address of no known kind, and for a kind whose package is not installed.
    """
    url = (settings.state_url or "").strip()
    if not url:
        folder = (settings.google_drive_state_folder_id or "").strip()
        return _drive(folder, settings) if folder else None
    if url.startswith("drive:"):
        return _drive(url.removeprefix("drive:").strip("/"), settings)
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise SettingsError("STATE_URL holds a name or password; it is printed and logged.", "Set them apart: docs/state.md.")
    if parts.scheme in {"s3", "gs", "az"} and parts.netloc:
        from scripts.state.objects import open_objects

        return open_objects(parts.scheme, parts.netloc, unquote(parts.path).strip("/"), settings)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return _folder(unquote(parts.path))
    if "://" not in url:
        return _folder(url)
    raise SettingsError("STATE_URL names no place that is known.", _EXAMPLES)


def _drive(folder: str, settings: Settings) -> Remote:
    if not folder:
        raise SettingsError("STATE_URL names no Drive folder.", _EXAMPLES)
    from scripts.state.drive import open_drive

    return open_drive(folder, settings)


def _folder(path: str) -> Remote:
    from scripts.state.folder import FolderRemote

    return FolderRemote(path)
