"""The remote state as the engine sees it: which bytes lie there, and how they come home. Nothing is asked before it must be."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from config.errors import StateError, StateMissing
from scripts.state.local import FOLDER, MANIFEST, Base, Local

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.snapshot import NodeSettings
    from pipeline.registry import Artifact
    from scripts.state.manifest import Content
    from scripts.state.session import Session


def open_afar(data_dir: str, settings: NodeSettings) -> RemoteAfar | None:
    """What this machine has pulled or pushed, for the engine; None when it never has."""
    if not os.path.exists(os.path.join(data_dir, FOLDER, MANIFEST)):
        return None
    return RemoteAfar(Local(data_dir), settings)


class _Known(NamedTuple):
    stamp: tuple[int, int]
    base: Base | None
    contents: frozenset[str]


class RemoteAfar:
    """See `pipeline.afar.Afar`. Kept by what was last pulled or pushed: a later pull in this process is seen, too."""

    def __init__(self, local: Local, settings: NodeSettings) -> None:
        self._local = local
        self._settings = settings
        self._guard = threading.RLock()
        self._known: _Known | None = None
        self._leaves: tuple[str, Mapping[str, Any]] = ("", {})
        self._opened: Session | None = None

    @property
    def moved(self) -> int:
        """Bytes that have come this way so far."""
        return self._opened.down if self._opened else 0

    @property
    def partial(self) -> bool:
        """Whether only the registry's core is here: history lies in the remote state."""
        base = self._held().base
        return base is not None and base.partial

    def holds(self, sha256: str) -> bool:
        """See `Afar`."""
        return sha256 in self._held().contents

    def bring(self, artifact: Artifact, path: str) -> None:
        """See `Afar`."""
        from scripts.state.manifest import Content

        try:
            self._session().fetch(Content(artifact.sha256, artifact.size), path)
        except StateMissing:
            raise StateError(
                f"{artifact.name} is in the remote state no more.", "First: python main.py state pull; see docs/recover.md."
            ) from None

    def leaves(self, identity_id: str) -> list[list[str]]:
        """See `Afar`. Only explanations rest on it: a remote that cannot be had explains nothing."""
        with self._guard:
            base = self._held().base
            texts = base.manifest.texts if base else None
            if texts is None:
                return []
            if self._leaves[0] != texts.sha256:
                try:
                    self._leaves = (texts.sha256, self._explanations(texts))
                except StateError:
                    return []
            found = self._leaves[1].get(identity_id)
            return list(found[1]) if found else []

    def _explanations(self, texts: Content) -> Mapping[str, Any]:
        from pipeline.upkeep.snapshot import unpacked

        path = self._local.texts(texts.sha256)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != texts.sha256:
            self._session().fetch(texts, path)
            with open(path, "rb") as file:
                content = file.read()
        return unpacked(content)[0]

    def _held(self) -> _Known:
        """The base as it is now, and the contents it says the remote holds."""
        with self._guard:
            stamp = self._stamp()
            if self._known is None or self._known.stamp != stamp:
                base = self._local.base()
                paths = [path for path in (base.registry, base.set_back) if path] if base else []
                self._known = _Known(stamp, base, frozenset().union(*map(_live, paths)))
            return self._known

    def _stamp(self) -> tuple[int, int]:
        """Changes whenever a pull or push has come to its end."""
        try:
            seen = os.stat(os.path.join(self._local.folder, MANIFEST))
        except FileNotFoundError:
            return 0, 0
        return seen.st_ino, seen.st_mtime_ns

    def _session(self) -> Session:
        with self._guard:
            if self._opened is None:
                from scripts.state.session import session_of

                self._opened = session_of(self._settings, self._local)
                self._opened.scratch = self._local.incoming
            return self._opened


def _live(path: str) -> set[str]:
    from pipeline.registry import as_uri

    try:
        db = sqlite3.connect(as_uri(path, "mode=ro&immutable=1"), uri=True)
        try:
            return {sha for (sha,) in db.execute("SELECT sha256 FROM artifact WHERE removed_at IS NULL")}
        finally:
            db.close()
    except sqlite3.DatabaseError:
        raise StateError(
            "What this machine remembers of the remote state is damaged.", "First: python main.py state pull"
        ) from None
