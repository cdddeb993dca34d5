"""A REST source as it is declared, in Python or YAML: where it is, how it signs in, which streams it has and how each goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from config.addresses import on_this_machine, web_address
from config.mapping_models import Reading, Unified
from config.rest_parts import (
    Auth,
    Auto,
    Basic,
    Bearer,
    ClientCredentials,
    Cursor,
    Duration,
    Header,
    HeaderLink,
    Incremental,
    JsonLink,
    Name,
    Offset,
    PageNumber,
    Paginator,
    Parent,
    Part,
    Path,
    Plain,
    Public,
    Query,
    Rate,
    Refresh,
    Single,
    Windows,
)

__all__ = [
    "Auth", "Auto", "Basic", "Bearer", "ClientCredentials", "Cursor", "Header", "HeaderLink", "Incremental", "JsonLink", "Offset",
    "PageNumber", "Paginator", "Parent", "Query", "Refresh", "RestDeclaration", "Single", "Stream", "Windows", "json_schema",
]  # fmt: skip

_HELD = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Stream(Part):
    """One list of an API."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,59}$", examples=["heart"])
    path: str = Field(
        "", max_length=500, description="Below the base address; empty: the stream's name.", examples=["v1/heart_rate"]
    )
    records: Path = Field("", description="Where in an answer its records are; empty: the answer itself.")
    id: Path | list[Path] = Field(
        "", description="What names a record, stable over its edits; empty: its content.", examples=["id"]
    )
    pages: Paginator = Auto()
    cursor: Incremental | None = None
    method: Literal["GET", "POST"] = "GET"
    params: Annotated[dict[Name, Plain], Public] = Field({}, examples=[{"per_page": 100}])
    body: Annotated[dict[Name, Any], Public] = Field({}, description="Of a POST; what pages and cursor ask for is added to it.")
    body_as: Literal["json", "form"] = "json"
    parent: Parent | None = None
    time: Path = Field("", description="Where a record says when it was measured.", examples=["measured_at"])
    reusable: bool = Field(True, description="Whether a page's token still works when asked again by a later run.")
    absent_is_empty: bool = Field(False, description="Whether an answer without the records' path is an empty page.")
    schema_: dict[str, Any] | None = Field(None, alias="schema", description="JSON Schema of a record; none: any object.")
    on_drift: Literal["evolve", "warn", "quarantine"] | None = Field(
        None, description="What becomes of records that differ from it; none: as the setting on_drift of the source says."
    )

    @field_validator("path")
    @classmethod
    def _below(cls, path: str) -> str:
        if "://" in path or path.startswith("//") or ".." in path.split("/") or "?" in path or "#" in path:
            raise ValueError("it should be a path below the base address; parameters belong in `params`")
        return path

    @model_validator(mode="after")
    def _whole(self) -> Self:
        held = _HELD.findall(self.path)
        if held != ([self.parent.param] if self.parent else []):
            raise ValueError("the path should hold the parent's placeholder once, and no other")
        if isinstance(self.pages, Windows) and self.cursor is None:
            raise ValueError("windows need a cursor that says where they begin")
        if self.parent and self.cursor:
            raise ValueError("a stream with a parent has no cursor: its lists are fetched when the parent is new or has changed")
        return self


def _as_data(given: Any) -> Any:
    """A named tuple of `config.mapping` as its fields."""
    return given._asdict() if hasattr(given, "_asdict") else given


class RestDeclaration(Part):
    """A whole source."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,59}$", examples=["heart_cloud"])
    title: str = Field("", max_length=100, description="What people call it.", examples=["Heart Cloud"])
    base_url: str = Field(description="Address its streams' paths are below.", examples=["https://api.example/v1"])
    auth: Auth | None = None
    streams: list[Stream] = Field(min_length=1, max_length=200)
    rate: Rate = Field("", description="Most requests per time, over all runs and programs of this data directory.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds without a byte.")
    retries: int = Field(5, ge=0, le=20, description="How often a request is tried again.")
    first_wait: float = Field(
        0.5, ge=0, le=60, description="Seconds before the first new try; each wait is twice the one before."
    )
    longest_wait: Duration = Field("2m", description="A server or limit that asks for more ends the round until the next run.")
    max_response: int = Field(32 << 20, ge=1024, le=1 << 30, description="Bytes an answer may have.")
    headers: Annotated[dict[Name, str], Public] = Field({}, examples=[{"Accept": "application/json"}])
    api_version: str = Field("", max_length=60, description="The version of the API this speaks.", examples=["v9"])
    version_header: Name | None = Field(None, description="The header that asks for that version.", examples=["Api-Version"])
    allow_private: bool = Field(False, description="Whether its host's name may lead into the own network.")
    paused: bool = Field(False, description="Nothing is fetched any more; what it has brought stays.")
    readings: list[Annotated[Reading, BeforeValidator(_as_data)]] = Field(default=[])
    unify: Annotated[Unified, BeforeValidator(_as_data)] | None = None

    @field_validator("base_url")
    @classmethod
    def _address(cls, text: str) -> str:
        web_address(text)
        if "?" in text or "#" in text:
            raise ValueError("it should end before any ? or #")
        return text.rstrip("/")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        host = self.base_url.split("/")[2].rpartition(":")[0] or self.base_url.split("/")[2]
        if self.base_url.startswith("http://") and not (on_this_machine(host.strip("[]")) or self.allow_private):
            raise ValueError(
                "base_url should begin with https://; http:// is for this machine, or with allow_private the own network"
            )
        seen: set[str] = set()
        for stream in self.streams:
            if stream.name in seen:
                raise ValueError(f"two streams are called {stream.name}")
            if stream.parent and stream.parent.stream not in seen:
                raise ValueError(f"the parent of {stream.name} should be a stream declared before it")
            seen.add(stream.name)
        return self

    def tokens(self) -> tuple[str, ...]:
        """Names of the environment variables its auth reads."""
        fields = ("token", "user", "password", "client_id", "client_secret", "refresh_token")
        named = (getattr(self.auth, field, None) for field in fields)
        return tuple(dict.fromkeys(name for name in named if name))

    def changed(self, over: Mapping[str, Any]) -> RestDeclaration:
        """The same with some of its fields said anew, and checked."""
        if not over:
            return self
        said = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return RestDeclaration.model_validate({**said, **over})


def json_schema() -> str:
    """The JSON Schema of a YAML source, for editors."""
    schema = RestDeclaration.model_json_schema()
    schema["required"] = [name for name in schema["required"] if name != "name"]  # the file's name, when left out
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "A REST source"}
    return json.dumps(schema, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
