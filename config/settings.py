"""All settings: environment variables or `.env`, the rest in `config/settings.yaml`. Wrong ones are named, with an example.

Everything a node may declare is here under its lower-case name. Secrets are `SecretStr`, never hashed, never logged, never cached.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as WrongSource

from config.addresses import safe_address, web_address
from config.alerting import Alerts
from config.declared import Declared
from config.declared import read as read_declared
from config.errors import SettingsError
from config.mapping_models import Reading
from config.metrics import KINDS, METRICS
from config.origins import EXAMPLES, origin
from config.remotes import remotes, their_api
from config.sealing import key_id, key_of
from config.sources import SOURCES
from config.table_rows import mappings
from config.timezones import zone
from config.wrong_settings import explained, wrong
from config.yaml_file import read_mapping


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] <= bounds[1]:
        raise ValueError("the lower bound lies above the upper one")
    return bounds


def _metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"there is no metric {name!r}; metrics are {', '.join(METRICS)}")
    return name


def _metric_or_kind(name: str) -> str:
    if name not in METRICS and name not in KINDS:
        raise ValueError(f"there is no metric or kind {name!r}; kinds are {', '.join(KINDS)}, metrics are {', '.join(METRICS)}")
    return name


def _source(name: str) -> str:
    if name not in SOURCES:
        raise ValueError(f"there is no source {name!r}; sources are {', '.join(SOURCES)}")
    return name


def _exporting(name: str) -> str:
    if SOURCES[_source(name)].rest:
        raise ValueError(f"{name} is read by its API; origins are for exports")
    return name


def _export_origin(text: str) -> str:
    origin(text)
    return text


def _object_store(text: str) -> str:
    if origin(text).kind not in ("s3", "gs", "az"):
        raise ValueError("it should be a prefix of an object store: s3://bucket/prefix")
    return text


def _origin(text: str) -> str:
    """A page's origin as browsers send it: scheme, host and port, nothing after them."""
    if not re.fullmatch(r"[a-z]+://[^/?#]+", web_address(text)):
        raise ValueError("an origin ends with its host or port: no path, no slash")
    return text


def _secret_address(secret: SecretStr) -> SecretStr:
    if text := secret.get_secret_value():
        safe_address(text)
    return secret


def _secret_header(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text and not re.fullmatch(r"[A-Za-z0-9-]+: [!-~][ -~]*", text):
        raise ValueError("it should be a name, a colon, a blank and a value, on one line")
    return secret


def _host_or_base(text: str) -> str:
    """Where our own API listens, or, with a scheme, the base of the API that source `demo_api` reads."""
    return safe_address(text).rstrip("/") if "://" in text else text


def _as_day(value: Any) -> Any:
    """Digits alone would be read as seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and not re.fullmatch(r"\d{4}-\d\d-\d\d", value)):
        raise ValueError("it should be a date that exists, written YYYY-MM-DD")
    return value


ZoneName = Annotated[str, AfterValidator(lambda name: zone(name).key)]
Day = Annotated[date, BeforeValidator(_as_day)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-4]):[0-5]\d$", examples=["04:00"])]
Bounds = Annotated[tuple[float, float], AfterValidator(_rising)]
Metric = Annotated[str, AfterValidator(_metric)]
MetricOrKind = Annotated[str, AfterValidator(_metric_or_kind)]
WebAddress = Annotated[str, AfterValidator(lambda text: text and web_address(text))]
SecretAddress = Annotated[SecretStr, AfterValidator(_secret_address)]
SecretHeader = Annotated[SecretStr, AfterValidator(_secret_header)]
Origin = Annotated[str, AfterValidator(_origin)]
HostOrBase = Annotated[str, AfterValidator(_host_or_base)]
ApiBase = Annotated[str, AfterValidator(lambda text: text and safe_address(text).rstrip("/"))]
HostName = Annotated[str, Field(pattern=r"^(\*|[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])$")]
ExportOrigin = Annotated[str, AfterValidator(_export_origin)]
MaybeOrigin = Annotated[str, AfterValidator(lambda text: text and _export_origin(text))]
ObjectStore = Annotated[str, AfterValidator(_object_store)]
TableName = Annotated[str, Field(pattern=r"^([^.\s]{1,63}\.)?[^.\s]{1,63}$")]
SourceName = Annotated[str, AfterValidator(_source)]
ExportingSource = Annotated[str, AfterValidator(_exporting)]
Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    BeforeValidator(lambda level: level.upper() if isinstance(level, str) else level),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ZoneOverride(_Strict):
    """Local days, inclusive, spent in another time zone."""

    from_: Day = Field(alias="from", examples=["2025-07-01"])
    to: Day = Field(examples=["2025-07-14"])
    timezone: ZoneName = Field(examples=["America/New_York"])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ > self.to:
            raise ValueError("`from` lies after `to`")
        return self


class Event(_Strict):
    """Something to mark on charts: a medication, an illness, a journey."""

    date: Day
    label: str = Field(max_length=80)
    kind: str = Field("event", pattern=r"^[a-z_]+$")


class Plausibility(_Strict):
    """A person's own bounds for a metric; inclusive, in the catalogue's unit."""

    reject: Bounds | None = None
    warn: Bounds | None = None


Share = Annotated[float, Field(ge=0, le=1, examples=[0.99])]
Hours = Annotated[float, Field(gt=0, allow_inf_nan=False, examples=[48])]


class SourceSla(_Strict):
    """What is wanted of one source; what is not said holds as for all. `freshness_hours: null`: not judged."""

    completeness: Share = 0.99
    validity: Share = 0.999
    freshness_hours: Hours | None = 48


class QualitySla(SourceSla):
    """What is wanted of each load of records."""

    sources: dict[SourceName, SourceSla] = Field(default={}, examples=[{"mi_fitness": {"freshness_hours": None}}])


class Settings(BaseSettings):
    """Environment variables carry the upper-case names; YAML the lower-case ones. Unknown YAML keys are errors."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", populate_by_name=True)

    data_dir: str = Field("data", description="Data root; everything PDP writes is below it.")
    timezone: ZoneName = Field("UTC", description="Where you live: an IANA name.", examples=["Europe/Warsaw"])
    timezone_overrides: list[ZoneOverride] = Field(
        [],
        description="Days spent in another zone.",
        examples=[[{"from": "2025-07-01", "to": "2025-07-14", "timezone": "America/New_York"}]],
    )
    environment: str = Field(
        "development",
        pattern=r"^[a-z][a-z0-9_-]{0,30}$",
        description="Label of the rows loaded to bronze: small letters, digits, - and _.",
        examples=["production"],
    )
    log_level: Level = Field("INFO", description="What the event log on stderr holds.", examples=["WARNING"])

    database_url: SecretStr | None = Field(
        None, description="postgresql://user:password@host/db; empty means the embedded server."
    )
    pg_host: str | None = None
    pg_port: int = Field(5432, ge=1, le=65535, description="Port of your PostgreSQL.", examples=[5432])
    pg_db: str = "pdp"
    pg_user: str | None = None
    pg_pass: SecretStr | None = None

    google_application_credentials: str | None = Field(None, description="Path of a service account's JSON key.")
    google_credentials_base64: SecretStr | None = Field(None, description="The same key, base64.")
    google_oauth_client_id: str | None = Field(
        None, description="OAuth client of your own Google project: keeps the state on your Drive as yourself; see docs/state.md."
    )
    google_oauth_client_secret: SecretStr | None = Field(None, description="That client's secret.")
    google_oauth_refresh_token: SecretStr | None = Field(None, description="Your refresh token for that client.")
    google_sheets_bp_id: str | None = Field(None, description="Id of the sheet: the long part of its address.")
    google_sheets_worksheets: list[str] = Field(
        [], description="Worksheets to read; empty means all.", examples=[["2024", "2025"]]
    )
    mi_band_drive_folder_id: str | None = Field(None, description="Id of the Drive folder with Mi Fitness exports.")
    zepp_life_password: SecretStr | None = Field(
        None, description="Opens the encrypted zip of a Zepp Life export: the password from the mail that brought it."
    )
    google_api_endpoint: str | None = Field(None, description="An emulator's address instead of Google's, for tests.")
    origins: dict[ExportingSource, list[ExportOrigin]] = Field(
        {},
        description="Where a source's exports lie besides its inbox: Drive folders, web addresses, object stores; see docs/connect.md.",
        examples=[{"bp_csv": list(EXAMPLES)}],
    )
    on_drift: dict[SourceName, Literal["evolve", "warn", "quarantine"]] = Field(
        {},
        description="What is done with records of a changed export: taken (evolve), marked, or refused; see docs/sources.md.",
        examples=[{"mi_fitness": "quarantine"}],
    )
    google_drive_state_folder_id: str | None = Field(None, description="Id of the Drive folder the state is kept in.")
    state_url: str | None = Field(
        None,
        description="Where the state is kept: s3://bucket/prefix, gs://…, az://container/prefix, drive:FOLDER_ID or a folder.",
        examples=["s3://bucket/prefix"],
    )
    state_key: SecretStr | None = Field(
        None,
        description="Seals what leaves this machine: 32 bytes in base64 or hex. With it every run also makes gold/gold.sealed.",
    )
    state_key_file: str | None = Field(
        None, description="File that holds STATE_KEY instead, such as a secret that a container mounts."
    )
    state_plain: bool = Field(
        False, description="Keep the state without STATE_KEY, unsealed: only for a place that is safe in itself.", examples=[True]
    )
    state_keep_generations: int = Field(
        5, ge=1, le=100, description="How many pushes the remote state can be set back to.", examples=[5]
    )
    state_lease_minutes: float = Field(
        0,
        ge=0,
        le=1440,
        description="A pull asks others to wait so long for the push; 0: nobody waits, what meets is merged.",
        examples=[30],
    )
    stateless_dir: str | None = Field(
        None,
        description="Folder that --stateless works in, and empties; without it memory where there is room, else the temporary folder.",
        examples=["/run/user/1000"],
    )
    dashboard_password_hash: SecretStr | None = Field(
        None, description="argon2id hash of the dashboard's password: made by `python main.py password`; see docs/dashboard.md."
    )
    dashboard_allowed_users: list[str] = Field(
        [],
        description="Who may see your data after a sign-in by OIDC: verified e-mail addresses, or subjects (`sub`).",
        examples=[["me@example.org"]],
    )
    dashboard_idle_minutes: float = Field(
        15, gt=0, le=1440, description="The dashboard locks after so many minutes in which nothing is done.", examples=[15]
    )
    dashboard_session_hours: float = Field(8, gt=0, le=24, description="A sign-in lasts so many hours at most.", examples=[8])
    api_key: SecretStr | None = Field(
        None,
        description="Where API_HOST is a web address: the key that source demo_api sends there. Else the read API's, as SERVE_API_KEY.",
    )
    api_host: HostOrBase | None = Field(
        None,
        description="A web address: what source demo_api reads. Else the address the read API listens on; 127.0.0.1 without it.",
        examples=["https://jsonplaceholder.typicode.com"],
    )
    serve_api_key: SecretStr | None = Field(
        None, description="Keys of the read API, comma separated: two while one takes the other's place; see docs/api.md."
    )
    api_port: int = Field(8000, ge=1, le=65535, description="Port the API listens on.", examples=[8000])
    api_cors_origins: list[Origin] = Field(
        [], description="Web pages that may call the API from a browser; empty: none.", examples=[["https://charts.example.org"]]
    )
    api_rate_limit: int = Field(600, ge=1, description="Requests a minute for each key and address.", examples=[600])
    api_allowed_hosts: list[HostName] = Field(
        [], description="Names the API is reached by, beside localhost and API_HOST.", examples=[["health.example.org"]]
    )
    metrics_open: bool = Field(False, description="Whether GET /metrics of the API answers without a key.", examples=[True])
    csv_url: MaybeOrigin | None = Field(
        None,
        description="A CSV of any header that source csv_url reads: https (http on this machine), or a place as in `origins`.",
        examples=["https://example.org/table.csv"],
    )
    s3_events_url: ObjectStore | None = Field(
        None,
        description="Prefix of an object store below which source s3_events finds events as Parquet; see docs/streams.md.",
        examples=["s3://bucket/events"],
    )
    kinesis_stream: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_.-]{1,128}$",
        description="Kinesis stream that source kinesis reads; see docs/streams.md.",
        examples=["events"],
    )
    cdc_database_url: SecretStr | None = Field(
        None, description="PostgreSQL whose changes source cdc reads: postgresql://user:password@host/db; see docs/streams.md."
    )
    cdc_tables: list[TableName] = Field(
        [], description="Its tables, with their schema where that is not public.", examples=[["public.readings", "visits"]]
    )
    cdc_slot: str = Field(
        "pdp",
        pattern=r"^[a-z0-9_]{1,40}$",
        description="What the replication slot and the publication there are called.",
        examples=["pdp_home"],
    )
    cdc_readings: list[Reading] = Field(
        [],
        description="What their columns measure, where rows are no events; see docs/streams.md.",
        examples=[[{"metric": "weight", "value": "kg", "time": "measured_at"}]],
    )
    cdc_time_column: str = Field(
        "ts_utc", min_length=1, max_length=63, description="Column that says when a row was measured.", examples=["measured_at"]
    )
    toggl_api_token: SecretStr | None = Field(
        None,
        description="Your key for Toggl Track: its page Profile, at the bottom. Switches source toggl on; see docs/connect.md.",
    )
    toggl_api: ApiBase | None = Field(
        None, description="An emulator's address instead of Toggl's, for tests.", examples=["http://localhost:8080"]
    )
    withings_client_id: SecretStr | None = Field(
        None,
        description="Client id of your own Withings application. With the next two it switches the live path of withings on.",
    )
    withings_client_secret: SecretStr | None = Field(None, description="That application's secret.")
    withings_refresh_token: SecretStr | None = Field(
        None, description="Your first refresh token for it, as docs/connect.md makes it; those that follow are kept sealed."
    )
    withings_api: ApiBase | None = Field(
        None, description="An emulator's address instead of Withings', for tests.", examples=["http://localhost:8080"]
    )
    garmin_tokens: SecretStr | None = Field(
        None,
        description="The text of the garmin_tokens.json that python-garminconnect saved. Switches the live path of garmin on.",
    )
    garmin_since: Day | None = Field(
        None, description="First day asked of Garmin Connect; 30 days back without it.", examples=["2025-01-01"]
    )
    garmin_api: ApiBase | None = Field(
        None, description="An emulator's address instead of Garmin's, for tests.", examples=["http://localhost:8080"]
    )
    aws_endpoint_url: str | None = Field(
        None, description="Address of a store that speaks S3 and is not Amazon's.", examples=["https://fly.storage.tigris.dev"]
    )
    aws_access_key_id: str | None = Field(None, description="For a state in S3; without it the machine's own role is used.")
    aws_secret_access_key: SecretStr | None = Field(None, description="Goes with it.")
    aws_session_token: SecretStr | None = Field(None, description="Goes with it, if it is a temporary one.")
    aws_region: str | None = Field(None, description="Region of the bucket.", examples=["eu-central-1"])
    azure_storage_account_name: str | None = Field(None, description="For a state in Azure Blob Storage.")
    azure_storage_account_key: SecretStr | None = Field(None, description="Goes with it.")
    azure_storage_sas_key: SecretStr | None = Field(None, description="A shared access signature instead of the key.")

    openlineage_url: WebAddress | None = Field(
        None, description="Lineage server told about every run that did something.", examples=["http://localhost:5000"]
    )
    openlineage_file: str | None = Field(None, description="File the same events are appended to; below the data root.")
    openlineage_namespace: str = Field(
        "pdp",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="What lineage calls this installation: letters, digits, dot, - and _.",
        examples=["pdp-home"],
    )
    openlineage_api_key: SecretStr | None = Field(None, description="Sent to the lineage server as a bearer token.")

    metrics_textfile: str | None = Field(
        None,
        description="File the metrics are left in after each run, for node_exporter: absolute, or below the data root.",
        examples=["/var/lib/node_exporter/pdp.prom"],
    )
    metrics_push_url: WebAddress | None = Field(
        None, description="Pushgateway the metrics are sent to after each run.", examples=["http://localhost:9091"]
    )
    alerts: Alerts = Field(
        Alerts(),
        description="What is watched after each run and who is told; see docs/monitoring.md.",
        examples=[
            {
                "repeat_hours": 12,
                "freshness": {"hours": 48, "sources": {"bp_csv": None}},
                "rate_limit": {"enabled": False},
                "email": {"host": "mail.example.org", "sender": "pdp@example.org", "to": ["me@example.org"]},
            }
        ],
    )
    alert_webhook_url: SecretAddress | None = Field(
        None,
        description="Address that alerts are posted to as JSON: https, or http on this machine.",
        examples=["https://chat.example.org/hooks/your-own"],
    )
    alert_webhook_header: SecretHeader | None = Field(
        None,
        description="A header to send with them.",
        examples=["Authorization: Bearer your-token"],
    )
    alert_email_password: SecretStr | None = Field(None, description="Password of the mail server's user.")

    med_start_date: Day | None = Field(
        None, description="First day of a medication, marked in the daily table.", examples=["2025-03-01"]
    )
    events: list[Event] = Field(
        [], description="Further days to mark.", examples=[[{"date": "2025-03-01", "label": "New tablets", "kind": "medication"}]]
    )
    own_users: dict[SourceName, list[str]] = Field(
        {},
        description="Which users, accounts or names of a source are you, where it holds several people; see docs/export.md.",
        examples=[{"bp_csv": ["2"], "mi_fitness": ["1234567890"], "google_sheets": ["Anna"]}],
    )
    source_priority: dict[MetricOrKind, list[SourceName]] = Field(
        {},
        description="Metric or kind to the sources believed first.",
        examples=[{"blood_pressure": ["google_sheets", "bp_csv"]}],
    )
    plausibility: dict[Metric, Plausibility] = Field(
        {}, description="Own bounds per metric.", examples=[{"spo2": {"reject": [60, 100], "warn": [85, 100]}}]
    )
    bp_scheme: Literal["aha_2017", "esc_2024_office", "esc_2024_home"] = Field(
        "aha_2017", description="Categories of blood pressure; see docs/domain.md.", examples=["esc_2024_home"]
    )
    home_bp_protocol: Literal["esh_2021", "esc_2024", "chep_2017", "aha_2020", "jabfm"] = Field(
        "esh_2021", description="Preset of the home blood pressure protocol; see docs/domain.md.", examples=["esh_2021"]
    )
    morning_hours: tuple[Clock, Clock] = Field(
        ("04:00", "12:00"), description="The morning on the local clock, its end excluded.", examples=[["04:00", "12:00"]]
    )
    evening_hours: tuple[Clock, Clock] = Field(
        ("18:00", "24:00"), description="The evening on the local clock, its end excluded.", examples=[["18:00", "24:00"]]
    )
    steps_goal: int = Field(8000, ge=1, description="Steps a day you aim at; a line on charts.", examples=[8000])
    sleep_target_minutes: int = Field(
        450, ge=1, le=1440, description="Minutes of sleep a night you aim at; a line on charts.", examples=[450]
    )
    quality_sla: QualitySla = Field(
        QualitySla(),
        description="What is wanted of each load of records; see docs/quality.md.",
        examples=[{"completeness": 0.95, "freshness_hours": 72, "sources": {"mi_fitness": {"freshness_hours": None}}}],
    )
    retention: dict[SourceName, Annotated[int, Field(ge=1, le=36_500)]] = Field(
        {},
        description="Days a source's measurements are kept; what is older goes with `erase --expired`. See docs/privacy.md.",
        examples=[{"mi_fitness": 730}],
    )
    bp_csv_presets: dict[str, dict[str, Any]] = Field(
        {},
        description="Own presets for blood pressure CSVs; see docs/sources.md.",
        examples=[{"my_cuff": {"delimiter": ";", "columns": {"datetime": ["Date"], "systolic": ["SYS"], "diastolic": ["DIA"]}}}],
    )

    _declared: Declared | None = PrivateAttr(None)

    def declared(self) -> Declared:
        """What the sources' own declarations say; those of a settings object that was not loaded, by the environment alone."""
        if self._declared is None:
            self._declared = read_declared(Path(os.devnull), RESERVED)
        return self._declared

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, dotenv_settings, init_settings  # the YAML arrives as init values: the environment wins


NOT_FOR_NODES = frozenset(
    """
    database_url pg_host pg_port pg_db pg_user pg_pass google_application_credentials google_credentials_base64
    google_oauth_client_id google_oauth_client_secret google_oauth_refresh_token
    google_drive_state_folder_id state_url state_key dashboard_password_hash dashboard_allowed_users dashboard_idle_minutes
    dashboard_session_hours api_key api_host serve_api_key csv_url aws_endpoint_url
    state_key_file state_plain state_keep_generations state_lease_minutes
    aws_access_key_id aws_secret_access_key aws_session_token aws_region
    azure_storage_account_name azure_storage_account_key azure_storage_sas_key
    api_port api_cors_origins api_rate_limit api_allowed_hosts metrics_open
    cdc_database_url toggl_api_token toggl_api withings_client_id withings_client_secret withings_refresh_token withings_api garmin_tokens
    zepp_life_password origins on_drift openlineage_api_key alert_webhook_url alert_webhook_header alert_email_password stateless_dir
    """.split()  # noqa: SIM905 - a table reads better than a list
)
"""Settings no node declares: operation, not meaning."""

RESERVED = frozenset(name.upper() for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)) | {
    variable for source in SOURCES.values() for variable in source.tokens
}
"""Variables with secrets of the platform itself, and of its shipped sources."""


def load(files: list[Path], env_file: Path) -> Settings:
    """The settings, later YAML files over earlier ones, the environment over all. Raises SettingsError with an example."""
    values: dict[str, Any] = {}
    for file in files:
        values.update(_read_yaml(file))
    try:
        settings = _with_key(Settings(_env_file=env_file, **values))  # type: ignore[call-arg]
    except ValidationError as error:
        raise explained(error, Settings.model_fields) from None
    except WrongSource as error:  # a list in the environment that is no JSON
        found = re.search(r'field "(\w+)"', str(error))
        raise wrong(Settings.model_fields, found[1] if found else "", "", "in the environment it should be JSON") from None
    settings._declared = read_declared(env_file, RESERVED)  # noqa: SLF001 - our own, read with the rest
    return settings


def for_nodes(settings: Settings) -> dict[str, Any]:
    """What nodes may declare, as plain values; no secrets."""
    plain = settings.model_dump(mode="json", by_alias=True, exclude=set(NOT_FOR_NODES), exclude_none=False)
    plain["plausibility"] = {name: {k: v for k, v in p.items() if v is not None} for name, p in plain["plausibility"].items()}
    said = {name: sla.model_dump(mode="json", exclude_unset=True) for name, sla in settings.quality_sla.sources.items()}
    plain["quality_sla"]["sources"] = said  # what is not said of a source holds as for all
    for name in SOURCES:  # each source's own: a change for one makes no other read its exports again
        plain[f"origins_{name}"] = settings.origins.get(name, [])
        plain[f"on_drift_{name}"] = settings.on_drift.get(name, "evolve")
    plain["origins_csv_url"] = [*([settings.csv_url] if settings.csv_url else []), *plain["origins_csv_url"]]
    plain |= settings.declared().settings() | remotes(settings) | mappings(plain.pop("cdc_readings"), settings.cdc_time_column)
    plain["zepp_life_password_id"] = _password_id(settings.zepp_life_password)
    plain["state_key_id"] = key_id(key_of(_state_key(settings))) if _state_key(settings) else ""
    return plain


def _password_id(password: SecretStr | None) -> str:
    """Sixteen hex digits that change with a password and cost much to guess it by; empty without one."""
    text = password.get_secret_value() if password else ""
    salt = b"pdp export password"
    return hashlib.scrypt(text.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=8).hex() if text else ""


def _state_key(settings: Settings) -> str:
    return settings.state_key.get_secret_value().strip() if settings.state_key else ""


def _with_key(settings: Settings) -> Settings:
    """The same, with the key that STATE_KEY_FILE names where STATE_KEY says none."""
    if settings.state_key_file and not _state_key(settings):
        settings.state_key = SecretStr(_held_by(settings.state_key_file))
    return settings


def _held_by(path: str) -> str:
    """The key in a file. Raises SettingsError when it cannot be read."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(
            f"STATE_KEY_FILE names a file that cannot be read: {why}.", "Give the path of the key's file."
        ) from None


def secrets(settings: Settings) -> dict[str, str]:
    """What nodes may declare as secrets: the Google key's JSON and the database's address (empty means embedded); and the commands' own."""
    plain = (
        "zepp_life_password",
        "openlineage_api_key",
        "state_key",
        "alert_webhook_url",
        "alert_webhook_header",
        "alert_email_password",
    )
    said = {name: value.get_secret_value() if (value := getattr(settings, name)) else "" for name in plain}
    return {
        "google_credentials": _google_credentials(settings),
        "object_stores": _object_stores(settings),
        "database": _database(settings),
        **said,
        **settings.declared().secrets(),
        **({} if their_api(settings) else {"tokens_demo_api": ""}),  # then API_KEY is our own API's
    }


def _object_stores(settings: Settings) -> str:
    """How to reach S3 and Azure, as JSON; what is not said is the machine's own affair. Empty when nothing is."""
    said: dict[str, dict[str, Any]] = {
        "s3": {
            "access_key_id": settings.aws_access_key_id,
            "secret_access_key": settings.aws_secret_access_key,
            "session_token": settings.aws_session_token,
            "region": settings.aws_region,
            "endpoint": settings.aws_endpoint_url,
        },
        "az": {
            "account_name": settings.azure_storage_account_name,
            "account_key": settings.azure_storage_account_key,
            "sas_key": settings.azure_storage_sas_key,
        },
    }
    plain = {
        kind: {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in of_kind.items() if v}
        for kind, of_kind in said.items()
    }
    return json.dumps(plain) if any(plain.values()) else ""


def _database(settings: Settings) -> str:
    if settings.database_url and settings.database_url.get_secret_value():
        return settings.database_url.get_secret_value()
    if not settings.pg_host:
        return ""
    from psycopg.conninfo import make_conninfo

    password = settings.pg_pass.get_secret_value() if settings.pg_pass else None
    return make_conninfo(
        host=settings.pg_host, port=settings.pg_port, dbname=settings.pg_db, user=settings.pg_user, password=password
    )


def _google_credentials(settings: Settings) -> str:
    if settings.google_credentials_base64:
        try:
            return base64.b64decode(settings.google_credentials_base64.get_secret_value(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise SettingsError("GOOGLE_CREDENTIALS_BASE64 is not base64.", "Make it with: base64 -w0 key.json") from None
    path = settings.google_application_credentials
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"GOOGLE_APPLICATION_CREDENTIALS names a file that cannot be read: {error.strerror}.",
            "Give the path of the JSON key.",
        ) from None


def _read_yaml(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    values = read_mapping(file)
    known = {(f.alias or name) for name, f in Settings.model_fields.items()}
    for name in values:
        if name not in known:
            raise SettingsError(f"{file.name} has an unknown setting {name!r}.", _nearest(str(name), known))
    return {name: value for name, value in values.items() if value is not None}


def _nearest(name: str, known: set[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {close[0]!r}?" if close else "See config/settings.yaml for the known ones."


def json_schema() -> str:
    """JSON Schema of `settings.yaml`, for editors."""
    schema = Settings.model_json_schema(by_alias=True)
    schema["additionalProperties"] = False
    schema["title"] = "PDP settings"
    return json.dumps(schema, indent=2, sort_keys=True) + os.linesep
