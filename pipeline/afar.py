"""Bytes that lie elsewhere: what the engine asks of a remote state, and how a version comes home.

A version's row is the truth, wherever its bytes are. One that a remote state holds counts as whole: it is skipped, restored and kept like
any other, but has no plain name here. Its bytes are fetched when a node is about to read them, or when a command opens them.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from config.errors import StoreError
from pipeline.registry import sync_folder

if TYPE_CHECKING:
    from pipeline.registry import Artifact
    from pipeline.store import Store

INCOMING = os.path.join("state", "incoming")
"""Where bytes wait below the data root until they are whole."""
_ABANDONED = 3600.0
"""Seconds after which nobody is writing a file there any more."""
_AT_ONCE = 8


class Afar(Protocol):
    """A remote state that holds versions this machine has not. Several threads may ask it at once."""

    @property
    def partial(self) -> bool:
        """Whether only the core of the registry is here: what is in force and the last attempts, not all history."""

    def holds(self, sha256: str) -> bool:
        """Whether these bytes are there for sure."""

    def bring(self, artifact: Artifact, path: str) -> None:
        """Write the verified bytes of a version to the new file `path`. Raises PDPError when it cannot."""

    def leaves(self, identity_id: str) -> list[list[str]]:
        """[[name, digest, location], …] of an identity whose explanation is kept there; [] when unknown."""


def bring(store: Store, afar: Afar | None, artifacts: Sequence[Artifact]) -> None:
    """Have the bytes of these versions here, each under its immutable name. Raises PDPError or OSError when one cannot be had."""
    missing = {a.path: a for a in artifacts if not os.path.lexists(store.path(a.path))}
    if not missing:
        return
    lost = next((a for a in missing.values() if afar is None or not afar.holds(a.sha256)), None)
    if lost is not None or afar is None:
        what = f"{lost.name}@v{lost.version}" if lost else "A version"
        raise StoreError(f"{what} is missing from the store.", "`python main.py verify` tells what else is.")
    folder = _incoming(store.root)
    if len(missing) == 1:
        _fetch(store, afar, next(iter(missing.values())), folder)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(_AT_ONCE, len(missing))) as pool:
        for done in [pool.submit(_fetch, store, afar, a, folder) for a in missing.values()]:
            done.result()


def discard_incoming(data_dir: str, older_than: float = 0.0) -> None:
    """Remove what killed processes have left half fetched, if it was last written so many seconds ago."""
    folder, now = os.path.join(data_dir, INCOMING), time.time()
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with contextlib.suppress(FileNotFoundError):
                if now - entry.stat(follow_symlinks=False).st_mtime >= older_than:
                    os.unlink(entry.path)


def _incoming(data_dir: str) -> str:
    folder = os.path.join(data_dir, INCOMING)
    make_private(folder, data_dir)
    discard_incoming(data_dir, _ABANDONED)
    return folder


def _fetch(store: Store, afar: Afar, artifact: Artifact, folder: str) -> None:
    tmp, final = os.path.join(folder, uuid.uuid4().hex), store.path(artifact.path)
    try:
        afar.bring(artifact, tmp)
        fd = os.open(tmp, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_size != artifact.size:
                raise StoreError(f"{artifact.name}@v{artifact.version} came back with another size.", "Run again.")
            os.fchmod(fd, 0o600)
            os.fsync(fd)
        finally:
            os.close(fd)
        make_private(os.path.dirname(final), store.root)
        os.replace(tmp, final)
        sync_folder(os.path.dirname(final))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(tmp)


def make_private(folder: str, root: str) -> None:
    """Make a folder below `root` with all above it, each 0700 whatever the process's umask."""
    missing = []
    while len(folder) > len(root) and not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(each, 0o700)
