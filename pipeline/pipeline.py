"""The engine's front: a DAG, a data root and settings in; runs, plans and answers out."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from config.errors import BusyError, PDPError, StoreError
from pipeline import lock, standing
from pipeline.node import Node
from pipeline.outcome import Run, as_event, silent
from pipeline.registry import Artifact, Registry, telling
from pipeline.selection import Selection
from pipeline.signals import interruptible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pipeline.afar import Afar
    from pipeline.answers.explain import Explanation
    from pipeline.answers.forecast import Forecast
    from pipeline.dag import Dag
    from pipeline.outcome import Listener, Outcome
    from pipeline.pages import Stream
    from pipeline.planner import Planner
    from pipeline.store import Store
    from pipeline.upkeep.accept import Accepted
    from pipeline.upkeep.erase import Erased
    from pipeline.upkeep.gc import Gone


class Pipeline:
    """`nodes` over the data root `data_dir`.

    `settings` maps names to plain values, secrets included; a node sees only what it declares. `roots` gives folders that `files`
    patterns may start with, so that logical names do not depend on where things lie. `code_root` is where first-party code is found.
    `afar` is the remote state that holds versions whose bytes are not here.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        data_dir: str,
        settings: Mapping[str, Any] | None = None,
        stages: Sequence[str] = (),
        roots: Mapping[str, str] | None = None,
        code_root: str | None = None,
        afar: Afar | None = None,
    ) -> None:
        self.afar = afar
        self._nodes = tuple(nodes)
        self._stages = tuple(stages)
        self._dag: Dag | None = None
        self.data_dir = os.path.abspath(data_dir)
        self.settings = settings if settings is not None else {}
        self.roots = {name: os.path.abspath(path) for name, path in (roots or {}).items()}
        self.code_root = os.path.abspath(code_root or os.getcwd())

    def run(
        self,
        selection: Selection | None = None,
        jobs: int = 1,
        listener: Listener | None = None,
        executor: str = "",
        strict: bool = False,
    ) -> Run:
        """Run what has to run. Raises BusyError when another run holds the data root, PDPError when nothing could even start;
        a failing node is an outcome, not an exception. Stopped by SIGINT or SIGTERM it cleans up and raises KeyboardInterrupt.
        `executor` names a cluster (`dask://host:port`) to run on instead; `strict` fails a node that touches undeclared files."""
        selection = selection or Selection()
        began = time.monotonic()
        with self._locked():
            question = None if selection.force is not None else self._question(selection)
            outcomes = self._standing(question) if question else None
            if outcomes is not None:
                with suppress(Exception):  # a listener that fails is not listened to any more
                    for outcome in outcomes if listener else ():
                        listener("node_finished", as_event(outcome))  # type: ignore[misc]
                return Run(os.urandom(16).hex(), "succeeded", time.monotonic() - began, outcomes)
            _ = self.dag  # what is wrong with the declaration is told before anything is written
            with self._opened() as registry:
                run, facts = self._run(registry, selection, jobs, listener or silent, executor, strict)
                if question:
                    with suppress(StoreError):
                        standing.keep(registry, question, facts, run.outcomes)
                return run

    @property
    def dag(self) -> Dag:
        """The checked graph. Raises PipelineError when the nodes are no DAG."""
        if self._dag is None:
            from pipeline.dag import Dag

            self._dag = Dag(self._nodes, self._stages, self.roots)
        return self._dag

    def plan(self, selection: Selection | None = None) -> list[Forecast]:
        """What a run would do and why; changes nothing and needs no lock."""
        from pipeline.answers.forecast import forecast

        with self.reading() as registry:
            return forecast(self.dag, self._planner(registry), selection or Selection())

    def explain(self, node: str, selection: Selection | None = None) -> Explanation:
        """Why a node would run, be restored or be skipped, to the root cause; changes nothing and needs no lock."""
        from pipeline.answers.explain import explain

        with self.reading() as registry:
            return explain(self.dag, self._planner(registry), selection or Selection(), node)

    def accept(self, node: str, reason: str, selection: Selection | None = None) -> Accepted | None:
        """Give a node's outputs the key it has now, without running it; None when they have it. For refusals see `upkeep.accept`."""
        from pipeline.recovery import recover, repair_views
        from pipeline.upkeep.accept import accept

        with self._writing() as registry:
            recover(registry, self._store())
            planner = self._planner(registry)
            repair_views(planner.store, planner.state)
            accepted = accept(registry, self.dag, planner, selection or Selection(), node, reason)
            planner.identities.save(registry)
            planner.files.save(registry)
            return accepted

    def verify(self) -> list[str]:
        """Problems, one sentence each; empty when every artifact, row and view is as committed."""
        from pipeline.answers.verify import verify

        with self.reading() as registry:
            return verify(registry, self._store())

    def clean(self, wanted: Callable[[str], bool], dry_run: bool = False) -> list[Artifact]:
        """Remove the stored versions of artifacts whose name is `wanted` gone; gives what goes. Only below the data root."""
        from pipeline.recovery import recover
        from pipeline.upkeep.clean import removable, remove

        if dry_run:
            with self.reading() as registry:
                return removable(registry, wanted)
        with self._writing() as registry:
            recover(registry, self._store())
            artifacts = removable(registry, wanted)
            if artifacts:
                remove(registry, self._store(), artifacts)
            return artifacts

    def gc(self, keep: int, dry_run: bool = False, spared: str = "") -> Gone:
        """Remove superseded versions beyond the `keep` newest of each artifact; rows, what is in force, what that was made
        from and artifacts whose name begins with `spared` stay."""
        from pipeline.recovery import recover
        from pipeline.upkeep.gc import collect, superseded

        if dry_run:
            with self.reading() as registry:
                return superseded(registry, keep, spared)
        with self._writing() as registry:
            recover(registry, self._store())
            return collect(registry, self._store(), keep, spared)

    def forget(self, wanted: Callable[[str], bool]) -> int:
        """Take nodes out of force, with their plain names. Versions and rows stay, so a later run may restore instead of running."""
        from pipeline.upkeep.clean import forget

        with self._writing() as registry:
            return forget(registry, self._store(), wanted)

    def local(self, artifact: Artifact) -> str:
        """Path of a version's bytes, brought first if only the remote state has them; nothing is there when nobody has. Raises PDPError
        when they cannot be brought."""
        store = self._store()
        if store.is_afar(artifact):
            from pipeline.afar import bring

            with _disk_told():
                bring(store, self.afar, [artifact])
        return store.path(artifact.path)

    def bring(self, artifacts: Sequence[Artifact]) -> None:
        """Have these versions here, several at once, and under their plain names those in force. Raises PDPError when one cannot be had."""
        from pipeline.afar import bring
        from pipeline.recovery import repair_views

        store = self._store()
        with _disk_told():
            bring(store, self.afar, artifacts)
        with suppress(BusyError), self._writing() as registry:  # a run sets them right when it begins
            repair_views(store, registry.state())

    def elsewhere(self) -> int:
        """How many kept versions lie in the remote state only."""
        from pipeline.answers.verify import elsewhere

        with self.reading() as registry:
            return elsewhere(registry, self._store())

    def snapshot(self, to: str) -> None:
        """Write the registry as it travels to the new file `to`, after clearing up behind a killed run. Raises BusyError beside a run."""
        from pipeline.recovery import recover
        from pipeline.upkeep.snapshot import snapshot

        with self._writing() as registry:
            recover(registry, self._store())
            snapshot(registry, to)

    def texts(self, base: str | None = None) -> bytes:
        """Explanations of the identities that the snapshot `base` does not know (all, without); b"" when there are none."""
        from pipeline.upkeep.snapshot import texts

        with self.reading() as registry:
            return texts(registry, base) if registry else b""

    def adopt(
        self, registry_file: str, texts: bytes | None = None, moves: Sequence[tuple[str, str]] = (), ours: str | None = None
    ) -> None:
        """Make a snapshot's rows this machine's, all or nothing; what they do not own goes from the store. `ours` is the snapshot of here
        that it was merged with, None when nothing had run here. Raises BusyError when something has run since, RegistryError when the
        file cannot be trusted."""
        from pipeline.recovery import recover
        from pipeline.upkeep.adopt import adopt

        with self._writing() as registry:
            recover(registry, self._store())
            adopt(registry, self._store(), registry_file, texts or b"", moves, ours)

    def erase(
        self,
        wanted: Callable[[str], bool],
        dry_run: bool = False,
        note: Mapping[str, Any] | None = None,
        unread: Iterable[str] = (),
    ) -> Erased:
        """Remove artifacts whose name is `wanted` gone for good, with all that was made from them, and every row that speaks of them.
        `note`, without values, is what the record of it says; of the nodes `unread` it is forgotten how far they have read their remote.
        To be repeated when killed."""
        from pipeline.recovery import recover
        from pipeline.upkeep.erase import doomed, erase

        if dry_run:
            with self.reading() as registry:
                return doomed(registry, wanted)
        with self._writing() as registry:
            recover(registry, self._store())
            return erase(registry, self._store(), wanted, note or {}, unread)

    def streams(self, node: str = "") -> list[Stream]:
        """How far a node (or every node) has read its remote, stream by stream."""
        from pipeline.pages import streams

        with self.reading() as registry:
            return streams(registry, node) if registry else []

    def set_state(self, node: str, stream: str, state: Mapping[str, Any] | None, replace: bool = False) -> None:
        """Say where a stream goes on, None for its beginning; its node runs next time. With `replace` the pages held make room for new ones
        once a whole round of these is in. Raises BusyError beside a run."""
        from pipeline.pages import set_state
        from pipeline.recovery import recover

        with self._writing() as registry:
            recover(registry, self._store())
            set_state(registry, node, stream, state, replace)

    @contextmanager
    def reading(self) -> Iterator[Registry | None]:
        """The registry, read-only, beside a run; None when there is none yet."""
        with telling():
            registry = Registry.read(self.data_dir)
            try:
                if registry:
                    registry.afar = self.afar
                yield registry
            finally:
                if registry:
                    registry.close()

    @contextmanager
    def _writing(self) -> Iterator[Registry]:
        with self._locked(), self._opened() as registry:
            yield registry

    @contextmanager
    def _locked(self) -> Iterator[None]:
        umask = os.umask(0o077)  # everything below the data root is private
        try:
            with _disk_told():
                self._make_data_dir()
            with lock.exclusive(self.data_dir):
                yield
        finally:
            os.umask(umask)

    @contextmanager
    def _opened(self) -> Iterator[Registry]:
        with _disk_told(), telling():
            for folder in (self.data_dir, os.path.join(self.data_dir, "store")):  # before any source is asked
                if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, "it cannot be written", os.path.join(folder, ""))
            registry = Registry.open(self.data_dir)
            registry.afar = self.afar
            try:
                yield registry
            finally:
                registry.close()

    def _store(self) -> Store:
        from pipeline.store import Store

        return Store(self.data_dir, self.afar)

    def _make_data_dir(self) -> None:
        os.makedirs(self.data_dir, mode=0o700, exist_ok=True)
        if os.stat(self.data_dir).st_mode & 0o066:
            os.chmod(self.data_dir, 0o700)

    def _question(self, selection: Selection) -> standing.Question | None:
        context = (self._stages, sorted(self.roots.items()), self.code_root)
        with _disk_told():
            return standing.question(self._nodes, self.settings, selection, *context)

    def _standing(self, question: standing.Question) -> list[Outcome] | None:
        registry = Registry.read(self.data_dir)
        if registry is None:
            return None
        try:
            return standing.check(registry, question, self.data_dir, self._answers_still)
        finally:
            registry.close()

    def _answers_still(self, kind: str, name: str, kept: str) -> bool:
        """Whether a node's remote has the fingerprint it had, or its database still holds what was loaded."""
        import json

        from pipeline.execution.calls import ask

        node = next(n for n in self._nodes if n.name == name)
        try:
            needs = {setting: self.settings[setting] for setting in (*node.settings, *node.secrets)}
            if kind == "remote":
                return bool(str(ask(str(node.remote), needs)) == kept)
            inputs = {role: [tuple(read) for read in reads] for role, reads in json.loads(kept).items()}
            return bool(ask(str(node.sink), inputs, needs))
        except (KeyError, PDPError):  # the planner meets it again, and tells
            return False

    def _planner(self, registry: Registry | None) -> Planner:
        from pipeline.files import Files
        from pipeline.identity import Identities
        from pipeline.planner import Planner

        files = Files(registry, self.data_dir)
        identities = Identities(registry, files, self.code_root, self.settings)
        return Planner(registry, files, identities, self._store(), self.settings, self.roots, self.code_root)

    def _run(
        self, registry: Registry, selection: Selection, jobs: int, listener: Listener, executor: str, strict: bool
    ) -> tuple[Run, standing.Facts | None]:
        import json
        import uuid

        from pipeline.commit import Commit
        from pipeline.execution.orphans import marked
        from pipeline.orchestrator import Orchestrator
        from pipeline.recovery import recover, repair_views

        recover(registry, self._store())
        planner = self._planner(registry)
        repair_views(planner.store, planner.state)
        run_id = uuid.uuid4().hex
        commit = Commit(registry, planner.store, planner.files, run_id, json.dumps(selection._asdict()))
        with interruptible(), marked(run_id):  # workers are born with the mark
            try:
                run = Orchestrator(self.dag, planner, commit, run_id, jobs, listener, executor, strict).run(selection)
            except KeyboardInterrupt:
                recover(registry, planner.store)
                raise
            facts = planner.facts()
            with suppress(StoreError):  # caches: a disk that refuses them costs time, nothing else
                planner.identities.save(registry)
                planner.files.save(registry)
        return run, facts


@contextmanager
def _disk_told() -> Iterator[None]:
    """What the disk refuses, as a sentence with the folder; a file's own name is a person's."""
    try:
        yield
    except OSError as error:
        where = f" (in {os.path.basename(os.path.dirname(error.filename)) or '.'})" if isinstance(error.filename, str) else ""
        why = error.strerror or type(error).__name__
        raise StoreError(f"The data directory cannot be used: {why}{where}.", "Mend that, or choose another DATA_DIR.") from error
