"""The engine's front: a DAG, a data root and settings in; runs, plans and answers out."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from config.errors import StoreError
from pipeline import lock
from pipeline.dag import Dag
from pipeline.files import Files
from pipeline.identity import Identities
from pipeline.node import Node
from pipeline.planner import Planner
from pipeline.registry import Artifact, Registry
from pipeline.selection import Selection
from pipeline.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipeline.forecast import Forecast
    from pipeline.orchestrator import Listener, Run


class Pipeline:
    """`nodes` over the data root `data_dir`.

    `settings` maps names to plain values, secrets included; a node sees only what it declares. `roots` gives folders that `files`
    patterns may start with, so that logical names do not depend on where things lie. `code_root` is where first-party code is found.
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        data_dir: str,
        settings: Mapping[str, Any] | None = None,
        stages: Sequence[str] = (),
        roots: Mapping[str, str] | None = None,
        code_root: str | None = None,
    ) -> None:
        self.dag = Dag(nodes, stages)
        self.data_dir = os.path.abspath(data_dir)
        self.settings = settings if settings is not None else {}
        self.roots = roots or {}
        self.code_root = os.path.abspath(code_root or os.getcwd())

    def run(self, selection: Selection | None = None, jobs: int = 1, listener: Listener | None = None) -> Run:
        """Run what has to run. Raises BusyError when another run holds the data root, PDPError when nothing could even start;
        a failing node is an outcome, not an exception. Stopped by SIGINT or SIGTERM it cleans up and raises KeyboardInterrupt."""
        from pipeline.recovery import recover, repair_views

        selection = selection or Selection()
        with self._writing() as registry:
            store = Store(self.data_dir)
            recover(registry, store)
            planner = self._planner(registry)
            repair_views(store, planner.state)
            with _sigterm_interrupts():
                try:
                    return self._execute(registry, planner, selection, jobs, listener or _silent)
                except KeyboardInterrupt:
                    recover(registry, store)
                    raise

    def plan(self, selection: Selection | None = None) -> list[Forecast]:
        """What a run would do and why; changes nothing and needs no lock."""
        from pipeline.forecast import forecast

        with self.reading() as registry:
            return forecast(self.dag, self._planner(registry), selection or Selection())

    def verify(self) -> list[str]:
        """Problems, one sentence each; empty when every artifact, row and view is as committed."""
        from pipeline.verify import verify

        with self.reading() as registry:
            return verify(registry, self.data_dir)

    def clean(self, wanted: Callable[[str], bool], dry_run: bool = False) -> list[Artifact]:
        """Remove the stored versions of artifacts whose name is `wanted` gone; gives what goes. Only below the data root."""
        from pipeline.clean import removable, remove
        from pipeline.recovery import recover

        if dry_run:
            with self.reading() as registry:
                return removable(registry, wanted)
        with self._writing() as registry:
            recover(registry, Store(self.data_dir))
            artifacts = removable(registry, wanted)
            if artifacts:
                remove(registry, Store(self.data_dir), artifacts)
            return artifacts

    def forget(self, wanted: Callable[[str], bool]) -> int:
        """Take nodes out of force, with their plain names. Versions and rows stay, so a later run may restore instead of running."""
        from pipeline.clean import forget

        with self._writing() as registry:
            return forget(registry, Store(self.data_dir), wanted)

    @contextmanager
    def reading(self) -> Iterator[Registry | None]:
        """The registry, read-only, beside a run; None when there is none yet."""
        registry = Registry.read(self.data_dir)
        try:
            yield registry
        finally:
            if registry:
                registry.close()

    @contextmanager
    def _writing(self) -> Iterator[Registry]:
        umask = os.umask(0o077)  # everything below the data root is private
        try:
            self._make_data_dir()
            with lock.exclusive(self.data_dir):
                registry = Registry.open(self.data_dir)
                try:
                    yield registry
                finally:
                    registry.close()
        finally:
            os.umask(umask)

    def _make_data_dir(self) -> None:
        try:
            os.makedirs(self.data_dir, mode=0o700, exist_ok=True)
            if os.stat(self.data_dir).st_mode & 0o066:
                os.chmod(self.data_dir, 0o700)
        except OSError as error:
            raise StoreError(
                f"The data directory cannot be used: {error.strerror}.", "Mend that, or choose another DATA_DIR."
            ) from error

    def _planner(self, registry: Registry | None) -> Planner:
        files = Files(registry, self.data_dir)
        identities = Identities(registry, files, self.code_root, self.settings)
        return Planner(registry, files, identities, Store(self.data_dir), self.settings, self.roots, self.code_root)

    def _execute(self, registry: Registry, planner: Planner, selection: Selection, jobs: int, listener: Listener) -> Run:
        from pipeline.commit import Commit
        from pipeline.orchestrator import Orchestrator

        run_id = uuid.uuid4().hex
        commit = Commit(registry, planner.store, planner.files, run_id, json.dumps(selection._asdict()))
        run = Orchestrator(self.dag, planner, commit, run_id, jobs, listener).run(selection)
        planner.identities.save(registry)
        planner.files.save(registry)
        return run


def _silent(event: str, facts: Mapping[str, Any]) -> None:
    """Nobody listens."""


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM stops a run like Ctrl-C; a second signal ends at once."""

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt(number)

    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: whoever runs us there handles signals
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
