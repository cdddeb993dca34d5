"""Mi Fitness exports come in: from `inbox/mi_fitness/`, and from a Google Drive folder when one is set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.google.installed import google_libraries
from ingestion.inbox import member_name
from ingestion.origins import extraction
from ingestion.reports import joined


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """A digest that changes when the Drive folder's or an origin's files do; None without either. Raises SourceDenied,
    SourceUnavailable."""
    own = ""
    if settings["mi_band_drive_folder_id"]:
        with google_libraries():
            from ingestion.mi_fitness.drive_folder import folder_digest
        own = folder_digest(settings)
    return extraction.fingerprint("mi_fitness", settings, own)


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox`, the origins and the Drive folder → collections `raw` and `calls` (`ingestion.calls`). Files elsewhere that have
    not changed are carried over, not fetched.

    Settings: mi_band_drive_folder_id, google_api_endpoint; secret google_credentials. Raises SourceDenied, SourceUnavailable.
    """
    dropped = extraction.extract("mi_fitness", inputs, outputs, settings)
    if not settings["mi_band_drive_folder_id"]:
        return dropped
    with google_libraries():
        from ingestion.mi_fitness.drive_folder import fetch_folder
    return joined(dropped, fetch_folder(outputs, settings, [member_name(f.name) for f in inputs.many("inbox")]))
