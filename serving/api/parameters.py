"""What may be asked: the parameters of every address, with bounds, examples and what they mean. A name nobody knows is refused."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from config.metrics import METRICS
from config.sources import SOURCES

LARGEST_PAGE = 100
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _day(value: Any) -> Any:
    """Digits alone would be read as seconds since 1970."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("it should be a date that exists, written YYYY-MM-DD")
    return value


def _metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError("there is no such metric")
    return name


def _source(name: str) -> str:
    if name not in SOURCES:
        raise ValueError(f"there is no such source; sources are {', '.join(SOURCES)}")
    return name


Day = Annotated[date, BeforeValidator(_day)]
Metric = Annotated[str, AfterValidator(_metric), Field(json_schema_extra={"enum": list(METRICS)})]
Source = Annotated[str, AfterValidator(_source), Field(json_schema_extra={"enum": list(SOURCES)})]
Cursor = Annotated[str, Field(max_length=1000, pattern=r"^[A-Za-z0-9_-]+$")]


class Strict(BaseModel):
    """Parameters of one address, and no others."""

    model_config = ConfigDict(extra="forbid")


class Span(Strict):
    """Days, both included."""

    from_: Day | None = Field(None, alias="from", description="First day, included.", examples=["2025-01-01"])
    to: Day | None = Field(None, description="Last day, included.", examples=["2025-12-31"])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ and self.to and self.from_ > self.to:
            raise ValueError("`from` lies after `to`")
        return self


class DataQuestion(Span):
    """`/data`."""

    page: int | None = Field(None, ge=1, le=1_000_000_000, description="Number of the page, from 1; not with a cursor.")
    page_size: int = Field(50, ge=1, le=LARGEST_PAGE, description="Rows on a page.")
    cursor: Cursor | None = Field(None, description="`next` of the page before. Any depth costs what the first page costs.")
    source: Source | None = Field(None, description="One source; all of them without it.")
    search: str | None = Field(
        None,
        min_length=2,
        max_length=100,
        pattern=r"^[^\x00]+$",
        description="Text within the raw id or the raw JSON as PostgreSQL writes it, whatever the case; % and _ are plain letters.",
        examples=["sleep_stage"],
    )
    sort: Literal["-source_timestamp", "source_timestamp", "-id", "id"] = Field(
        "-source_timestamp",
        description="By time, newest or oldest first, rows without a time last; or in the order of arrival, of one source.",
    )


class ReadingsQuestion(Span):
    """`/readings`."""

    metric: Metric | None = Field(None, description="One metric.", examples=["systolic"])
    source: Source | None = Field(None, description="One source.")
    all: bool = Field(False, description="Those that did not count, too: see `fate`.")
    sort: Literal["-start", "start"] = Field("-start", description="Newest or oldest first.")
    page_size: int = Field(50, ge=1, le=1000, description="Readings on a page.")
    cursor: Cursor | None = Field(None, description="`next` of the page before.")


class DailyQuestion(Span):
    """`/daily`."""

    columns: str | None = Field(
        None,
        max_length=2000,
        pattern=r"^[a-z0-9_]+(,[a-z0-9_]+)*$",
        description="Columns, comma separated; all without it. The day always comes first.",
        examples=["systolic,diastolic,steps"],
    )
    source: Source | None = Field(None, description="The day as this source alone tells it; the merged day without it.")
    format: Literal["json", "csv"] = Field("json", description="JSON, or CSV for a spreadsheet.")


class LineageQuestion(Strict):
    """`/lineage/{artifact}`."""

    direction: Literal["both", "up", "down"] = Field("both", description="What it was made from, what was made of it, or both.")


class Nothing(Strict):
    """An address without parameters."""
