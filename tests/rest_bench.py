"""Runs declared REST sources: in the engine, dying where a test wants it to, and alone, with pages kept in memory."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from config.stage import File, Page, Report
from ingestion.rest import declared
from pipeline import Node, Pipeline, Selection
from pipeline.execution.pages import StreamPages
from tests.rest_fake import FakeAPI

REPO = Path(__file__).resolve().parent.parent

STYLES: dict[str, dict[str, Any]] = {
    "single": {"type": "single"},
    "cursor": {"type": "cursor"},
    "page": {"type": "page"},
    "offset": {"type": "offset", "size_param": None},
    "json_link": {"type": "json_link", "next": "links.next"},
    "header_link": {"type": "header_link"},
    "auto_page": {"type": "auto"},
    "auto_offset": {"type": "auto"},
    "windows": {"type": "windows", "days": 2},
}
"""Every way of going on, by the fake's style."""


def stream(style: str, name: str = "hr", **more: Any) -> dict[str, Any]:
    """A stream of the fake."""
    records = {} if style == "header_link" else {"records": "data"}
    cursor = {"cursor": {"field": "updated_at", "initial": "2025-01-01"}} if style == "windows" else {}
    return {"name": name, "path": f"{style}/{name}", "id": "id", "pages": STYLES[style], **records, **cursor, **more}


def declaration(api: FakeAPI, *streams: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A source of the fake that has no patience to lose."""
    return {"name": "t", "base_url": api.url, "first_wait": 0.001, "timeout": 2, "streams": list(streams), **more}


class Killed(BaseException):
    """What a test stops an attempt with."""


@contextmanager
def dying_after(pages: int) -> Iterator[None]:
    """Within the block an attempt dies right after it has committed that many pages, known ones and empty ones counted."""
    left = pages
    before = StreamPages.commit, StreamPages.advance

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def doing(self: StreamPages, *args: Any, **named: Any) -> Any:
            nonlocal left
            done = method(self, *args, **named)
            left -= 1
            if not left:
                raise Killed
            return done

        return doing

    StreamPages.commit, StreamPages.advance = (counted(method) for method in before)  # type: ignore[method-assign]
    try:
        yield
    finally:
        StreamPages.commit, StreamPages.advance = before  # type: ignore[method-assign]


class Bench:
    """One source in the engine."""

    def __init__(self, folder: Path, said: dict[str, Any], tokens: Mapping[str, str] | None = None) -> None:
        self.folder, self.said = folder, said
        self.tokens = json.dumps(dict(tokens or {}))

    def nodes(self) -> list[Node]:
        return [
            Node(
                "ingestion.t.extract",
                "ingestion",
                "ingestion.rest.declared:extract",
                outputs={"raw": "raw/t/**", "calls": "raw/t.calls/**"},
                settings=("rest_t",),
                secrets=("tokens_t",),
                remote="ingestion.rest.declared:fingerprint",
                pages="raw",
            ),
            Node(
                "ingestion.t.records",
                "ingestion",
                "ingestion.rest.declared:records",
                inputs={"raw": "raw/t/**"},
                outputs={
                    "records": "records/t.parquet",
                    "dead_letters": "records/t.dead_letters.parquet",
                    "months": "records/t.months.parquet",
                },
                settings=("rest_t", "on_drift_t"),
            ),
        ]

    def run(self) -> dict[str, Any]:
        """Node → its outcome. Raises Killed."""
        settings = {"rest_t": self.said, "tokens_t": self.tokens, "on_drift_t": "evolve"}
        run = Pipeline(self.nodes(), str(self.folder), settings, code_root=str(REPO)).run(Selection())
        return {outcome.node.split(".")[-1]: outcome for outcome in run.outcomes}

    def records(self, name: str = "records") -> list[dict[str, Any]]:
        """The table, a row each."""
        table = "records/t.parquet" if name == "records" else f"records/t.{name}.parquet"
        return [dict(row) for row in pq.read_table(self.folder / table).to_pylist()]

    def ids(self) -> list[str]:
        """raw_id of every record."""
        return [row["raw_id"] for row in self.records()]


class MemoryPages:
    """`config.stage.Pages` without an engine."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.now: dict[str, Any] | None = None
        self.pages: list[Page] = []
        self.digests: set[str] = set()
        self.repeated = self.in_force = 0

    def state(self) -> dict[str, Any] | None:
        return self.now

    def commit(
        self, body: bytes, state: Mapping[str, Any], *, facts: Any, records: int, digest: str = "", suffix: str = ".json"
    ) -> Page:
        sha256 = hashlib.sha256(body).hexdigest()
        member = f"{self.name}/{len(self.pages):06d}-{sha256[:12]}{suffix}"
        path = self.folder / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self.pages.append(Page(member, dict(facts), str(path)))
        self.digests.add(digest or sha256)
        self.now = json.loads(json.dumps(state))
        return self.pages[-1]

    def advance(self, state: Mapping[str, Any], *, repeated: int = 0) -> None:
        self.repeated += repeated
        self.now = json.loads(json.dumps(state))

    def known(self, digest: str) -> bool:
        return digest in self.digests

    def new(self) -> list[Page]:
        return self.pages[self.in_force :]


class MemoryOutputs:
    """`config.stage.Outputs` for `fetch`: pages that outlive an attempt, in force once one has ended well; nothing else."""

    run_id = attempt_id = "alone"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.streams: dict[str, MemoryPages] = {}

    def pages(self, role: str, name: str) -> MemoryPages:
        return self.streams.setdefault(name, MemoryPages(self.folder, name))

    def cache(self) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        return str(self.folder)

    def previous(self, role: str) -> dict[str, File]:
        held = [page for pages in self.streams.values() for page in pages.pages[: pages.in_force]] if role == "raw" else []
        return {page.member: File(page.member, page.path, "", 0) for page in held}

    def open(self, role: str, member: str = "") -> BinaryIO:
        return io.BytesIO()

    def path(self, role: str, member: str = "") -> str:
        return str(self.folder / role / member)

    def before(self, role: str) -> File | None:
        return None

    def keep(self, role: str, member: str) -> None:
        """Nothing is thrown away."""

    def fetch(self, said: dict[str, Any], tokens: Mapping[str, str] | None = None) -> Report:
        """One attempt."""
        settings = {"rest_t": said, "tokens_t": dict(tokens or {})}
        report = declared.Declared.fetch(self, settings)
        for pages in self.streams.values():
            pages.in_force = len(pages.pages)
        return report

    def bodies(self, name: str = "hr") -> list[Any]:
        """The pages' JSON, in order."""
        return [json.loads(Path(page.path).read_bytes()) for page in self.streams[name].pages]
