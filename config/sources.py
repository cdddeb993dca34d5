"""The sources PDP knows, as data. A new source is one entry here and one folder in `ingestion/` and `processing/normalizers/`."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Source(NamedTuple):
    """A place data comes from."""

    name: str
    title: str
    live: tuple[str, ...] = ()
    """Settings that together switch the live path on; empty for a source that only reads its inbox."""
    secrets: tuple[str, ...] = ()
    """Secrets its extraction may read; never part of any hash."""
    extract_settings: tuple[str, ...] = ()
    """Settings its `extract` step reads."""
    settings: tuple[str, ...] = ()
    """Settings its `records` step reads."""
    normalizer: str = ""
    """`"module:function"` that turns its records into readings."""
    hint: str = ""
    """How to switch it on, in half a sentence."""
    modality: Literal["sensed", "self-reported"] = "sensed"
    """How its values come about, in the words of Open mHealth."""


SOURCES: dict[str, Source] = {
    s.name: s
    for s in (
        Source(
            "google_sheets",
            "Google Sheet with blood pressure",
            live=("google_sheets_bp_id",),
            secrets=("google_credentials",),
            extract_settings=("google_sheets_bp_id", "google_sheets_worksheets", "google_api_endpoint"),
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.blood_pressure:normalize_google_sheets",
            hint="set GOOGLE_SHEETS_BP_ID and credentials, or drop the sheet as CSV, XLSX or JSON",
            modality="self-reported",
        ),
        Source(
            "mi_fitness",
            "Mi Fitness export",
            live=("mi_band_drive_folder_id",),
            secrets=("google_credentials",),
            extract_settings=("mi_band_drive_folder_id", "google_api_endpoint"),
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.mi_fitness:normalize",
            hint="set MI_BAND_DRIVE_FOLDER_ID and credentials, or drop the export's zip or CSVs",
        ),
        Source(
            "bp_csv",
            "Blood pressure CSV of any tool",
            settings=("timezone", "timezone_overrides", "bp_csv_presets"),
            normalizer="processing.normalizers.blood_pressure:normalize_bp_csv",
            hint="drop a CSV of OMRON connect, omblepy, Withings or a blood pressure app",
        ),
    )
}
"""Name → source, in the order of a summary."""
