"""The parts of a declared REST source: how it signs in, how a list goes on, what is new since last time; the same in Python and YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from config.addresses import safe_address

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


if TYPE_CHECKING:

    class _Model:
        """What is used of pydantic's model; a type checker makes up an `__init__` for that one which takes no values by their places."""

        model_fields: ClassVar[Mapping[str, Any]]

        def __init__(self, *values: Any, **named: Any) -> None: ...
        @classmethod
        def model_validate(cls, given: Any) -> Self: ...
        @classmethod
        def model_json_schema(cls) -> dict[str, Any]: ...
        def model_dump(self, **how: Any) -> dict[str, Any]: ...
else:
    _Model = BaseModel


class Part(_Model):
    """What a person wrote, checked; Python may leave out the names of the first fields: `Cursor("next", "after")`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def __init__(self, *values: Any, **named: Any) -> None:
        names = [name for name in type(self).model_fields if name != "type"]
        if len(values) > len(names):
            raise TypeError(f"{type(self).__name__} takes at most {len(names)} values")
        super().__init__(**dict(zip(names, values, strict=False)), **named)


class _Tagged(Part):
    """One of several kinds; which one is said whenever it is written down."""

    @model_serializer(mode="wrap")
    def _with_type(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"type": getattr(self, "type", ""), **handler(self)}


def seconds(text: str) -> int:
    """Seconds of `45s`, `30m`, `2h`, `7d`."""
    return int(text[:-1]) * _SECONDS[text[-1]]


def rates(text: str) -> list[tuple[int, int]]:
    """(requests, seconds) of `20/s,1000/h` or `5/15m`, the shortest time first; without those that another implies."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        count, _, time = part.partition("/")
        found.append((seconds(time if time[0].isdigit() else f"1{time}"), int(count)))
    binding: list[tuple[int, int]] = []
    for span, most in sorted(found):  # a limit that another implies is none
        if all(most * other < count * span for count, other in binding):
            binding = [rate for rate in binding if rate[0] < most] + [(most, span)]
    return binding


def _rate(text: str) -> str:
    if text and not re.fullmatch(r"\s*[1-9]\d{0,6}/\d{0,4}[smhd]\s*(,\s*[1-9]\d{0,6}/\d{0,4}[smhd]\s*)*", text, re.ASCII):
        raise ValueError("it should be written as 20/s or 20/s,1000/h")
    if any(not span for _, span in rates(text)):
        raise ValueError("a limit should be for some time")
    return text


Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,99}$", examples=["HEART_TOKEN"])]
"""Name of the environment variable that holds a secret; never the secret."""
Duration = Annotated[str, Field(pattern=r"^\d{1,6}[smhd]$", examples=["2h"])]
Rate = Annotated[str, AfterValidator(_rate), Field(examples=["20/s,1000/h"])]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-\[\]$]{0,99}$", examples=["page"])]
"""Of a parameter or header."""
Path = Annotated[str, Field(max_length=200, examples=["data.items"])]
"""Dotted path into an answer or a record."""
Plain = str | int | float | bool
_SECRETS = frozenset(
    "authorization proxyauthorization cookie xapikey apikey accesstoken token authtoken key secret password passwd clientsecret".split()  # noqa: SIM905
)


def _no_secret(values: dict[str, Any]) -> dict[str, Any]:
    if any(re.sub("[^a-z]", "", name.lower()) in _SECRETS for name in values):
        raise ValueError("a key or password belongs in `auth`, by the name of its environment variable")
    return values


Public = AfterValidator(_no_secret)
"""Parameters and headers that are written down as they are."""
TokenAddress = Annotated[str, AfterValidator(safe_address), Field(examples=["https://api.example/oauth/token"])]


class Bearer(_Tagged):
    """`Authorization: Bearer …`."""

    token: Variable
    type: Literal["bearer"] = "bearer"


class Basic(_Tagged):
    """User and password (RFC 7617). A half that is no secret is given as it is: `Basic("KEY", fixed_password="api_token")`."""

    user: Variable | None = None
    password: Variable | None = None
    fixed_user: str = ""
    fixed_password: str = ""
    type: Literal["basic"] = "basic"


class Header(_Tagged):
    """A key in a header of its own."""

    name: Name
    token: Variable
    prefix: str = Field("", description="What stands before the key.", examples=["Token "])
    type: Literal["header"] = "header"


class Query(_Tagged):
    """A key in a parameter of the address."""

    param: Name
    token: Variable
    type: Literal["query"] = "query"


class ClientCredentials(_Tagged):
    """OAuth 2.0 client credentials (RFC 6749 §4.4)."""

    token_url: TokenAddress
    client_id: Variable
    client_secret: Variable
    scope: str = ""
    extra: dict[Name, str] = Field({}, description="Further fields of the request for a token.")
    answer: Path = Field("", description="Where in the answer the token's fields stand, if not at its top.", examples=["body"])
    style: Literal["body", "basic"] = Field("body", description="Where the client's own credentials go.")
    type: Literal["client_credentials"] = "client_credentials"


class Refresh(_Tagged):
    """OAuth 2.0 refresh token (RFC 6749 §6); one that the server rotates is kept sealed and goes before the variable's."""

    token_url: TokenAddress
    client_id: Variable
    client_secret: Variable
    refresh_token: Variable
    scope: str = ""
    extra: dict[Name, str] = Field({}, description="Further fields of the request for a token.")
    answer: Path = Field("", description="Where in the answer the token's fields stand, if not at its top.", examples=["body"])
    style: Literal["body", "basic"] = Field("body", description="Where the client's own credentials go.")
    type: Literal["refresh"] = "refresh"


Auth = Annotated[Bearer | Basic | Header | Query | ClientCredentials | Refresh, Field(discriminator="type")]


class Single(_Tagged):
    """All in one answer."""

    type: Literal["single"] = "single"


class PageNumber(_Tagged):
    """`?page=2`, until a page is empty or the answer says which is the last."""

    param: Name = "page"
    first: int = Field(1, ge=0)
    size_param: Name | None = Field(None, examples=["per_page"])
    size: int = Field(100, ge=1, le=100_000)
    last: Path = Field("", description="Where the answer says how many pages there are.", examples=["meta.total_pages"])
    end_status: Literal[400, 404] | None = Field(
        None, description="The status of a page beyond the last, where that is no empty one."
    )
    type: Literal["page"] = "page"


class Offset(_Tagged):
    """`?offset=200`, by the records that came; until a page is empty or the answer's total is reached."""

    param: Name = "offset"
    size_param: Name | None = "limit"
    size: int = Field(100, ge=1, le=100_000)
    first: int = Field(0, ge=0)
    total: Path = Field("", description="Where the answer says how many records there are.", examples=["total"])
    type: Literal["offset"] = "offset"


class Cursor(_Tagged):
    """A token in the answer that asks for the next page."""

    next: Path = Field("next_cursor", description="Where the token is; absent, null or empty: the last page.")
    param: Name = "cursor"
    has_more: Path = Field("", description="Where the answer says whether there is more.", examples=["has_more"])
    from_last: Path = Field("", description="The token is this field of the last record instead.", examples=["id"])
    size_param: Name | None = Field(None, examples=["limit"])
    size: int = Field(100, ge=1, le=100_000)
    type: Literal["cursor"] = "cursor"


class JsonLink(_Tagged):
    """The next page's address in the answer."""

    next: Path = "next"
    type: Literal["json_link"] = "json_link"


class HeaderLink(_Tagged):
    """The next page's address in the `Link` header (RFC 8288)."""

    rel: str = "next"
    type: Literal["header_link"] = "header_link"


class Windows(_Tagged):
    """A window of days after the other, from the incremental cursor (or `initial`) until now."""

    start: Name = "start_date"
    end: Name = "end_date"
    days: int = Field(30, ge=1, le=3660)
    format: Literal["iso", "unix", "unix_ms", "date"] = "date"
    type: Literal["windows"] = "windows"


class Auto(_Tagged):
    """Found out from the first answer: a link, a token, numbers of pages, offset and total; else all in one answer."""

    type: Literal["auto"] = "auto"


Paginator = Annotated[Single | PageNumber | Offset | Cursor | JsonLink | HeaderLink | Windows | Auto, Field(discriminator="type")]


class Incremental(Part):
    """What is new since last time: the largest value of a field so far goes back to the server, less a lag for late ones."""

    field: Path = Field(description="Where a record says when it changed.", examples=["updated_at"])
    param: Name | None = Field(None, description="The parameter that asks for what changed since.", examples=["updated_since"])
    initial: str = Field("", max_length=40, description="Where the first round begins.", examples=["2025-01-01"])
    lag: Duration = "1m"
    format: Literal["iso", "local", "unix", "unix_ms", "date", "number"] = Field(
        "iso",
        description="How the server wants it; `local`: ISO 8601 without an offset, by the server's own clock; `number`: a counter.",
    )
    oldest_first: bool = Field(False, description="Whether records come oldest first: a round that was cut goes on where it was.")


class Parent(Part):
    """The stream whose records name this stream's lists: `posts/{post_id}/comments`."""

    stream: str = Field(examples=["posts"])
    field: Path = Field("id", description="The parent record's field that goes into the path.")
    param: str = Field("id", pattern=r"^[a-z][a-z0-9_]*$", description="Its placeholder in the path.", examples=["post_id"])
    every: bool = Field(False, description="Whether every parent's list is fetched in every run, changed or not.")
