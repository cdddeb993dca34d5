"""The application: the addresses, the layers around them, and the OpenAPI document that tells of both."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Lock
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse

from config import VERSION
from scripts.events import JsonLines
from scripts.project import Project
from serving.api import errors, models
from serving.api.bronze import Bronze
from serving.api.configuration import Configuration
from serving.api.gold import Shelf
from serving.api.guard import OPEN, Door, Guard, Log
from serving.api.health import Health
from serving.api.page import page
from serving.api.routes import Rooms, routes

_ABOUT = (
    "One person's health telemetry, to read: daily metrics, readings, raw records, and where each number comes from. "
    "Nothing can be changed here.\n\n"
    "Every question but `/health` needs a key, as `X-API-Key` or as `Authorization: Bearer`. "
    "Failures say what is wrong and how to mend it. "
    "Many pages are walked with `next` sent as `cursor`.\n\n"
    "This is no medical device and gives no medical advice."
)
_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
_REFUSALS = {
    "400": "The server is not called by this name.",
    "401": "A key is needed, and none that is known was sent.",
    "403": "No key is set, so nothing private is told.",
    "404": "There is no such thing.",
    "422": "A parameter is wrong.",
    "429": "Too many requests.",
    "500": "The API failed.",
    "503": "It cannot be answered now.",
}
_OF_ALL = ("400", "429", "500", "422")
_LEAST_ZIPPED = 1024


def application(project: Project, configuration: Configuration, log: Log | None = None, seconds: float = 1.0) -> FastAPI:
    """The API over a project. `seconds`: how old the word of the registry on which gold is in force may be."""
    bronze = Bronze(project.settings)
    shelf = Shelf(project, seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        bronze.close()

    app = FastAPI(
        title="Personal Data Platform",
        version=VERSION,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.include_router(routes(Rooms(project, bronze, shelf, Health(project, bronze, shelf))))
    app.openapi = _documented(app, configuration.metrics_open)  # type: ignore[method-assign]
    errors.install(app)

    @app.get("/", include_in_schema=False)
    def front() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    app.add_middleware(GZipMiddleware, minimum_size=_LEAST_ZIPPED, compresslevel=4)
    app.add_middleware(Door, configuration)
    if configuration.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=configuration.origins,
            allow_methods=("GET",),
            allow_headers=("Authorization", "X-API-Key", "If-None-Match"),
            expose_headers=("ETag", "Retry-After"),
        )
    wanted = log or JsonLines(sys.stderr, str(project.settings["log_level"]))
    app.add_middleware(Guard, configuration.hosts, wanted)
    return app


def _documented(app: FastAPI, metrics_open: bool) -> Callable[[], dict[str, Any]]:
    """The OpenAPI document, with keys and refusals, which stand before every address. Made at the first question,
    by one thread: another that asks meanwhile waits, for what FastAPI makes is completed in place.
    """
    plain, making = app.openapi, Lock()
    without_key = OPEN | ({"/metrics"} if metrics_open else frozenset())

    def document() -> dict[str, Any]:
        with making:
            return completed()

    def completed() -> dict[str, Any]:
        if app.openapi_schema and "securitySchemes" in app.openapi_schema.get("components", {}):
            return app.openapi_schema
        found = plain()
        parts = found.setdefault("components", {})
        parts["securitySchemes"] = _SCHEMES
        parts["schemas"] |= {
            name: model.model_json_schema(ref_template="#/components/schemas/{model}") | {}
            for name, model in (("ErrorDetail", models.ErrorDetail), ("Error", models.Error))
        }
        parts["schemas"]["Error"].pop("$defs", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            parts["schemas"].pop(unused, None)
        for path, operations in found["paths"].items():
            for operation in operations.values():
                _refusals(path, operation, path not in without_key)
        return found

    return document


def _refusals(path: str, operation: dict[str, Any], private: bool) -> None:
    answers = operation["responses"]
    told = [*_OF_ALL, *(["401", "403", "503"] if private else []), *(["404"] if "{" in path else [])]
    for status in sorted(told):
        if status == "422" or status not in answers:
            schema = {"schema": {"$ref": "#/components/schemas/Error"}}
            answers[status] = {"description": _REFUSALS[status], "content": {"application/json": schema}}
    if private:
        operation["security"] = [{name: []} for name in _SCHEMES]
