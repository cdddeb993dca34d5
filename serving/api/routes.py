"""Every address of the API: what may be asked, who answers it, and how the answer is documented."""

from __future__ import annotations

import json
import math
import re
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from config.sources import SOURCES, Source, is_live
from scripts.project import Project
from serving.api import bronze, gold, models
from serving.api import registry as told
from serving.api.errors import Refused
from serving.api.health import Health
from serving.api.parameters import DailyQuestion, DataQuestion, Day, LineageQuestion, Nothing, ReadingsQuestion
from serving.metrics import exposition
from serving.metrics.textfile import CONTENT_TYPE

Answers = dict[int | str, dict[str, Any]]
_TAG = {"ETag": {"description": "Of this gold and this question.", "schema": {"type": "string"}}}
_SAME: Answers = {304: {"description": "What you have, by If-None-Match, still holds."}}
_DAILY: Answers = {
    200: {
        "model": models.Daily,
        "headers": _TAG,
        "description": "The days.",
        "content": {"text/csv": {"schema": {"type": "string"}, "example": "date,systolic\n2025-03-01,124\n"}},
    },
    **_SAME,
}


class Rooms(NamedTuple):
    """Who answers."""

    project: Project
    bronze: bronze.Bronze
    shelf: gold.Shelf
    health: Health


def routes(rooms: Rooms) -> APIRouter:
    """All addresses but the page at `/`."""
    router = APIRouter()
    _of_data(router, rooms)
    _of_evidence(router, rooms)
    _of_operation(router, rooms)
    return router


def _of_data(router: APIRouter, rooms: Rooms) -> None:
    @router.get("/daily", tags=["data"], response_model=None, responses=_DAILY)
    def daily(request: Request, asked: Annotated[DailyQuestion, Query()]) -> Response:
        """The daily table: one row a day. `source`: as that source alone tells it."""

        def answer(now: gold.Version) -> bytes:
            columns, rows = gold.daily(now, asked)
            if asked.format == "csv":
                return gold.as_csv(columns, rows).encode()
            return _text({"columns": columns, "rows": rows})

        return _of_gold(request, rooms.shelf.current(), answer, _CSV if asked.format == "csv" else _JSON)

    answers: Answers = {200: {"model": models.ReadingsPage, "headers": _TAG}, **_SAME}

    @router.get("/readings", tags=["data"], response_model=None, responses=answers)
    def readings(request: Request, asked: Annotated[ReadingsQuestion, Query()]) -> Response:
        """Readings: one metric, value and unit each, with the time, the device and the record it came from."""
        return _of_gold(request, rooms.shelf.current(), lambda now: _text(gold.readings(now.gold, asked)))

    @router.get("/data", tags=["data"], response_model=None, responses={200: {"model": models.DataPage}})
    def data(asked: Annotated[DataQuestion, Query()]) -> Response:
        """Bronze: records as they were received. Days are UTC days of `source_timestamp`; rows without a time have none.

        `next` sent as `cursor` is the way through many pages: each costs what the first one costs, and rows that arrive
        meanwhile shift nothing.
        """
        return Response(bronze.as_json(rooms.bronze.page(asked), asked.page_size), headers=_JSON)


def _of_evidence(router: APIRouter, rooms: Rooms) -> None:
    project = rooms.project

    @router.get("/trace/{date}/{metric}", tags=["evidence"], response_model=None, responses={200: {"model": models.Trace}})
    def trace(
        date: Annotated[Day, Path(description="A day of the daily table.", examples=["2025-03-01"])],
        metric: Annotated[str, Path(description="A column of the daily table.", max_length=100, examples=["systolic"])],
        _: Annotated[Nothing, Query()],
    ) -> Response:
        """From a cell of the daily table to the readings behind it, those that did not count and why, the raw records, their rows."""
        from scripts.trace import trace as traced

        return _json(traced(project, Namespace(date=date.isoformat(), metric=metric)).data)

    @router.get("/lineage/{artifact:path}", tags=["evidence"], response_model=None, responses={200: {"model": models.Lineage}})
    def lineage(
        artifact: Annotated[str, Path(description="Its name, or NAME@v2.", examples=["records/mi_fitness.parquet"])],
        asked: Annotated[LineageQuestion, Query()],
    ) -> Response:
        """Where an artifact comes from and what was made of it."""
        from scripts.lineage import lineage as walked

        if len(artifact) > 500 or re.search(r"@v\d{10,}$", artifact):
            raise Refused(404, "not_found", "There is no artifact of that name.", "GET /stats names what each step holds.")
        wanted = Namespace(artifact=artifact, up=asked.direction == "up", down=asked.direction == "down")
        found = walked(project, wanted).data
        if "version" not in found:
            raise Refused(404, "not_found", "Nothing has run yet.", "Run the pipeline: python main.py")
        found |= {"created_at": told.stamp(found["created_at"])}
        return _json({name: value for name, value in found.items() if name in models.Lineage.model_fields})

    @router.get("/sources", tags=["evidence"], response_model=None, responses={200: {"model": models.Sources}})
    def sources(_: Annotated[Nothing, Query()]) -> Response:
        """Every source there is, whether what it brought is in force, how to switch it on, and how far each kind of reading reaches."""
        rows, invented = gold.freshness(rooms.shelf), gold.synthetic(rooms.shelf)
        with project.pipeline.reading() as registry:
            listed = [_source(project, source, told.fetched(registry, source.name), rows) for source in SOURCES.values()]
        return _json({"examples": project.examples if invented is None else invented, "sources": listed})


def _source(project: Project, source: Source, fetched: str | None, rows: list[dict[str, Any]]) -> dict[str, Any]:
    live = is_live(source.name, project.settings)
    return {
        "name": source.name,
        "title": source.title,
        "active": live or fetched is not None,
        "live": live,
        "fetched_at": fetched,
        "hint": source.hint,
        "freshness": [{k: v for k, v in row.items() if k != "source"} for row in rows if row["source"] == source.name],
    }


def _of_operation(router: APIRouter, rooms: Rooms) -> None:
    project = rooms.project

    @router.get("/health", tags=["operation"], response_model=None, responses=_health_answers())
    def health(request: Request, _: Annotated[Nothing, Query()]) -> Response:
        """Whether all is well. Without a key: the status alone; with one: why, the last run, storage, freshness of each source."""
        found = rooms.health.now()
        answer = found if request.state.known else {"status": found["status"]}
        return _json(answer, 503 if found["status"] == "down" else 200)

    @router.get("/stats", tags=["operation"], response_model=None, responses={200: {"model": models.Stats}})
    def stats(_: Annotated[Nothing, Query()]) -> Response:
        """Runs, the last success, the last failure with its reason; attempts and seconds of each stage; what each step holds."""
        with project.pipeline.reading() as registry:
            return _json({"runs": told.runs(registry), "stages": told.stages(registry), "totals": told.totals(registry)})

    @router.get("/metrics", tags=["operation"], response_model=None, responses=_metrics_answers())
    def metrics(_: Annotated[Nothing, Query()]) -> Response:
        """Figures for Prometheus: runs, rows, refusals, freshness, storage. No measured value is among them."""
        return Response(exposition.render(project), headers={"Content-Type": CONTENT_TYPE})


_JSON = {"Content-Type": "application/json"}
_CSV = {"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": 'attachment; filename="daily.csv"'}


def _json(data: Any, status: int = 200) -> Response:
    return Response(_text(data), status, _JSON)


def _text(data: Any) -> bytes:
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    except ValueError:  # a number that JSON has no word for
        text = json.dumps(_finite(data), ensure_ascii=False)
    return text.encode(errors="replace")


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _of_gold(
    request: Request, version: gold.Version, answer: Callable[[gold.Version], bytes], headers: Mapping[str, str] | None = None
) -> Response:
    """What gold says, with its ETag; 304 when the caller has this very answer."""
    question = f"{request.url.path}?{sorted(request.query_params.multi_items())}"
    tag = gold.tag(version, question)
    had = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    if tag.removeprefix("W/") in had:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(version.answers.get(question, lambda: answer(version)), headers={**(headers or _JSON), "ETag": tag})


def _health_answers() -> Answers:
    return {
        200: {"model": models.Health, "description": "ok or degraded."},
        503: {"model": models.Health, "description": "down."},
    }


def _metrics_answers() -> Answers:
    return {200: {"description": "The text format of Prometheus.", "content": {"text/plain": {"schema": {"type": "string"}}}}}
