"""Committing a stream's pages one by one while a stage runs: bytes under an immutable name first, then one transaction for page and state.

Works in the coordinator's process only. A stage that runs in a thread of it gets a connection of its own; once the run is over, or stopped,
its desk is closed and nothing more is committed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from config.errors import StageError
from config.stage import Page
from pipeline import pages
from pipeline.node import Node, member_name
from pipeline.registry import Registry
from pipeline.store import Store

_STREAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,3}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9]{1,10}){1,2}")
_LONGEST = 1 << 18
"""Bytes of a state, and of a page's facts."""


class Desk:
    """Where one attempt of a node commits its pages. `in_force` is the attempt whose outputs stand meanwhile, "" for none."""

    def __init__(self, registry: Registry, store: Store, node: Node, attempt_id: str, in_force: str, own: bool = False) -> None:
        self.registry = registry
        self.store = store
        self.node = node
        self.attempt_id = attempt_id
        self.in_force = in_force
        self.aside: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered around the engine's own doing, where a strict run watches the stage."""
        self.hand: Callable[[str], None] = lambda _: None
        """Told of every page's path that the stage is given: it may read it."""
        self.broken: BaseException | None = None
        self._own = own
        self._closed = False
        self._lock = threading.Lock()
        self._streams: dict[str, StreamPages] = {}

    def stream(self, role: str, name: str) -> StreamPages:
        """The pages of one stream. Raises StageError for what the node does not declare."""
        if role != self.node.pages:
            raise StageError(
                f"The stage reads pages into {role!r}, which its node does not declare.", "Name the role in Node.pages."
            )
        if not _STREAM.fullmatch(name) or ".." in name:
            raise StageError("A stream has a name that cannot be a folder.", "Use letters, digits, dots, dashes and underscores.")
        if name not in self._streams:
            self._streams[name] = StreamPages(self, name)
        return self._streams[name]

    def check(self) -> None:
        """Raise what has gone wrong with a page, also when the stage has swallowed it: a state after a page that was not kept skips it."""
        if self.broken is not None:
            raise self.broken

    def close(self) -> None:
        """Nothing is committed from here on; what is being committed is finished first."""
        with self._lock:
            self._closed = True
            if self._own:
                self.registry.close()
                self._own = False

    @contextlib.contextmanager
    def committing(self) -> Any:
        """One page at a time, and none after one that failed."""
        with self._lock, self.aside():
            if self._closed:
                raise StageError("The run is over: nothing more is committed.", "Run again: it goes on where this one stopped.")
            self.check()
            try:
                yield
            except BaseException as error:
                self.broken = error
                raise


class StreamPages:
    """`config.stage.Pages`."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        self._name = name
        self._key = desk.node.name, name
        with desk.aside():
            row = desk.registry.db.execute("SELECT max(number) FROM page WHERE node = ? AND stream = ?", self._key).fetchone()
        self._next = 0 if row[0] is None else row[0] + 1

    def state(self) -> dict[str, Any] | None:
        row = self._ask("SELECT state FROM stream WHERE node = ? AND stream = ?", *self._key).fetchone()
        return None if row is None or row[0] is None else dict(json.loads(row[0]))

    def commit(
        self,
        body: bytes,
        state: Mapping[str, Any],
        *,
        facts: Mapping[str, Any],
        records: int,
        digest: str = "",
        suffix: str = ".json",
    ) -> Page:
        with self._desk.committing():
            sha256 = hashlib.sha256(body).hexdigest()
            plain, after = _plain(facts, "facts"), _plain(state, "state")
            if not _SUFFIX.fullmatch(suffix):
                raise StageError("A page has a suffix that is none.", 'Give one like ".json" or ".csv.gz".')
            member = f"{self._name}/{self._next:06d}-{sha256[:12]}{suffix}"
            path = self._write(member, body, sha256, plain, records, digest or sha256, after)
            self._next += 1
        self._desk.hand(path)
        return Page(member, dict(facts), path)

    def advance(self, state: Mapping[str, Any], *, repeated: int = 0) -> None:
        with self._desk.committing(), self._desk.registry.atomic() as db:
            pages.write_state(db, *self._key, _plain(state, "state"), 0, 0, repeated, self._desk.attempt_id)

    def known(self, digest: str) -> bool:
        query = "SELECT 1 FROM page WHERE node = ? AND stream = ? AND digest = ? AND fate = 0"
        return self._ask(query, *self._key, digest).fetchone() is not None

    def new(self) -> list[Page]:
        query = """
        SELECT f.name, p.facts, f.path FROM page p JOIN artifact f ON f.id = p.artifact_id WHERE p.node = ? AND p.stream = ? AND p.fate = 0
        AND NOT EXISTS (SELECT 1 FROM attempt_output o WHERE o.attempt_id = ? AND o.artifact_id = f.id) ORDER BY p.number
        """
        base = len(self._desk.node.outputs[self._desk.node.pages]) - 2
        rows = self._ask(query, *self._key, self._desk.in_force).fetchall()
        found = [Page(name[base:], json.loads(facts), self._desk.store.path(path)) for name, facts, path in rows]
        for page in found:
            self._desk.hand(page.path)
        return found

    def _ask(self, query: str, *values: Any) -> Any:
        with self._desk.aside():
            return self._desk.registry.db.execute(query, values)

    def _write(self, member: str, body: bytes, sha256: str, facts: str, records: int, digest: str, state: str) -> str:
        desk, now = self._desk, time.time()
        name = member_name(desk.node.outputs[desk.node.pages], member)
        known = desk.registry.db.execute(
            "SELECT id, version FROM artifact WHERE name = ? AND sha256 = ?", (name, sha256)
        ).fetchone()
        (highest,) = desk.registry.db.execute("SELECT max(version) FROM artifact WHERE name = ?", (name,)).fetchone()
        version = known[1] if known else (highest or 0) + 1
        path = desk.store.version_path(name, version, sha256)
        final = desk.store.adopt(_durable(desk.store.temporary(name), body), path)
        with desk.registry.atomic() as db:
            if known:  # its bytes had been removed or lost
                ident = known[0]
                db.execute("UPDATE artifact SET removed_at = NULL, path = ?, size = ? WHERE id = ?", (path, len(body), ident))
            else:
                ident = db.execute(
                    "INSERT INTO artifact (name, version, sha256, size, rows, path, attempt_id, created_at) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (name, version, sha256, len(body), records, path, desk.attempt_id, now),
                ).lastrowid
            db.execute(
                "INSERT INTO page VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (*self._key, self._next, ident, digest, facts, records, desk.attempt_id, now),
            )
            pages.write_state(db, *self._key, state, 1, records, 0, desk.attempt_id)
        return final


def _durable(tmp: str, body: bytes) -> str:
    """Write the new file and make it durable; nothing is left of one that the disk refuses."""
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb", buffering=0) as file:
            rest = memoryview(body)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(fd)
    except BaseException:
        os.unlink(tmp)
        raise
    return tmp


def _plain(value: Mapping[str, Any], what: str) -> str:
    """As canonical JSON. Raises StageError for what is no plain object, or too much of it."""
    try:
        text = json.dumps(dict(value), sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):
        raise StageError(f"The {what} of a page is not plain data.", "Mend the stage.") from None
    if len(text) > _LONGEST:
        raise StageError(f"The {what} of a page is larger than {_LONGEST >> 10} KiB.", "Keep what is needed to go on.")
    return text
