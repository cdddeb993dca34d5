"""The sources PDP knows, as data. A new source is one entry here and one folder in `ingestion/` and `processing/normalizers/`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from config.mapping import Mapped, Unify
from config.metrics import METRICS


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
    rest: str = ""
    """`"module:Class"` of a `RestSource` that extracts it and makes its records; `yaml` for one that a file of `REST_FOLDER` declares."""
    pages: bool = False
    """Whether its `extract` step commits what it fetches page by page."""
    tokens: tuple[str, ...] = ()
    """Environment variables with its own secrets; the step gets them as the secret `tokens_<name>`: JSON of those that are set."""
    readings: tuple[Mapped, ...] = ()
    """What its records measure, for the normalizer that goes by a mapping: the one of a source that names no other."""
    unify: Unify | None = None
    """How its records become unified ones; without it they do not."""

    @property
    def is_remote(self) -> bool:
        """Whether it has no exports a person would drop: an API, a stream, a database."""
        return bool(self.rest or (self.live and self.pages))


_EVENT = Mapped("=metric", "value", "ts_utc", "=unit", "offset_s", "device")
"""What an event (`config.events`) measures."""
_UNIFIED_EVENT = Unify("event_id", name="metric", value="value", unit="unit", occurred_at="ts_utc", event_id="event_id")

_SHIPPED: dict[str, Source] = {
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
            "Withings (Health Mate)",
            extract_settings=("rest_withings",),
            pages=True,
            tokens=("WITHINGS_CLIENT_ID", "WITHINGS_CLIENT_SECRET", "WITHINGS_REFRESH_TOKEN"),
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.withings:normalize",
            hint="set the WITHINGS_ tokens, or drop the Health Mate archive, its CSVs or the API's JSON",
        ),
        Source(
            "garmin",
            "Garmin",
            extract_settings=("garmin_since", "garmin_api", "timezone", "timezone_overrides"),
            pages=True,
            tokens=("GARMIN_TOKENS",),
            settings=("timezone", "timezone_overrides"),
            normalizer="processing.normalizers.garmin:normalize",
            hint="set GARMIN_TOKENS, or drop the account export, FIT files or what python-garminconnect saved",
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
        Source(
            "csv_url",
            "CSV of any header, at a web address",
            settings=("timezone", "timezone_overrides"),
            readings=(
                Mapped("=fields.metric", "fields.value", "fields.occurred_at", unit="=fields.unit", device="fields.device"),
                *(Mapped(name, f"fields.{name}", "fields.occurred_at", device="fields.device") for name in METRICS),
            ),
            unify=Unify(
                name="fields.name|fields.metric",
                value="fields.value",
                unit="fields.unit",
                description="fields.description",
                occurred_at="fields.occurred_at",
                created_at="fields.created_at",
                updated_at="fields.updated_at",
                deleted="fields.deleted",
            ),
            hint="set CSV_URL to the address of a CSV with a header, or drop one",
            modality="self-reported",
        ),
        Source(
            "demo_api",
            "Demo API in the manner of jsonplaceholder",
            live=("demo_api_url",),
            rest="ingestion.demo_api.api:DemoApi",
            pages=True,
            tokens=("API_KEY",),
            unify=Unify(name="title|name", value="completed", description="body|company.catchPhrase"),
            hint="set API_HOST to its web address, and API_KEY if it wants a key",
            modality="self-reported",
        ),
        Source(
            "toggl",
            "Toggl Track",
            settings=("timezone", "timezone_overrides"),
            rest="ingestion.toggl.api:Toggl",
            pages=True,
            tokens=("TOGGL_API_TOKEN",),
            unify=Unify(name="description", value="duration", occurred_at="start", updated_at="at", deleted="server_deleted_at"),
            hint="set TOGGL_API_TOKEN",
            modality="self-reported",
        ),
        Source(
            "s3_events",
            "Events in an object store",
            live=("s3_events_url",),
            extract_settings=("s3_events_url",),
            pages=True,
            readings=(_EVENT,),
            unify=_UNIFIED_EVENT,
            hint="set S3_EVENTS_URL to the prefix the events lie below",
        ),
        Source(
            "kinesis",
            "Events of a Kinesis stream",
            live=("kinesis_stream",),
            extract_settings=("kinesis_stream",),
            pages=True,
            readings=(_EVENT,),
            unify=_UNIFIED_EVENT,
            hint="set KINESIS_STREAM and AWS credentials",
        ),
        Source(
            "cdc",
            "Tables of a PostgreSQL, change by change",
            live=("cdc_tables",),
            extract_settings=("cdc_tables", "cdc_slot"),
            settings=("timezone", "timezone_overrides", "cdc_time_column"),
            tokens=("CDC_DATABASE_URL",),
            pages=True,
            readings=(Mapped("=row.metric", "row.value", "row.ts_utc", "=row.unit", "row.offset_s", "row.device"),),
            unify=Unify(
                "id",
                name="row.metric",
                value="row.value",
                unit="row.unit",
                occurred_at="row.ts_utc",
                updated_at="committed_at",
                deleted="deleted",
                event_id="row.event_id",
            ),
            hint="set CDC_DATABASE_URL and CDC_TABLES, then: python main.py cdc create",
        ),
    )
}
"""Those that are code."""

_NOT_SOURCES = frozenset(
    """
    run plan explain status graph lineage diff trace query gold history runs report openlineage verify accept gc erase backup restore
    audit source bronze dlq serve state password alerts export doctor mock completion help events cdc
    ingestion normalization validation merge silver extract records metrics daily_metrics sealed unify tables load
    blood_pressure heart_rate sleep activity body
    """.split()  # noqa: SIM905 - a table reads better than a list
)
"""Names a source cannot have: those of commands, stages, steps and kinds of reading."""


def _rest_folder() -> str:
    """`PDP_REST_SOURCES`, else the folder `rest` beside the settings."""
    if own := os.environ.get("PDP_REST_SOURCES"):
        return os.path.abspath(own)
    settings = os.environ.get("PDP_SETTINGS")
    beside = os.path.dirname(os.path.abspath(settings)) if settings else os.path.dirname(os.path.abspath(__file__))
    return os.path.join(beside, "rest")


def _declared(folder: str) -> tuple[dict[str, str], list[str]]:
    """({name of a source → the file that declares it}, names of files that can be no source's)."""
    try:
        files = sorted(e.name for e in os.scandir(folder) if not e.name.startswith(".") and e.is_file())
    except OSError:
        return {}, []
    files = [name for name in files if name.endswith((".yaml", ".yml"))]
    good = [name for name in files if name_fault(name[:-5]) == "" and name.endswith(".yaml")]
    return {name[:-5]: os.path.join(folder, name) for name in good}, [name for name in files if name not in good]


def name_fault(name: str) -> str:
    """Why a source cannot be called so; empty when it can."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,29}", name):
        return "a name begins with a small letter and goes on with small letters, digits and _: 30 at most"
    if name in _SHIPPED:
        return "a source of this name is shipped"
    return "the name is taken by a command, a stage or a kind of reading" if name in _NOT_SOURCES else ""


REST_FOLDER = _rest_folder()
"""Where sources are declared as YAML: one file each, `<name>.yaml`."""
DECLARED, MISNAMED = _declared(REST_FOLDER)
"""Those found there, and the files that can declare none: the settings refuse them with the reason."""

SOURCES: dict[str, Source] = _SHIPPED | {
    name: Source(
        name,
        name.replace("_", " ").capitalize(),
        rest="yaml",
        pages=True,
        settings=("timezone", "timezone_overrides"),
        hint=f"set the tokens that {name}.yaml names",
    )
    for name in DECLARED
}
"""Name → source, in the order of a summary; what the settings' folder declares stands last."""


def is_live(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether every run looks at something beyond the source's inbox: its own live path, or an origin."""
    source = SOURCES[name]
    needs = [bool(settings[setting]) for setting in source.live]
    if source.tokens or source.rest:
        needs += [not settings[f"missing_tokens_{name}"], not settings[f"rest_{name}"].get("paused")]
    return bool(settings[f"origins_{name}"]) or (bool(needs) and all(needs))


def hint(name: str, settings: Mapping[str, Any]) -> str:
    """How to switch it on, in half a sentence: of one that a file declares what that file or the variables lack."""
    if SOURCES[name].rest != "yaml":
        return SOURCES[name].hint
    if settings[f"rest_{name}"].get("paused"):
        return f"take `paused` out of {name}.yaml"
    missing = settings[f"missing_tokens_{name}"]
    return f"set {' and '.join(missing)} in the environment or .env" if missing else SOURCES[name].hint
