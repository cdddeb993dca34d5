"""The sources PDP knows, as data. A new source is one entry here and one folder in `ingestion/` and `processing/normalizers/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple


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
    record_secrets: tuple[str, ...] = ()
    """Secrets its `records` step reads: what opens an encrypted export. A setting that changes with them stands in `settings`."""
    normalizer: str = ""
    """`"module:function"` that turns its records into readings."""
    by_month: bool = False
    """Whether that function makes again only the months that have changed."""
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
        Source(
            "omron",
            "OMRON export",
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.omron:normalize",
            hint="drop OMRON connect's CSV, or the CSVs of omblepy",
        ),
        Source(
            "zepp_life",
            "Zepp Life (Mi Fit) export",
            settings=("timezone", "timezone_overrides", "zepp_life_password_id"),
            record_secrets=("zepp_life_password",),
            normalizer="processing.normalizers.zepp_life:normalize",
            hint="drop the export's zip and set ZEPP_LIFE_PASSWORD, or drop its unpacked folder",
        ),
        Source(
            "withings",
            "Withings (Health Mate) export",
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.withings:normalize",
            hint="drop the Health Mate archive, its CSVs or the API's JSON",
        ),
        Source(
            "garmin",
            "Garmin export",
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.garmin:normalize",
            hint="drop the account export, FIT files or what python-garminconnect saved",
        ),
        Source(
            "fitbit",
            "Fitbit (Google Takeout)",
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.fitbit:normalize",
            by_month=True,
            hint="drop the zips of Google Takeout (Fitbit or Google Health) or of Fitbit's own archive",
        ),
        Source(
            "gadgetbridge",
            "Gadgetbridge database",
            normalizer="processing.normalizers.gadgetbridge:normalize",
            by_month=True,
            hint="drop the database Gadgetbridge exports, or its zip",
        ),
        Source(
            "health_connect",
            "Health Connect backup",
            normalizer="processing.normalizers.health_connect:normalize",
            hint="drop the zip that Android's Health Connect backs itself up to",
        ),
        Source(
            "samsung_health",
            "Samsung Health export",
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.samsung_health:normalize",
            hint="drop the folder of Samsung Health → Settings → Download personal data, or a zip of it",
        ),
        Source(
            "apple_health",
            "Apple Health export",
            normalizer="processing.normalizers.apple_health:normalize",
            by_month=True,
            hint="drop the zip of Health → your picture → Export All Health Data, or its export.xml",
        ),
        Source(
            "google_fit",
            "Google Fit (Takeout)",
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.google_fit:normalize",
            hint="drop the zips of Google Takeout (Fit)",
        ),
    )
}
"""Name → source, in the order of a summary."""


def is_live(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether every run looks at something beyond the source's inbox: its own live path, or an origin."""
    live = SOURCES[name].live
    return bool(settings[f"origins_{name}"]) or (bool(live) and all(settings[setting] for setting in live))
