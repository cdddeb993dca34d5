"""What this machine has done, brought to the remote: what is missing there, then one compare-and-swap of the head.

Whatever stops it, before that swap the remote is as it was, after it the new state is whole. When somebody else has committed
meanwhile, both are merged and the merge is what is committed; this machine takes it over once it stands.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from config.errors import HeadMoved, StateConflict, StateError
from scripts.state import alerts, guards
from scripts.state.local import Base
from scripts.state.manifest import Content, Generation, Manifest
from scripts.state.pull import base_of, look_afar, registry_of, snapshot_of
from scripts.state.session import Session, open_session

if TYPE_CHECKING:
    from scripts.project import Project

_TRIES = 6
_SWEEP_SECONDS = 120.0
"""How long a push waits for a sweep to end."""


class Pushed(NamedTuple):
    """What a push did."""

    generation: int | None
    """What the remote is at now; None: there is nothing to push and nothing there."""
    changed: bool
    """Something new was committed."""
    merged: bool
    """Others had committed meanwhile: this machine now has their runs, too, and another run may have something to do."""
    objects: int
    """Contents sent, the registry among them."""
    up: int
    down: int
    """Bytes moved."""


class _Step(NamedTuple):
    """What is to be committed on top of one head."""

    registry: str
    moves: list[tuple[str, str]]
    theirs: str | None
    """The head's own registry."""


def push(project: Project, *, anew: bool = False, alone: bool = False) -> Pushed:
    """Commit this machine's registry as the next generation, after everything it speaks of is stored.

    `anew` begins a new line in a remote that is empty though this machine has met a state before; `alone` keeps no earlier generation.
    Raises StateConflict when others keep committing (nothing here has changed), StateError, SettingsError, BusyError beside a run.
    """
    session = open_session(project)
    with session.local.locked():
        base = base_of(session)
        ours = snapshot_of(session, project)
        if ours is None:
            return Pushed(None, False, False, 0, session.up, session.down)
        return _Push(session, project, base, ours, alone).run(anew)


class _Push:
    def __init__(self, session: Session, project: Project, base: Base | None, ours: str, alone: bool) -> None:
        self.session = session
        self.project = project
        self.base = base
        self.ours = ours
        self.alone = alone
        self.objects = 0
        self.met_empty = base is None and session.local.met_empty()
        self._again = random.Random()

    def run(self, anew: bool) -> Pushed:
        for tries in range(_TRIES):
            if tries:
                time.sleep(self._again.uniform(0, 0.2 * 2**tries))
            found = self._head()
            self._refuse(found[0] if found else None, anew)
            with suppress(HeadMoved):
                return self._on(*found) if found else self._on(None, None)
        raise StateConflict(
            "Others keep changing the remote state; nothing was pushed, and everything here is as it was.", "Push again later."
        )

    def _head(self) -> tuple[Manifest, str] | None:
        """The head, once no sweep goes on. Raises StateConflict when one takes too long."""
        until = time.monotonic() + _SWEEP_SECONDS
        while True:
            found = self.session.head()
            if found is None or not guards.is_swept(found[0], self.session.local.lease("sweep")):
                return found
            if time.monotonic() > until:
                raise StateConflict("Objects of the remote state are being removed just now.", "Push again in a while.")
            time.sleep(self._again.uniform(0.5, 2))

    def _refuse(self, head: Manifest | None, anew: bool) -> None:
        if head is None:
            guards.refuse_vanished(head, None if anew else self.base)
            self.met_empty = True
            return
        if self.base is None and self.met_empty:  # two who begin: nothing of either rests on the other's
            return
        if self.base is None:
            raise StateError(
                "The remote holds a state this machine has never pulled; pushing over it is refused.",
                "First: python main.py state pull (it merges what is here)",
            )
        guards.refuse_other(head, self.base)
        guards.refuse_rollback(head, self.base)

    def _on(self, head: Manifest | None, tag: str | None) -> Pushed:
        """Commit on top of `head`. Raises HeadMoved when it is not the head any more."""
        from pipeline.upkeep.snapshot import same

        told = self._told(head)
        known = self.base if head and self.base and head.registry == self.base.manifest.registry else None
        if head and known and not self.alone and same(self.ours, known.registry):
            return self._without_rows(head, tag, told, known)
        step = self._step(head)
        texts = self._texts(head, step.theirs)
        merged = head is not None and known is None
        unchanged = head is not None and (texts, told) == (head.texts, head.alerts) and not self.alone
        if head and step.theirs and unchanged and same(step.registry, step.theirs):
            self._released(head, tag)
            self._keep(head, step, step.theirs)
            return self._done(head.generation, changed=False, merged=merged)
        registry = self._stored(head, step)
        manifest = self._manifest(head, registry, texts, self._core(step.registry), told)
        self.session.commit(manifest, tag)
        self._keep(manifest, step, step.registry)
        return self._done(manifest.generation, changed=True, merged=merged)

    def _without_rows(self, head: Manifest, tag: str | None, told: str, base: Base) -> Pushed:
        """Nothing has run: at most who was told of what is new."""
        changed = told != head.alerts
        if changed:
            head = self._manifest(head, head.registry, head.texts, head.core, told)
            self.session.commit(head, tag)
        else:
            self._released(head, tag)
        self._remember(head, base.registry, partial=base.partial)
        return self._done(head.generation, changed=changed, merged=False)

    def _step(self, head: Manifest | None) -> _Step:
        from pipeline.upkeep.merge import merge

        if head is None:
            return _Step(self.ours, [], None)
        if self.base and not self.base.partial and head.registry == self.base.manifest.registry:
            return _Step(self.ours, [], self.base.registry)
        theirs, into = registry_of(self.session, head), self.session.temporary()
        return _Step(into, merge(self.ours, theirs, self.base.registry if self.base else None, into).moves, theirs)

    def _told(self, head: Manifest | None) -> str:
        """Who was told of which alert, as both know it."""
        base = self.base.manifest.alerts if self.base else ""
        return alerts.merged(alerts.kept(self.project.data_dir), head.alerts if head else "", base)

    def _texts(self, head: Manifest | None, theirs: str | None) -> Content | None:
        """The explanations with those only this machine has, stored; the head's own when there are none."""
        import hashlib

        from pipeline.upkeep.snapshot import joined

        there = head.texts if head else None
        new = self.project.pipeline.texts(theirs)
        if not new:
            return there
        if there:
            try:
                with open(self.session.fetched(there), "rb") as file:
                    new = joined(file.read(), new)
            except StateError:  # lost or damaged: what this machine has takes its place
                new = self.project.pipeline.texts()
        content = Content(hashlib.sha256(new).hexdigest(), len(new))
        if content != there:
            path = self.session.temporary()
            with open(path, "xb") as file:
                file.write(new)
            self._send(content, path, tight=True)
        return content

    def _stored(self, head: Manifest | None, step: _Step) -> Content:
        """Everything the registry speaks of is there, and the registry itself; gives what it is."""
        from pipeline.upkeep.snapshot import live

        session = self.session
        fence = (session.sealer.key_id, head.state if head else "", head.sweeps if head else 0)
        session.local.begin_sending(*fence)
        sent = session.local.sent(*fence)
        there = {a.sha256 for a in live(step.theirs)} if step.theirs else set()
        paths = {a.sha256: os.path.join(self.project.data_dir, a.path) for a in live(self.ours)}
        for sha256, size in dict.fromkeys((a.sha256, a.size) for a in live(step.registry)):
            if sha256 in there:
                continue
            there.add(sha256)
            name = session.sealer.name(sha256)
            if name in sent and session.remote.exists(name):
                continue
            if sha256 in paths and os.path.exists(paths[sha256]):
                self._send(Content(sha256, size), paths[sha256])
                session.local.note_sent(name)
            elif not session.remote.exists(name):
                raise StateError(
                    "A stored version is neither here nor in the remote state; nothing was pushed.",
                    "Look with: python main.py verify",
                )
        return self._sent(step.registry)

    def _core(self, registry: str) -> Content:
        """What of the registry an empty machine needs, stored."""
        from pipeline.upkeep.core import core

        path = self.session.temporary()
        core(registry, path)
        return self._sent(path)

    def _sent(self, path: str) -> Content:
        import hashlib

        with open(path, "rb") as file:
            content = Content(hashlib.file_digest(file, "sha256").hexdigest(), os.path.getsize(path))
        self._send(content, path, tight=True)
        return content

    def _send(self, content: Content, path: str, *, tight: bool = False) -> None:
        self.session.send(content, path, tight=tight)
        self.objects += 1

    def _manifest(
        self, head: Manifest | None, registry: Content, texts: Content | None, core: Content | None, told: str
    ) -> Manifest:
        session, now = self.session, time.time()
        seen = max(head.generation if head else 0, self.base.seen if self.base else 0)
        present = Generation(seen + 1, now, registry, texts)
        earlier = head.history[: session.keep_generations - 1] if head and not self.alone else ()
        lease = head.lease if head and head.lease and not self._is_ours(head) and head.lease.kind == "job" else None
        return Manifest(
            state=head.state if head else uuid.uuid4().hex,
            generation=present.generation,
            parent=head.sha256 if head else "",
            run_id=uuid.uuid4().hex,
            writer=session.writer,
            created=now,
            registry=registry,
            texts=texts,
            history=(present, *earlier),
            core=core,
            alerts=told,
            lease=lease,
            sweeps=head.sweeps if head else 0,
        )

    def _is_ours(self, head: Manifest) -> bool:
        return head.lease is not None and head.lease.token == self.session.local.lease()

    def _released(self, head: Manifest, tag: str | None) -> None:
        """Give our lease back though there is nothing to commit."""
        if self._is_ours(head):
            with suppress(HeadMoved):  # a courtesy; it ends by itself
                self.session.commit(head._replace(lease=None, run_id=uuid.uuid4().hex), tag)

    def _keep(self, manifest: Manifest, step: _Step, registry: str) -> None:
        """Take over what was committed, and remember it. Raises BusyError when something has run here meanwhile: the next push merges."""
        from pipeline.upkeep.snapshot import same

        if step.theirs and not same(self.ours, step.registry):
            self.project.pipeline.adopt(step.registry, None, step.moves, self.ours)
        self._remember(manifest, registry)

    def _remember(self, manifest: Manifest, registry: str, *, partial: bool = False) -> None:
        self.session.local.keep(manifest, registry, partial=partial)
        self.session.local.all_sent()
        alerts.take_over(self.project.data_dir, manifest.alerts)
        if self.session.local.lease():
            self.session.local.note_lease("")
        look_afar(self.project)

    def _done(self, generation: int, *, changed: bool, merged: bool) -> Pushed:
        return Pushed(generation, changed, merged, self.objects, self.session.up, self.session.down)
