"""The answers, as OpenAPI documents them. Every example is invented."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_AT: dict[str, Any] = {"examples": ["2025-11-03T06:12:44Z"]}


class ErrorDetail(BaseModel):
    """What is wrong, for programs and for people."""

    code: str = Field(examples=["parameter"])
    message: str = Field(examples=["The parameter page_size is wrong: the number is too large (100)."])
    mend: str = Field(examples=["See GET / for what it can be."])


class Error(BaseModel):
    """Every failure has this shape."""

    error: ErrorDetail


class SourceFreshness(BaseModel):
    """How far a source reaches."""

    source: str = Field(examples=["mi_fitness"])
    newest: str | None = Field(description="Its newest reading.", json_schema_extra=_AT)
    age_hours: float | None = Field(examples=[7.5])
    stale: bool = Field(description="Older than `quality_sla` wishes.")


class Storage(BaseModel):
    """What the platform's files weigh."""

    bytes: int = Field(description="Versions in the store.", examples=[24_518_002])
    free: int | None = Field(description="Free on their disk.", examples=[181_000_000_000])


class Health(BaseModel):
    """Without a key: the status alone."""

    status: Literal["ok", "degraded", "down"]
    reasons: list[str] | None = Field(None, description="Why it is not ok.", examples=[["The last run failed."]])
    db_connected: bool | None = Field(None, description="Whether bronze can be asked.")
    last_etl_run: str | None = Field(None, description="When the last run began that did something.", json_schema_extra=_AT)
    etl_status: str | None = Field(None, description="succeeded, failed, interrupted or running.", examples=["succeeded"])
    storage: Storage | None = None
    sources: list[SourceFreshness] | None = None


class BronzeRow(BaseModel):
    """One record as it was received, with how it came."""

    source: str = Field(examples=["google_sheets"])
    id: int = Field(description="Number within the source.", examples=[4711])
    raw_id: str | None = Field(examples=["reading:2025-03-01T06:30:00"])
    source_timestamp: str | None = Field(description="UTC; none for a record without a time.", json_schema_extra=_AT)
    ingested_at: str | None = Field(description="UTC.", json_schema_extra=_AT)
    validation_status: str | None = Field(description="valid, warning or invalid.", examples=["valid"])
    error_message: str | None
    version: int | None = Field(description="Rises with each change of a record of this raw id.", examples=[1])
    environment: str = Field(examples=["example"])
    lineage_id: str | None = Field(description="The artifact it was loaded from.", examples=["records/google_sheets.parquet@v1"])
    file_path: str | None = Field(description="The raw artifact.", examples=["raw/google_sheets/2025.csv"])
    file_hash: str | None = Field(description="SHA-256 of that artifact.")
    record_index: int | None = Field(description="Its place in that artifact.", examples=[12])
    quality_score: float | None = Field(description="0 to 1.", examples=[1.0])
    raw: Any = Field(description="The record itself, as PostgreSQL keeps it.", examples=[{"Date": "2025-03-01", "SYS": "124"}])


class DataPage(BaseModel):
    """A page of bronze rows."""

    rows: list[BronzeRow]
    page: int | None = Field(description="Its number; none when a cursor was sent.", examples=[1])
    page_size: int
    total: int = Field(description="Rows on all pages.", examples=[52_013])
    total_is_estimate: bool = Field(description="There may be more than `total`.")
    has_more: bool
    next: str | None = Field(description="Send it as `cursor` for the page after this one.")


class Reading(BaseModel):
    """One observation."""

    kind: str = Field(examples=["blood_pressure"])
    metric: str = Field(examples=["systolic"])
    value: float | None = Field(examples=[124.0])
    unit: str | None = Field(examples=["mm[Hg]"])
    start: str | None = Field(description="UTC.", examples=["2025-03-01T06:30:00.000000Z"])
    end: str | None = Field(description="UTC.", examples=["2025-03-01T06:30:00.000000Z"])
    local_start: str | None = Field(description="By the person's clock.", examples=["2025-03-01T07:30:00"])
    date: str | None = Field(description="The day it counts for.", examples=["2025-03-01"])
    scope: str | None = Field(examples=["sample"])
    source: str = Field(examples=["google_sheets"])
    device: str | None
    raw_id: str | None = Field(examples=["reading:2025-03-01T06:30:00"])
    fate: str = Field(description="`accepted`, or why it did not count.", examples=["accepted"])
    part: str | None = Field(description="morning, evening, main or nap.", examples=["morning"])


class ReadingsPage(BaseModel):
    """A page of readings."""

    rows: list[Reading]
    page_size: int
    has_more: bool
    next: str | None = Field(description="Send it as `cursor` for the page after this one.")


class Daily(BaseModel):
    """Days, oldest first; a missing value is null, never 0."""

    columns: list[str] = Field(examples=[["date", "systolic", "diastolic", "steps"]])
    rows: list[dict[str, str | float | bool | None]] = Field(
        examples=[[{"date": "2025-03-01", "systolic": 124.0, "diastolic": 79.0, "steps": 8120}]]
    )


class RunTold(BaseModel):
    """One run."""

    run_id: str = Field(examples=["9f0c2a6be5d64a4f9d4b8a5f53ab2d10"])
    started_at: str | None = Field(json_schema_extra=_AT)
    ended_at: str | None = Field(json_schema_extra=_AT)
    seconds: float | None = Field(examples=[11.2])
    status: str = Field(examples=["succeeded"])


class Failure(RunTold):
    """A run that failed, and of what."""

    node: str | None = Field(examples=["ingestion.google_sheets.extract"])
    reason: str | None = Field(examples=["The sheet is not shared with this account."])


class Runs(BaseModel):
    """Runs that did something; one that found nothing to do leaves no trace."""

    count: int
    succeeded: int
    failed: int
    interrupted: int
    running: int
    last: RunTold | None
    last_success: RunTold | None
    last_failure: Failure | None


class StageTold(BaseModel):
    """How the attempts of a stage went."""

    stage: str = Field(examples=["normalization"])
    attempts: int
    succeeded: int
    failed: int
    seconds_total: float | None
    seconds_mean: float | None
    seconds_longest: float | None
    last_at: str | None = Field(json_schema_extra=_AT)


class Total(BaseModel):
    """What a step holds now."""

    node: str = Field(examples=["normalization.mi_fitness"])
    stage: str = Field(examples=["normalization"])
    source: str | None = Field(examples=["mi_fitness"])
    state: str = Field(examples=["committed"])
    rows: int | None = Field(examples=[41_204])
    bytes: int = Field(examples=[902_113])
    seconds: float | None = Field(examples=[0.8])
    at: str | None = Field(json_schema_extra=_AT)
    error: str | None


class Stats(BaseModel):
    """How the pipeline does."""

    runs: Runs
    stages: list[StageTold]
    totals: list[Total]


class Reach(BaseModel):
    """How far one kind of a source's readings reaches."""

    kind: str = Field(examples=["blood_pressure"])
    first_date: str | None = Field(examples=["2025-01-01"])
    last_date: str | None = Field(examples=["2025-12-31"])
    last_start: str | None = Field(json_schema_extra=_AT)
    readings: int | None
    accepted: int | None
    unused: int | None
    rejected: int | None


class SourceTold(BaseModel):
    """A place data comes from."""

    name: str = Field(examples=["mi_fitness"])
    title: str = Field(examples=["Mi Fitness export"])
    active: bool = Field(description="What it brought is in force, or it is read from its remote.")
    live: bool = Field(description="It is read from its remote.")
    fetched_at: str | None = Field(description="When what is in force was fetched.", json_schema_extra=_AT)
    hint: str = Field(description="How to switch it on.")
    freshness: list[Reach]


class Sources(BaseModel):
    """The catalogue."""

    examples: bool = Field(description="What is in force is the shipped, invented year.")
    sources: list[SourceTold]


class Step(BaseModel):
    """One artifact on the way."""

    depth: int
    name: str = Field(examples=["records/mi_fitness.parquet"])
    version: int | None
    sha256: str
    role: str
    node: str = Field(examples=["normalization.mi_fitness"])
    attempt: str


class Lineage(BaseModel):
    """What an artifact was made from and what was made of it, nearest first."""

    artifact: str = Field(examples=["processed/merged/merged_daily_metrics.csv"])
    version: int = Field(examples=[3])
    sha256: str
    size: int = Field(description="Bytes.", examples=[48_112])
    rows: int | None = Field(examples=[365])
    created_at: str = Field(json_schema_extra=_AT)
    node: str = Field(description="Who made it.", examples=["merge.daily_metrics"])
    run_id: str
    up: list[Step]
    down: list[Step]


class Trace(BaseModel):
    """A cell of the daily table, down to its raw records; docs/trace.md explains every part."""

    model_config = ConfigDict(extra="allow")

    date: str = Field(examples=["2025-03-01"])
    metric: str = Field(examples=["systolic"])
    value: str | float | bool | None = Field(examples=[124.0])
    readings: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
