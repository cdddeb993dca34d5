"""A new API in ten lines: `class Heart(RestSource)` with its address, its sign-in and its streams; the rest is done here.

Each page is kept as it came and committed with the state that follows it, so a run that dies goes on after its last page. What can be
declared: `config.rest`. Nothing is imported but the declarations until something runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from config.errors import SettingsError
from config.mapping import Mapped, Unify
from config.rest import (
    Auto,
    Basic,
    Bearer,
    ClientCredentials,
    Cursor,
    Header,
    HeaderLink,
    Incremental,
    JsonLink,
    Offset,
    PageNumber,
    Parent,
    Query,
    Refresh,
    RestDeclaration,
    Single,
    Stream,
    Windows,
)
from config.stage import Inputs, Outputs, Report
from ingestion.rest.answer import Answer, Busy, Limited, Unauthorized

if TYPE_CHECKING:
    from ingestion.rest.paginators import Steps

__all__ = [
    "Answer",
    "Auto",
    "Basic",
    "Bearer",
    "Busy",
    "ClientCredentials",
    "Cursor",
    "Header",
    "HeaderLink",
    "Incremental",
    "JsonLink",
    "Limited",
    "Mapped",
    "Offset",
    "PageNumber",
    "Parent",
    "Query",
    "Refresh",
    "RestSource",
    "Single",
    "Stream",
    "Unauthorized",
    "Unify",
    "Windows",
]


class RestSource:
    """A source behind a REST API. A subclass says the fields of `config.rest.RestDeclaration` as class attributes.

    Settings its nodes have: `rest_<name>`, which says fields anew (a test's `base_url`), and the secret `tokens_<name>`, the environment
    variables its auth names.
    """

    name: ClassVar[str]
    base_url: ClassVar[str]

    @classmethod
    def declared(cls) -> RestDeclaration:
        """The declaration its class attributes make. Raises SettingsError, which names what is wrong with it."""
        said = {field: getattr(cls, field) for field in RestDeclaration.model_fields if hasattr(cls, field)}
        try:
            return RestDeclaration(**said)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "it"
            raise SettingsError(f"{cls.__name__} is declared wrongly: {where}: {first['msg']}.", "Mend the class.") from None

    @classmethod
    def declaration(cls, settings: Mapping[str, Any]) -> RestDeclaration:
        """The declaration as these settings have it."""
        return cls.declared().changed(dict(settings).get(f"rest_{cls.name}") or {})

    @classmethod
    def judge(cls, answer: Answer) -> None:
        """Errors that the server puts into a good status: raise Busy, Limited, Unauthorized or SourceDenied. Nothing by itself."""

    @classmethod
    def paginator(cls, stream: Stream) -> Steps:
        """How a stream's list goes on: as declared. Overridden for an API with ways of its own."""
        from ingestion.rest.paginators import steps

        return steps(stream.pages)

    @classmethod
    def ready(cls, settings: Mapping[str, Any]) -> bool:
        """Whether it has what it needs to sign in; until then it reads its inbox only and keeps what it has."""
        from ingestion.rest.secrets import Secrets

        declaration = cls.declaration(settings)
        return not Secrets.missing(declaration.name, settings, declaration.tokens())

    @classmethod
    def faults(cls, stream: Stream, record: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG003  for those who override it
        """Reason codes that make a record invalid, beyond its schema: an entry that is still running."""
        return ()

    @classmethod
    def fingerprint(cls, settings: Mapping[str, Any]) -> None:
        """Nobody knows what an API holds before asking page by page: looked at in every run."""

    @classmethod
    def extract(cls, inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
        """Dropped files, and new pages of every stream → collections `raw` (each page committed for itself) and `calls`.

        Raises SourceDenied, SourceUnavailable, SourceRefused, SettingsError; what was committed stays.
        """
        from ingestion.rest.extraction import extract

        return extract(cls, inputs, outputs, settings)

    @classmethod
    def fetch(cls, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
        """New pages alone, for a source that also has an inbox of its own ways; the report counts files, one for each page."""
        from ingestion.rest.extraction import fetch

        return fetch(cls, outputs, settings)

    @classmethod
    def records(cls, inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
        """Role `raw` → roles `records`, `dead_letters` and `months`."""
        from ingestion.rest.records import records

        return records(cls, inputs, outputs, settings)

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> list[str]:
        """A line for each stream: ok, empty, denied, unreachable or what is wrong with the settings."""
        from ingestion.rest.looking import check

        return check(cls, settings)

    @classmethod
    def discover(cls, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Stream → what its first page shows: `records` (how many), `pages` (how it goes on), `fields` (name → JSON types)."""
        from ingestion.rest.looking import discover

        return discover(cls, settings)
