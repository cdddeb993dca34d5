"""The blood pressure sheet comes in: saved files from `inbox/google_sheets/`, and the live sheet when one is set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.google.installed import google_libraries
from ingestion.inbox import member_name
from ingestion.origins import extraction
from ingestion.reports import joined


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """Changes when the sheet or an origin's file does; None without either or when one does not say (then all is read every time)."""
    own: str | None = ""
    if settings["google_sheets_bp_id"]:
        with google_libraries():
            from ingestion.google_sheets.live_sheet import sheet_state
        own = sheet_state(settings)
    return extraction.fingerprint("google_sheets", settings, own)


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox`, the origins and the live sheet → collections `raw`, a worksheet as `live/<title>.json`, and `calls`.

    Settings: google_sheets_bp_id, google_sheets_worksheets, google_api_endpoint; secret google_credentials.
    Raises SourceDenied, SourceUnavailable.
    """
    dropped = extraction.extract("google_sheets", inputs, outputs, settings)
    if not settings["google_sheets_bp_id"]:
        return dropped
    with google_libraries():
        from ingestion.google_sheets.live_sheet import fetch_sheet
    return joined(dropped, fetch_sheet(outputs, settings, [member_name(f.name) for f in inputs.many("inbox")]))
