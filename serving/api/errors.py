"""What a caller is told when a question cannot be answered: `{"error": {"code", "message", "mend"}}`, never a traceback or a value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from config.errors import PDPError, UsageError, WarehouseError

_OF_STATUS = {
    404: ("not_found", "There is nothing at this address.", "GET / lists what there is."),
    405: ("method", "This API only reads.", "Ask with GET."),
}
_KINDS = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such parameter",
    "greater_than_equal": "the number is too small",
    "less_than_equal": "the number is too large",
    "int_parsing": "it should be a whole number",
    "int_parsing_size": "the number is too large",
    "bool_parsing": "it should be true or false",
    "string_too_long": "the text is too long",
    "string_too_short": "the text is too short",
    "string_pattern_mismatch": "it is not written as it should be",
    "literal_error": "it is none of the words it can be",
    "enum": "it is none of the words it can be",
}
"""Kind of a wrong parameter → words that do not repeat what was sent."""


class Refused(Exception):
    """A question that gets an error for an answer."""

    def __init__(self, status: int, code: str, message: str, mend: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.mend = status, code, message, mend
        self.headers = dict(headers or {})


def wrong(name: str, message: str, mend: str = "See GET / for what it can be.") -> Refused:
    """A parameter that cannot be meant."""
    return Refused(422, "parameter", f"The parameter {name} is wrong: {message}.", mend)


def body(code: str, message: str, mend: str = "") -> bytes:
    """An error as JSON."""
    return json.dumps({"error": {"code": code, "message": message, "mend": mend}}).encode()


def response(refused: Refused) -> Response:
    """An error as an answer."""
    content = body(refused.code, refused.message, refused.mend)
    return Response(content, refused.status, {"Content-Type": "application/json", **refused.headers})


def of_platform(error: PDPError) -> Refused:
    """What the platform said, as HTTP says it: not there, or not to be had now."""
    if isinstance(error, UsageError):
        return Refused(404, "not_found", error.what, error.mend)
    code = "database" if isinstance(error, WarehouseError) else "unavailable"
    return Refused(503, code, error.what, error.mend, {"Retry-After": "5"})


def install(app: FastAPI) -> None:
    """Make the application answer every failure in this shape."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(PDPError, _platform)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return response(error)


async def _platform(_: Request, error: Exception) -> Response:
    assert isinstance(error, PDPError)
    return response(of_platform(error))


async def _parameters(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return response(_first(error.errors()))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message, mend = _OF_STATUS.get(error.status_code, ("refused", "The request cannot be answered.", ""))
    return response(Refused(error.status_code, code, message, mend, error.headers))


def _first(errors: Sequence[Any]) -> Refused:
    """The first wrong parameter in words; a name nobody knows is the caller's own text and is not repeated."""
    error = errors[0]
    kind, place = str(error["type"]), [str(part) for part in error["loc"][1:]]
    if kind == "extra_forbidden":
        return Refused(422, "parameter", "There is a parameter this address does not know.", "See GET / for those it knows.")
    if kind == "value_error" and not place:  # of several parameters together
        return Refused(
            422, "parameter", f"The parameters do not go together: {error['ctx']['error']}.", "See GET / for what they can be."
        )
    name = place[0] if place else "named so"
    if kind == "value_error":
        return wrong(name, str(error["ctx"]["error"]).rstrip("."))
    bound = next((f" ({error['ctx'][key]})" for key in ("ge", "le", "max_length", "expected") if key in error.get("ctx", {})), "")
    return wrong(name, _KINDS.get(kind, "it is not what it should be") + bound)
