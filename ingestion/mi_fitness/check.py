"""Says in one line whether the Drive folder of Mi Fitness exports can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import PDPError
from ingestion.google.installed import google_libraries
from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """A line for the Drive folder and one for each origin. Fetches no file."""
    return _folder(settings) + origins.check("mi_fitness", settings)


def _folder(settings: Mapping[str, Any]) -> list[str]:
    """One line: off, ok, empty, not shared, denied, unreachable or what is wrong with the settings."""
    if not settings["mi_band_drive_folder_id"]:
        return ["off: no Drive folder is set; exports are read from the inbox."]
    try:
        with google_libraries():
            from ingestion.google.check import verdict
            from ingestion.mi_fitness.drive_folder import is_export, open_folder
        try:
            drive, folder_id = open_folder(settings)
            with drive:
                count = sum(1 for file in drive.folder(folder_id) if is_export(file))
        except PDPError as error:
            return [verdict(error)]
    except PDPError as error:
        return [f"wrong settings: {error}"]
    return [f"ok: the Drive folder holds {count} CSV or zip files." if count else "empty: the Drive folder holds no CSV or zip."]
