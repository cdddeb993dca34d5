"""Says in one line whether the blood pressure sheet can be read live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import PDPError
from ingestion.google.installed import google_libraries
from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """A line for the sheet and one for each origin. Reads no cell."""
    return _sheet(settings) + origins.check("google_sheets", settings)


def _sheet(settings: Mapping[str, Any]) -> list[str]:
    """One line: off, ok, empty, not shared, denied, unreachable or what is wrong with the settings."""
    if not settings["google_sheets_bp_id"]:
        return ["off: no Google Sheet is set; saved sheets are read from the inbox."]
    try:
        with google_libraries():
            from ingestion.google.check import verdict
            from ingestion.google.credentials import load_credentials
            from ingestion.google.sheets import Sheets
            from ingestion.google_sheets.live_sheet import sheet_id
        try:
            key = sheet_id(settings)
            with Sheets(load_credentials(settings), settings["google_api_endpoint"]) as sheets:
                found = sheets.titles(key)
        except PDPError as error:
            return [verdict(error)]
    except PDPError as error:
        return [f"wrong settings: {error}"]
    missing = [title for title in settings["google_sheets_worksheets"] or () if title not in found]
    if missing:
        return [f"wrong settings: {len(missing)} of the worksheets asked for are not in the sheet."]
    return [f"ok: the sheet has {len(found)} worksheets." if found else "empty: the sheet has no worksheet with cells."]
