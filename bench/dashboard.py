"""How quickly the dashboard shows its first chart against an empty Streamlit page, and what ten years of minute data put on a page.

Both servers are warm; each visit is a browser that has never been there (no cache), in turn, so that the machine's moods meet both
alike. Ten years: gold tables with a heart-rate sample a minute, opened by a signed-in person with all days shown; the bytes are those
of the WebSocket, the points are the rows of every dataset a chart was sent.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness import Goal, Result, median, options, tell
from scripts.browsing import PATIENCE, browser, dashboard, settled, sign_in, walk

PASSWORD = "an invented person signs in"
EMPTY = "import streamlit as st\n\nst.write('hello')\n"
POINTS, BYTES = 5_000, 1_000_000
_WATCH = """(selector) => {
    const look = () => {
        if (!window.seen && document.querySelector(selector)) window.seen = performance.now()
        if (!window.seen) requestAnimationFrame(look)
    }
    look()
}"""
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]"


class Visit(NamedTuple):
    """Milliseconds since the address was entered."""

    paint: float
    """The browser has painted anything at all."""
    content: float
    """What the page is for stands there: `hello`, the first chart."""


class Page(NamedTuple):
    """What one page of ten years weighs."""

    title: str
    size: int
    points: int
    charts: int


def main() -> None:
    """Measure and tell."""
    asked = options(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="pdp-bench-") as folder, browser() as chromium:
        ours, theirs = first_paints(chromium, Path(folder), 2 if asked.quick else 15)
        pages = ten_years(chromium, Path(folder), 1 if asked.quick else 10)
    results = [
        Result("first paint, median", "pdp", median([v.paint for v in ours]), "ms"),
        Result("first paint, median", "empty page", median([v.paint for v in theirs]), "ms"),
        Result("first chart, median", "pdp", median([v.content for v in ours]), "ms"),
        Result("first text, median", "empty page", median([v.content for v in theirs]), "ms"),
    ]
    results += [Result(f"{page.title}: WebSocket", "pdp", page.size / 1000, "kB") for page in pages]
    results += [Result(f"{page.title}: points of the largest chart", "pdp", page.points, "rows") for page in pages if page.charts]
    ratio = median([v.content for v in ours]) / median([v.content for v in theirs])
    size, points = max(page.size for page in pages), max(page.points for page in pages)
    goals = [
        Goal("first chart against an empty page's first text", "< 2", f"{ratio:.2f}", ratio < 2),
        Goal("ten years of minute data: bytes of a page", f"≤ {BYTES:,}", f"{size:,}", size <= BYTES),
        Goal("ten years of minute data: points of a chart", f"≤ {POINTS:,}", f"{points:,}", 0 < points <= POINTS),
    ]
    tell("dashboard", results, goals, asked.json)


def first_paints(chromium: Any, folder: Path, rounds: int) -> tuple[list[Visit], list[Visit]]:
    """Visits of the public overview and of the empty page, after one of each that warms the server up."""
    script = folder / "empty.py"
    script.write_text(EMPTY)
    ours, theirs = [], []
    with dashboard(folder / "ours") as pdp, dashboard(folder / "theirs", script=str(script)) as empty:
        for number in range(rounds + 1):
            mine = _visit(chromium, pdp.url, "[data-testid=stVegaLiteChart] :is(canvas, svg)")
            other = _visit(chromium, empty.url, "[data-testid=stMarkdown]")
            if number:
                ours.append(mine)
                theirs.append(other)
    return ours, theirs


def _visit(chromium: Any, url: str, content: str) -> Visit:
    with chromium.new_context(viewport={"width": 1400, "height": 1000}) as context:
        page = context.new_page()
        page.add_init_script(f"({_WATCH})({content!r})")
        page.goto(url, timeout=PATIENCE, wait_until="domcontentloaded")
        page.wait_for_function(f"window.seen && {_PAINT}", timeout=PATIENCE)
        return Visit(page.evaluate(f"{_PAINT}.startTime"), page.evaluate("window.seen"))


def ten_years(chromium: Any, folder: Path, years: int) -> list[Page]:
    """Every page with all days shown, as a signed-in person meets it."""
    from serving.dashboard.passwords import hashed
    from serving.pages import PAGES

    data = folder / "data"
    minutes(data / "gold" / "gold.duckdb", years)
    env = {"DATA_DIR": str(data), "DASHBOARD_PASSWORD_HASH": hashed(PASSWORD)}
    found = []
    with dashboard(folder / "private", env) as server, _page(chromium) as (page, frames):
        sign_in(page, server.url, PASSWORD)
        for entry in PAGES:
            frames.clear()
            if entry is PAGES[0]:  # where one lands; what it has sent already is not sent again
                page.get_by_test_id("stMain").get_by_role("radio", name="All", exact=True).click()
                page.wait_for_url("**range=all*", timeout=PATIENCE)
            else:
                walk(page, entry.title)
            settled(page)
            page.wait_for_timeout(2_000)  # what comes late weighs, too
            sizes = list(_datasets(frames))
            found.append(Page(entry.title, sum(map(len, frames)), max(sizes, default=0), len(sizes)))
    return found


def minutes(path: Path, years: int) -> None:
    """A gold file of so many years with a heart-rate sample a minute, and the hours they make."""
    import duckdb

    from tests.gold_bench import LAST, build

    path.parent.mkdir(parents=True)
    build(path, years)
    span = f"generate_series(TIMESTAMP '{LAST}' - INTERVAL {years} YEAR, TIMESTAMP '{LAST} 23:59', INTERVAL 1 MINUTE)"
    with duckdb.connect(str(path)) as gold:
        gold.execute("UPDATE meta SET synthetic = false")
        gold.execute(
            "INSERT INTO readings BY NAME SELECT 'heart_rate' AS kind, 'heart_rate' AS metric, 60 + hash(t) % 40 AS value, "
            "'/min' AS unit, t AT TIME ZONE 'UTC' AS start, t AT TIME ZONE 'UTC' AS \"end\", t AS local_start, t::DATE AS date, "
            "'instant' AS scope, 'mi_fitness' AS source, 'band' AS device, 'hr/' || epoch(t)::BIGINT AS raw_id, 'accepted' AS fate "
            f"FROM (SELECT unnest({span}) AS t)"
        )
        gold.execute(
            "CREATE OR REPLACE TABLE heart_rate_hourly AS SELECT date, date_trunc('hour', local_start) AS hour, source, "
            "avg(value) AS mean, min(value) AS min, max(value) AS max, count(*) AS samples, true AS used "
            "FROM readings WHERE metric = 'heart_rate' GROUP BY ALL ORDER BY hour"
        )


@contextmanager
def _page(chromium: Any) -> Iterator[tuple[Any, list[bytes]]]:
    """A page, and the bytes of what its WebSocket receives."""
    frames: list[bytes] = []

    def listen(socket: Any) -> None:
        socket.on("framereceived", lambda payload: frames.append(payload if isinstance(payload, bytes) else payload.encode()))

    with chromium.new_context(viewport={"width": 1400, "height": 1000}) as context:
        page = context.new_page()
        page.on("websocket", listen)
        yield page, frames


def _datasets(frames: list[bytes]) -> Iterator[int]:
    """Rows of every dataset of every chart in these frames, sent as Arrow or inside the chart's own description."""
    import json

    import pyarrow as pa
    from google.protobuf.message import DecodeError
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    for frame in frames:
        try:
            message = ForwardMsg.FromString(frame)
        except DecodeError:
            continue
        element = message.delta.new_element
        kind = element.WhichOneof("type") or ""
        if "vega_lite" not in kind:
            continue
        chart = getattr(element, kind)
        tables = [chart.data.data, *(dataset.data.data for dataset in chart.datasets)]
        yield from (pa.ipc.open_stream(table).read_all().num_rows for table in tables if table)
        yield from (len(rows) for rows in json.loads(chart.spec).get("datasets", {}).values())


if __name__ == "__main__":
    main()
