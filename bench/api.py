"""The API as its callers meet it: requests a second and p95 at ten clients, and how deep pages cost, over bronze rows by the million.

python bench/api.py [--json] [--quick] [--rows N]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg

from bench.api_load import CLIENTS, load, tool
from bench.api_rows import SOURCE, fill
from bench.harness import REPO, Goal, Result, tell
from warehouse.bronze.embedded import server

SIZE = 100
_KEPT = 3.0
"""Seconds a connection is believed to be open; the server closes it after five without a question."""
_SERVE = "import sys; from scripts.project import open_project; from serving.api.run import serve; sys.exit(serve(open_project(), port=0))"
_OFFSET = """
SELECT id, raw_id, source_timestamp, raw_data::text FROM bronze_mi_fitness WHERE source_timestamp IS NOT NULL
ORDER BY source_timestamp DESC, id DESC OFFSET %s LIMIT %s
"""


class Api:
    """The served API, asked over one connection that stays open."""

    def __init__(self, address: str, key: str, pid: int) -> None:
        place = urlsplit(address)
        self.address, self.key, self.pid = address, key, pid
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=600)
        self._asked = 0.0

    def ask(self, path: str) -> tuple[float, bytes]:
        """Milliseconds from the question to the last byte, and the answer."""
        if time.perf_counter() - self._asked > _KEPT:
            self._connection.close()  # the server has, too; it is opened again by the question
        began = self._asked = time.perf_counter()
        self._connection.request("GET", path, headers={"X-API-Key": self.key})
        answer = self._connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
        assert answer.status == 200, (path, answer.status, body[:300])
        return took, body

    def peak(self) -> float:
        """The largest memory the server has had, MB."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


@contextmanager
def api(data: Path) -> Iterator[Api]:
    """The API over this data root, without a limit to how often."""
    key = secrets.token_urlsafe(32)
    env = {**os.environ, "DATA_DIR": str(data), "API_KEY": key, "API_RATE_LIMIT": str(10**9)}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE], cwd=REPO, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout
        found = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert found, "the API did not start"
        yield Api(found[0], key, process.pid)
    finally:
        process.terminate()
        process.wait()


def throughput(served: Api, seconds: int) -> list[Result]:
    """Requests a second and p95 of the addresses people poll."""
    spans = [
        f"/daily?from=2025-{m:02}-{d:02}&to=2025-12-{e:02}" for m in range(1, 12) for d in range(1, 28) for e in range(1, 31)
    ]
    asked = {
        "/health": ["/health"],
        "/daily, the year": ["/daily"],
        "/daily, each time another span": spans,
        "/readings, one metric": ["/readings?metric=systolic"],
        "/data, newest page": ["/data"],
    }
    results = []
    for what, paths in asked.items():
        served.ask(paths[0])
        found = load(served.address, paths, served.key, seconds)
        assert not found.failed, (what, found)
        results += [Result(what, f"{tool()}, {CLIENTS} clients", found.per_second, "requests/s")]
        results += [Result(what, f"{tool()}, {CLIENTS} clients", found.p95, "ms p95")]
    return results


def depth(served: Api, dsn: str, page: int, rounds: int) -> tuple[list[Result], float, float]:
    """The first page beside a deep one, by cursor and by number, in turn; and the plain OFFSET a page by number usually is."""
    first = f"/data?page_size={SIZE}&source={SOURCE}"
    before = json.loads(served.ask(f"{first}&page={page - 1}")[1])
    ways = {
        "first page": first,
        f"page {page:,} by cursor": f"{first}&cursor={quote(before['next'])}",
        f"page {page:,} by number": f"{first}&page={page}",
    }
    answers = {name: json.loads(served.ask(path)[1]) for name, path in ways.items()}
    assert answers[f"page {page:,} by cursor"]["rows"] == answers[f"page {page:,} by number"]["rows"]
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, path in ways.items():
            took[name].append(served.ask(path)[0])
    middle = {name: statistics.median(times) for name, times in took.items()}
    results = [Result(f"/data, {name}", "one client", value, "ms") for name, value in middle.items()]
    results += [Result(f"page {page:,}", "OFFSET, no API", _offset(dsn, page), "ms")]
    at_first, by_cursor, by_number = middle.values()
    return results, by_cursor / at_first, by_number / at_first


def _offset(dsn: str, page: int) -> float:
    with psycopg.connect(dsn, autocommit=True) as session:
        times = []
        for _ in range(3):
            began = time.perf_counter()
            session.execute(_OFFSET, ((page - 1) * SIZE, SIZE)).fetchall()
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def main() -> None:
    """Fill, serve, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="prove that it works; the figures count for nothing")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="bronze rows (10,000,000; 20,000 with --quick)")
    options = parser.parse_args()
    rows = options.rows or (20_000 if options.quick else 10_000_000)
    page = min(10_000, rows // SIZE // 2)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        env = {**os.environ, "DATA_DIR": str(data)}
        subprocess.run([sys.executable, "main.py"], cwd=REPO, env=env, check=True, capture_output=True)
        with server.embedded(str(data)) as dsn:
            began = time.perf_counter()
            fill(dsn, rows)
            print(f"{rows:,} rows of bronze made in {time.perf_counter() - began:.0f} s")
            with api(data) as served:
                results, cursor, number = depth(served, dsn, page, 5 if options.quick else 51)
                results += throughput(served, 1 if options.quick else 10)
                results += [Result("peak memory", "the API", served.peak(), "MB")]
    goals = [
        Goal(f"page {page:,} of {rows:,} rows by cursor, first page = 1", "≤ 1.5", f"{cursor:.2f}", cursor <= 1.5),
        Goal(f"page {page:,} of {rows:,} rows by number, first page = 1", "≤ 10", f"{number:.2f}", number <= 10),
    ]
    tell("api", results, goals, options.json)


if __name__ == "__main__":
    main()
