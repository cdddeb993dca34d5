"""The commit: durable bytes under immutable names first, then one registry transaction. That row is the only commit point."""

from __future__ import annotations

import json
import os
import time
import uuid
from typing import Any

from config.errors import StageError, StoreError
from config.stage import Finding
from pipeline import pages
from pipeline.execution.handles import Written, refuse_twins
from pipeline.execution.worker import Result
from pipeline.files import Files
from pipeline.identity import NodeIdentity, store_identity
from pipeline.node import Node
from pipeline.partitions import is_part, joint_key, joint_outputs
from pipeline.planner import Decision, Reason
from pipeline.recovery import tidy
from pipeline.registry import Artifact, Committed, Registry, telling
from pipeline.store import Store


class Commit:
    """Writes one run's rows. Nothing is written until something has to be done: a run that skips all leaves no trace."""

    def __init__(self, registry: Registry, store: Store, files: Files, run_id: str, selection: str) -> None:
        self._registry = registry
        self._store = store
        self._files = files
        self._run_id = run_id
        self._selection = selection
        self._begun = False
        self._littered = False

    def start(self, node: Node, decision: Decision, attempt_id: str, elsewhere: bool = False) -> None:
        """Record that an attempt is under way; from here on a crash is known to have left something behind.

        One that runs `elsewhere`, on a cluster, may go on writing when we are dead: the run's row says so until all is known to have ended.
        """
        self._begin_run()
        identity = decision.identity
        with self._registry.atomic(durable=elsewhere) as db:  # the run's own row is durable: it is what a power cut must leave
            for part in (identity.code, identity.settings, identity.environment):
                if part.leaves:
                    store_identity(db, part)
            if elsewhere:
                db.execute("UPDATE run SET litter = 1 WHERE id = ?", (self._run_id,))
            db.execute(
                "INSERT INTO attempt (id, run_id, node, stage, input_hash, state, code_id, settings_id, environment_id, started_at, "
                "reasons) VALUES (?, ?, ?, ?, ?, 'started', ?, ?, ?, ?, ?)",
                (
                    attempt_id,
                    self._run_id,
                    node.name,
                    node.stage,
                    decision.key,
                    identity.code.id,
                    identity.settings.id,
                    identity.environment.id,
                    time.time(),
                    reasons_json(decision.reasons),
                ),
            )

    def forget_lost(self, node: Node, lost: list[pages.Held], attempt_id: str) -> list[Finding]:
        """Take lost pages out and let their streams begin anew, after `start`. Gives what to tell of it."""
        if not lost:
            return []
        self._littered = True  # what is left of the damaged ones
        counts = pages.forget(self._registry, node.name, lost, attempt_id, self._run_id)
        message = "Pages that were held are lost or damaged: the stream is fetched anew."
        return [Finding(code="pages_lost", message=message, count=n, where=stream) for stream, n in counts.items()]

    @telling()
    def succeed(self, node: Node, decision: Decision, attempt_id: str, result: Result, before: Committed | None) -> Committed:
        """Make the attempt's outputs real. Raises StoreError or OSError and leaves the old state in force when the disk refuses."""
        report = result.report
        rows = report.get("rows", {})
        written = self._without_pages(node, result.written)
        placed = [(w, *self._place(w, _rows(rows, node, w))) for w in written]
        now, key = time.time(), decision.key if pages.is_whole_round(report) else pages.UNFINISHED
        with self._registry.atomic() as db:
            outputs = [(w.role, _register(db, a, attempt_id, now) if fresh else a) for w, a, fresh in placed]
            if node.pages:
                outputs += self._pages(db, node, before, key == decision.key, {a.name for _, a in outputs})
            db.executemany("INSERT INTO attempt_output VALUES (?, ?, ?)", [(attempt_id, a.id, role) for role, a in outputs])
            db.executemany(
                "INSERT INTO attempt_input VALUES (?, ?, ?, ?, ?, ?)",
                [(attempt_id, r.role, r.name, r.artifact.id if r.artifact else None, r.sha256, r.size) for r in decision.reads],
            )
            db.execute(
                "UPDATE attempt SET state = 'committed', seconds = ?, rows = ?, peak_rss = ?, report = ?, input_hash = ? WHERE id = ?",
                (result.seconds, sum(rows.values()) if rows else None, result.peak_rss, json.dumps(report), key, attempt_id),
            )
            put_in_force(db, node.name, attempt_id)
        identity = decision.identity
        done = Committed(attempt_id, node.name, key, identity.code.id, identity.settings.id, identity.environment.id, outputs)
        self._refresh_views(before, done)
        return done

    def fail(self, attempt_id: str, result: Result) -> None:
        """Record a failed attempt; the previous outputs stay in force, its leftovers go when the run ends."""
        self._littered = True
        with self._registry.atomic(durable=False) as db:
            db.execute(
                "UPDATE attempt SET state = 'failed', seconds = ?, peak_rss = ?, error = ? WHERE id = ? AND state = 'started'",
                (result.seconds, result.peak_rss, result.error, attempt_id),
            )

    def restore(self, node: Node, decision: Decision, before: Committed | None) -> Committed:
        """Put an earlier attempt's outputs back in force without running."""
        assert decision.attempt is not None
        self._begin_run()
        with self._registry.atomic() as db:
            put_in_force(db, node.name, decision.attempt.id)
            db.execute(
                "INSERT INTO event (at, run_id, attempt_id, kind, data) VALUES (?, ?, ?, 'restored', ?)",
                (time.time(), self._run_id, decision.attempt.id, reasons_json(decision.reasons)),
            )
        self._refresh_views(before, decision.attempt)
        return decision.attempt

    def join(self, node: Node, parts: list[Committed], identity: NodeIdentity, before: Committed | None) -> Committed:
        """Put what all parts of a mapped node made in force as the node's own, and what parts that are gone made out of it."""
        self._begin_run()
        attempt_id, now = uuid.uuid4().hex, time.time()
        ids = identity.code.id, identity.settings.id, identity.environment.id
        done = Committed(attempt_id, node.name, joint_key(node, parts), *ids, joint_outputs(parts))
        refuse_twins(a.name for _, a in done.outputs)
        rows = [a.rows for _, a in done.outputs if a.rows is not None]
        with self._registry.atomic() as db:
            db.execute(
                "INSERT INTO attempt (id, run_id, node, stage, input_hash, state, code_id, settings_id, environment_id, started_at, "
                "seconds, rows, reasons) VALUES (?, ?, ?, ?, ?, 'committed', ?, ?, ?, ?, 0, ?, ?)",
                (attempt_id, self._run_id, node.name, node.stage, done.input_hash, *ids, now, sum(rows) if rows else None, "[]"),
            )
            db.executemany("INSERT INTO attempt_output VALUES (?, ?, ?)", [(attempt_id, a.id, role) for role, a in done.outputs])
            db.execute("DELETE FROM node_state WHERE instr(node, ?) = 1", (f"{node.name}[",))
            put_in_force(db, node.name, attempt_id)
            db.executemany("INSERT INTO node_state VALUES (?, ?)", [(p.node, p.id) for p in parts])
        self._refresh_views(before, done)
        return done

    def end(self, failed: bool, writers_left: bool = False) -> None:
        """Close the run's row, if one was opened. As long as leftovers cannot be removed it stays open: the next start tries again.

        With `writers_left`, a lost worker may still write: the next start sweeps once more.
        """
        if self._littered or writers_left:
            try:
                tidy(self._registry, self._store)
            except OSError:
                return
        if self._begun:
            with self._registry.atomic() as db:
                status = "failed" if failed else "succeeded"
                db.execute(
                    "UPDATE run SET status = ?, ended_at = ?, litter = ? WHERE id = ?",
                    (status, time.time(), int(writers_left), self._run_id),
                )

    def _begin_run(self) -> None:
        if not self._begun:
            begin_run(self._registry, self._run_id, self._selection)
            self._begun = True

    def _place(self, w: Written, rows: int | None) -> tuple[Artifact, bool]:
        """(artifact, is it to be registered): bytes that a version already has make no new one."""
        if w.tmp is not None and os.stat(w.tmp).st_size != w.size:
            raise StageError("An output changed after the stage had ended.", "Close every file before returning.")
        row = self._registry.db.execute(
            "SELECT id, name, version, sha256, size, rows, path, created_at, removed_at FROM artifact WHERE name = ? AND sha256 = ?",
            (w.name, w.sha256),
        ).fetchone()
        if row is None:
            if w.tmp is None:
                raise StageError("The stage kept a file that was never committed.", "Keep only members of `previous`.")
            (highest,) = self._registry.db.execute("SELECT max(version) FROM artifact WHERE name = ?", (w.name,)).fetchone()
            version = (highest or 0) + 1
            path = self._store.version_path(w.name, version, w.sha256)
            self._files.note(self._store.adopt(w.tmp, path), w.sha256)
            return Artifact(0, w.name, version, w.sha256, w.size, rows, path, 0.0), True
        known = Artifact(*row[:8])
        if w.tmp is None:
            return known, False
        if row[8] is not None or not self._whole(known):
            path = self._store.version_path(w.name, known.version, w.sha256)  # not the row's: that may be what is damaged
            self._files.note(self._store.adopt(w.tmp, path), w.sha256)
            return known._replace(path=path, size=w.size), True
        os.unlink(w.tmp)
        return known, False

    def _without_pages(self, node: Node, written: list[Written]) -> list[Written]:
        """What the stage wrote and kept, but for kept pages: whether a page stays is not the stage's to say."""
        if not node.pages:
            return written
        names = {page.artifact.name for page in pages.held(self._registry.db, node.name)}
        return [w for w in written if w.tmp is not None or w.name not in names]

    def _pages(
        self, db: Any, node: Node, before: Committed | None, whole_round: bool, names: set[str]
    ) -> list[tuple[str, Artifact]]:
        """The pages that are part of this attempt's outputs, and what else is carried over. Rows of the outputs before go that say the
        same: a source that is asked every hour would otherwise fill the registry with them."""
        found = pages.collected(db, node, before.outputs if before else [], whole_round)
        for artifact in found:
            if not self._whole(artifact) and not self._store.is_afar(artifact):
                raise StoreError("A page went away while its attempt was running.", "Run again: it is fetched anew.")
        refuse_twins([*names, *(a.name for a in found)])
        outputs = [(node.pages, a) for a in found if a.name not in names]
        if before is not None:
            same = [(before.id, a.id) for _, a in outputs]
            db.executemany("DELETE FROM attempt_output WHERE attempt_id = ? AND artifact_id = ?", same)
        return outputs

    def _whole(self, artifact: Artifact) -> bool:
        try:
            return self._files.digest(self._store.path(artifact.path)) == (artifact.sha256, artifact.size)
        except OSError:
            return False

    def _refresh_views(self, before: Committed | None, after: Committed) -> None:
        """The commit has happened: a view that cannot be moved is litter for the end of the run, not a failure of the node."""
        if is_part(after.node):  # shown when the node as a whole has it
            return
        names = {a.name for _, a in after.outputs}
        try:
            for _, artifact in after.outputs:
                self._store.show(artifact)
            for _, artifact in before.outputs if before else []:
                if artifact.name not in names:
                    self._store.hide(artifact.name)
        except OSError:
            self._littered = True


def begin_run(registry: Registry, run_id: str, selection: str) -> None:
    """Open a run's row: as long as it says `running`, the next start looks for what a crash may have left."""
    import platform

    with registry.atomic() as db:
        db.execute(
            "INSERT INTO run (id, started_at, selection, host, pid, status) VALUES (?, ?, ?, ?, ?, 'running')",
            (run_id, time.time(), selection, platform.node(), os.getpid()),
        )


def put_in_force(db: Any, node: str, attempt_id: str) -> None:
    """From now on the attempt's artifacts are what their names mean: a node that made one of them before (it was renamed) steps back."""
    if not is_part(node):
        _step_back(db, node, attempt_id)
    db.execute("INSERT OR REPLACE INTO node_state VALUES (?, ?)", (node, attempt_id))


def _step_back(db: Any, node: str, attempt_id: str) -> None:
    db.execute(
        "DELETE FROM node_state WHERE node <> ? AND attempt_id IN (SELECT o.attempt_id FROM attempt_output o JOIN artifact f ON "
        "f.id = o.artifact_id WHERE f.name IN (SELECT g.name FROM attempt_output p JOIN artifact g ON g.id = p.artifact_id "
        "WHERE p.attempt_id = ?))",
        (node, attempt_id),
    )


def _register(db: Any, artifact: Artifact, attempt_id: str, now: float) -> Artifact:
    if artifact.id:
        db.execute(
            "UPDATE artifact SET removed_at = NULL, path = ?, size = ? WHERE id = ?", (artifact.path, artifact.size, artifact.id)
        )
        return artifact
    cursor = db.execute(
        "INSERT INTO artifact (name, version, sha256, size, rows, path, attempt_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*artifact[1:7], attempt_id, now),
    )
    return artifact._replace(id=cursor.lastrowid, created_at=now)


def reasons_json(reasons: list[Reason]) -> str:
    """Reasons as their column holds them."""
    return json.dumps([r._asdict() for r in reasons[:50]])


def _rows(rows: dict[str, int], node: Node, written: Written) -> int | None:
    """Rows of one output, as reported by role, or by role/member in a collection."""
    if written.role in rows:
        return rows[written.role]
    return rows.get(f"{written.role}/{written.name.removeprefix(node.outputs[written.role][:-2])}")
