"""Each contestant's way to bring the API's list home, and what it then holds: ours a declared source, dlt its REST source."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.connectors_server import TOKEN, Api
from bench.environments import program
from bench.harness import REPO

STYLES = {
    "cursor": "{type: cursor, next: next_cursor}",
    "page": "{type: page}",
    "offset": "{type: offset, size: SIZE, total: total}",
    "json_link": "{type: json_link, next: links.next}",
    "header_link": "{type: header_link}",
}
"""How each list of the API goes on, as a declaration says it."""
_DECLARATION = """base_url: {base}
auth: {{type: bearer, token: HEART_TOKEN}}
streams:
  - name: heart
    records: {records}
    id: id
    time: updated_at
    pages: {pages}
    cursor: {{field: updated_at, param: updated_since, initial: "2025-01-01"}}
"""


class Way(NamedTuple):
    """One contestant. `begin` writes what it needs into a fresh folder; `held` gives every record it has, as (id, whether as it came)."""

    name: str
    begin: Callable[[Api, Path], None]
    command: Callable[[Api, Path], list[str]]
    held: Callable[[Api, Path], Iterator[tuple[str, bool]]]


def surroundings(folder: Path) -> dict[str, str]:
    """The environment variables of either."""
    own = {"HEART_TOKEN": TOKEN, "DATA_DIR": str(folder / "data"), "PDP_REST_SOURCES": str(folder / "rest"), "TIMEZONE": "UTC"}
    return {**os.environ, **own}


def declare(api: Api, folder: Path, style: str = "cursor") -> None:
    """The source `heart` with one stream, as a person writes it."""
    (folder / "rest").mkdir(parents=True)
    said = {"base": api.base(style), "records": '""' if style == "header_link" else "data"}
    (folder / "rest/heart.yaml").write_text(_DECLARATION.format(pages=STYLES[style].replace("SIZE", str(api.size)), **said))


def ours(_: Api, folder: Path) -> list[str]:
    """Pages and records, by the platform's own command."""
    del folder
    return [sys.executable, str(REPO / "main.py"), "heart", "--until-stage", "ingestion", "--json"]


def kept_by_us(api: Api, folder: Path) -> Iterator[tuple[str, bool]]:
    """Rows of records.parquet; as it came: the record's text says the same, literally, and stands byte for byte in the page it names."""
    import pyarrow.parquet as pq

    came = {record["id"]: json.dumps(record) for record in api.records}
    pages = {path.name: path.read_bytes() for path in (folder / "data/raw/heart").rglob("*.json")}
    table = pq.read_table(folder / "data/records/heart.parquet", columns=["raw_id", "raw", "raw_artifact"])
    for row in table.to_pylist():
        name = row["raw_id"].rpartition(":")[2]
        page = pages[row["raw_artifact"].rpartition("/")[2]]
        yield name, _literal(row["raw"]) == _literal(came[name]) and came[name].encode() in page


def dlt(way: str) -> Callable[[Api, Path], list[str]]:
    """dlt in its own environment."""
    script = str(REPO / "bench/connectors_dlt.py")
    return lambda api, folder: [program("dlt", "python"), script, way, api.base("cursor"), str(folder)]


def kept_by_dlt(api: Api, folder: Path) -> Iterator[tuple[str, bool]]:
    """Lines of its table; as it came: beside dlt's own columns the line says the same, literally."""
    came = {record["id"]: _literal(json.dumps(record)) for record in api.records}
    for path in sorted((folder / "loaded/heart/heart").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            said = {name: value for name, value in _literal(line).items() if not name.startswith("_dlt")}
            yield said["id"], said == came.get(said["id"])


def _literal(text: str) -> Any:
    """JSON with numbers as they are written."""
    return json.loads(text, parse_int=str, parse_float=str)


def _nothing(_: Api, folder: Path) -> None:
    folder.mkdir(parents=True)


OURS = Way("pdp", declare, ours, kept_by_us)
DLT = [Way("dlt", _nothing, dlt("whole"), kept_by_dlt), Way("dlt, in pieces", _nothing, dlt("pieces"), kept_by_dlt)]


class Fate(NamedTuple):
    """What became of the API's records."""

    lost: int
    doubled: int
    as_it_came: int


def fate(way: Way, api: Api, folder: Path) -> Fate:
    """Compares what a contestant holds with what the API has."""
    held = list(way.held(api, folder))
    count = Counter(name for name, _ in held)
    lost = sum(record["id"] not in count for record in api.records)
    return Fate(lost, sum(count.values()) - len(count), len({name for name, same in held if same}))
