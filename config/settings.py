"""All settings: environment variables or `.env`, the rest in `config/settings.yaml`. Wrong ones are named, with an example.

Everything a node may declare is here under its lower-case name. Secrets are `SecretStr`, never hashed, never logged, never cached.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.errors import SettingsError
from config.metrics import KINDS, METRICS
from config.sources import SOURCES
from config.timezones import zone

ZoneName = Annotated[str, AfterValidator(lambda name: zone(name).key)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-4]):[0-5]\d$", examples=["04:00"])]
Bounds = tuple[float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ZoneOverride(_Strict):
    """Local days, inclusive, spent in another time zone."""

    from_: date = Field(alias="from", examples=["2025-07-01"])
    to: date = Field(examples=["2025-07-14"])
    timezone: ZoneName = Field(examples=["America/New_York"])


class Event(_Strict):
    """Something to mark on charts: a medication, an illness, a journey."""

    date: date
    label: str = Field(max_length=80)
    kind: str = Field("event", pattern=r"^[a-z_]+$")


class Plausibility(_Strict):
    """A person's own bounds for a metric; inclusive, in the catalogue's unit."""

    reject: Bounds | None = None
    warn: Bounds | None = None


class Settings(BaseSettings):
    """Environment variables carry the upper-case names; YAML the lower-case ones. Unknown YAML keys are errors."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", populate_by_name=True)

    data_dir: str = Field("data", description="Data root; everything PDP writes is below it.")
    timezone: ZoneName = Field("UTC", description="Where you live: an IANA name.", examples=["Europe/Warsaw"])
    timezone_overrides: list[ZoneOverride] = Field([], description="Days spent in another zone.")
    environment: str = Field("development", pattern=r"^[a-z][a-z0-9_-]{0,30}$", description="Label of the rows loaded to bronze.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    database_url: SecretStr | None = Field(
        None, description="postgresql://user:password@host/db; empty means the embedded server."
    )
    pg_host: str | None = None
    pg_port: int = 5432
    pg_db: str = "pdp"
    pg_user: str | None = None
    pg_pass: SecretStr | None = None

    google_application_credentials: str | None = Field(None, description="Path of a service account's JSON key.")
    google_credentials_base64: SecretStr | None = Field(None, description="The same key, base64.")
    google_sheets_bp_id: str | None = Field(None, description="Id of the sheet: the long part of its address.")
    google_sheets_worksheets: list[str] = Field([], description="Worksheets to read; empty means all.")
    mi_band_drive_folder_id: str | None = Field(None, description="Id of the Drive folder with Mi Fitness exports.")
    google_api_endpoint: str | None = Field(None, description="An emulator's address instead of Google's, for tests.")
    google_drive_state_folder_id: str | None = None
    state_url: str | None = None
    state_key: SecretStr | None = None
    dashboard_password_hash: SecretStr | None = None
    api_key: SecretStr | None = None
    api_host: str | None = None
    csv_url: str | None = None
    aws_endpoint_url: str | None = None

    med_start_date: date | None = Field(
        None, description="First day of a medication, marked in the daily table.", examples=["2025-03-01"]
    )
    events: list[Event] = Field([], description="Further days to mark.")
    source_priority: dict[str, list[str]] = Field({}, description="Metric or kind to the sources believed first.")
    plausibility: dict[str, Plausibility] = Field({}, description="Own bounds per metric.")
    bp_scheme: Literal["aha_2017", "esc_2024_office", "esc_2024_home"] = "aha_2017"
    home_bp_protocol: str = Field("esh_2021", description="Preset of the home blood pressure protocol.")
    morning_hours: tuple[Clock, Clock] = ("04:00", "12:00")
    evening_hours: tuple[Clock, Clock] = ("18:00", "24:00")
    bp_csv_presets: dict[str, dict[str, Any]] = Field({}, description="Own presets for blood pressure CSVs; see docs/sources.md.")

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
    google_drive_state_folder_id state_url state_key dashboard_password_hash api_key api_host csv_url aws_endpoint_url
    """.split()  # noqa: SIM905 - a table reads better than a list
)
"""Settings no node declares: operation, not meaning."""


def load(files: list[Path], env_file: Path) -> Settings:
    """The settings, later YAML files over earlier ones, the environment over all. Raises SettingsError with an example."""
    values: dict[str, Any] = {}
    for file in files:
        values.update(_read_yaml(file))
    try:
        return Settings(_env_file=env_file, **values)  # type: ignore[call-arg]
    except ValidationError as error:
        raise _explained(error) from None


def for_nodes(settings: Settings) -> dict[str, Any]:
    """What nodes may declare, as plain values; no secrets."""
    plain = settings.model_dump(mode="json", by_alias=True, exclude=set(NOT_FOR_NODES), exclude_none=False)
    plain["plausibility"] = {name: {k: v for k, v in p.items() if v is not None} for name, p in plain["plausibility"].items()}
    return plain


def secrets(settings: Settings) -> dict[str, str]:
    """What nodes may declare as secrets: the Google key's JSON and the database's address (empty means embedded)."""
    return {"google_credentials": _google_credentials(settings), "database": _database(settings)}


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
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f" at line {line + 1}" if line is not None else ""
        raise SettingsError(f"{file.name} is not valid YAML{where}.", "Mend the indentation or the quotes there.") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{file.name} does not hold settings.", "Write one `name: value` per line.")
    known = {(f.alias or name) for name, f in Settings.model_fields.items()}
    for name in values:
        if name not in known:
            raise SettingsError(f"{file.name} has an unknown setting {name!r}.", _nearest(str(name), known))
    _check_names(values)
    return values


def _check_names(values: Mapping[str, Any]) -> None:
    for name, order in (values.get("source_priority") or {}).items():
        if name not in METRICS and name not in KINDS:
            raise SettingsError(f"source_priority names an unknown metric {name!r}.", f"Metrics are: {', '.join(METRICS)}.")
        for source in order or []:
            if source not in SOURCES:
                raise SettingsError(f"source_priority names an unknown source {source!r}.", f"Sources are: {', '.join(SOURCES)}.")
    for name in values.get("plausibility") or {}:
        if name not in METRICS:
            raise SettingsError(f"plausibility names an unknown metric {name!r}.", f"Metrics are: {', '.join(METRICS)}.")


def _nearest(name: str, known: set[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {close[0]!r}?" if close else "See config/settings.yaml for the known ones."


def _explained(error: ValidationError) -> SettingsError:
    """Names the key, what it should be and an example; never the value given."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "a setting"
    field = Settings.model_fields.get(name)
    example = f" Example: {name.upper()}={field.examples[0]}" if field and field.examples else ""
    where = ".".join(str(p) for p in first["loc"][1:])
    reason = "not known" if first["type"] == "value_error" else first["msg"].lower()
    text = f"The setting {name}{f' ({where})' if where else ''} is wrong: {reason}."
    return SettingsError(text, f"{field.description or 'Mend it.' if field else 'Mend it.'}{example}")


def json_schema() -> str:
    """JSON Schema of `settings.yaml`, for editors."""
    schema = Settings.model_json_schema(by_alias=True)
    schema["additionalProperties"] = False
    schema["title"] = "PDP settings"
    return json.dumps(schema, indent=2, sort_keys=True) + os.linesep
