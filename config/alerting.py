"""What is watched after each run and who is told: the setting `alerts` (docs/monitoring.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from config.sources import SOURCES


def _source(name: str) -> str:
    if name not in SOURCES:
        raise ValueError(f"there is no source {name!r}; sources are {', '.join(SOURCES)}")
    return name


def _mailbox(text: str) -> str:
    name, _, host = text.rpartition("@")
    if not name or not host or not text.isascii() or not text.isprintable() or set(text) & set(' ,;<>"'):
        raise ValueError("it should be a mail address such as me@example.org")
    return text


SourceName = Annotated[str, AfterValidator(_source)]
MailAddress = Annotated[str, AfterValidator(_mailbox)]
Share = Annotated[float, Field(ge=0, le=1)]
Hours = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Rule(_Strict):
    """A rule is on unless it is switched off."""

    enabled: bool = True


class ErrorRate(Rule):
    """More than this share of a step's records refused; steps that few records came to are not judged."""

    share: Share = 0.01
    records: Annotated[int, Field(ge=1)] = 100


class Freshness(Rule):
    """A source's newest reading is older than this. `sources` differ; `null`: not watched."""

    hours: Hours = 72
    sources: dict[SourceName, Hours | None] = {}


class Quality(Rule):
    """A load misses one of these measures of `quality_sla`."""

    measures: list[Literal["completeness", "validity", "freshness"]] = ["completeness", "validity"]


class Storage(Rule):
    """Less than this share of the disk is free, or more than this many bytes are kept (`null`: any number)."""

    free_share: Share = 0.05
    used_bytes: Annotated[int, Field(gt=0)] | None = None


class RateLimit(Rule):
    """An API has said that less than this share of its quota remains, not longer ago than this."""

    remaining_share: Share = 0.1
    hours: Hours = 24


class RowCounts(Rule):
    """A step made this share more or fewer rows than the middle of its up to 10 earlier attempts, not longer ago than `hours`."""

    change: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.5
    attempts: Annotated[int, Field(ge=3, le=10)] = 3
    hours: Hours = 24


class Email(_Strict):
    """A mail server and who writes to whom; the password is ALERT_EMAIL_PASSWORD."""

    host: str = Field(min_length=1, pattern=r"^[A-Za-z0-9.:-]+$")
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls"] = "starttls"
    user: str | None = None
    sender: MailAddress
    to: list[MailAddress] = Field(min_length=1)


class Alerts(_Strict):
    """The rules, each with a threshold and a switch, and the channels."""

    log: bool = True
    email: Email | None = None
    repeat_hours: Hours = 24
    failed_runs: Rule = Rule()
    error_rate: ErrorRate = ErrorRate()
    freshness: Freshness = Freshness()
    quality: Quality = Quality()
    storage: Storage = Storage()
    rate_limit: RateLimit = RateLimit()
    row_counts: RowCounts = RowCounts()
