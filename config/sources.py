"""The sources PDP knows, as data. A new source is one entry here and one folder in `ingestion/` and `processing/normalizers/`."""

from __future__ import annotations

from typing import NamedTuple


class Source(NamedTuple):
    """A place data comes from."""

    name: str
    title: str
    live: tuple[str, ...] = ()
    """Settings that together switch the live path on; empty for a source that only reads its inbox."""
    secrets: tuple[str, ...] = ()
    """Secrets its extraction may read; never part of any hash."""
    settings: tuple[str, ...] = ()
    """Settings its `records` step reads."""
    hint: str = ""
    """How to switch it on, in half a sentence."""


SOURCES: dict[str, Source] = {
    s.name: s
    for s in (
        Source(
            "google_sheets",
            "Google Sheet with blood pressure",
            live=("google_sheets_bp_id",),
            secrets=("google_credentials",),
            settings=("timezone", "timezone_overrides"),
            hint="set GOOGLE_SHEETS_BP_ID and credentials, or drop the sheet as CSV, XLSX or JSON",
        ),
        Source(
            "mi_fitness",
            "Mi Fitness export",
            live=("mi_band_drive_folder_id",),
            secrets=("google_credentials",),
            settings=("timezone", "timezone_overrides"),
            hint="set MI_BAND_DRIVE_FOLDER_ID and credentials, or drop the export's zip or CSVs",
        ),
        Source(
            "bp_csv",
            "Blood pressure CSV of any tool",
            settings=("timezone", "timezone_overrides", "bp_csv_presets"),
            hint="drop a CSV of OMRON connect, omblepy, Withings or a blood pressure app",
        ),
    )
}
"""Name → source, in the order of a summary."""
