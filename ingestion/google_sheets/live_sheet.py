"""The live spreadsheet as one grid of raw values per worksheet."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from config.errors import SourceDenied
from config.stage import Outputs, Report
from ingestion.calls import Calls
from ingestion.google.credentials import google_id, load_credentials
from ingestion.google.drive import Drive
from ingestion.google.names import distinct, safe_name
from ingestion.google.sheets import Sheets, Worksheet


def sheet_id(settings: Mapping[str, Any]) -> str:
    """The spreadsheet's id. SettingsError when the setting holds none."""
    return google_id(settings["google_sheets_bp_id"], "GOOGLE_SHEETS_BP_ID")


def sheet_state(settings: Mapping[str, Any]) -> str | None:
    """Version and time of change of the spreadsheet's file; None when the Drive API may not be asked."""
    key = sheet_id(settings)
    with Drive(load_credentials(settings), settings["google_api_endpoint"]) as drive:
        try:
            return drive.state(key, "spreadsheet")
        except SourceDenied:  # the sheet itself may well be shared; reading it will tell
            return None


def fetch_sheet(outputs: Outputs, settings: Mapping[str, Any], taken: Collection[str]) -> Report:
    """Every wanted worksheet → `live/<title>.json`: `{"locale", "timeZone", "title", "values"}`, equal cells giving equal bytes."""
    with Sheets(load_credentials(settings), settings["google_api_endpoint"]) as sheets:
        found = list(sheets.worksheets(sheet_id(settings), settings["google_sheets_worksheets"] or ()))
    calls = Calls(outputs)
    rows: dict[str, int] = {}
    members = distinct([(f"live/{safe_name(sheet.title + '.json')}", str(sheet.id)) for sheet in found], taken)
    for sheet, member in zip(found, members, strict=True):
        calls.bring(member, _grid(sheet), sheet.call)
        rows[f"raw/{member}"] = len(sheet.values)
    return {
        "rows": rows,
        "balance": {"unit": "file", "came": len(found), "fates": {"accepted": len(found)} if found else {}},
        "findings": [],
    }


def _grid(sheet: Worksheet) -> bytes:
    grid = {"locale": sheet.locale, "timeZone": sheet.time_zone, "title": sheet.title, "values": sheet.values}
    return json.dumps(grid, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
