"""What this machine remembers of the remote state, in `state/` below the data root: the last manifest and the registry it named.

That registry is the base of every merge and the list of what the remote holds. `manifest.json` is written last: what it names is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from config.errors import BusyError, StateError
from scripts.state.manifest import Content, Manifest, parsed

FOLDER, MANIFEST = "state", "manifest.json"
_SENT, _LEASE, _EMPTY, _SCRATCH, _INCOMING, _LOCK = "sent", "lease", "empty", "scratch", "incoming", ".lock"


class Base(NamedTuple):
    """The state as of the last pull or push of this machine."""

    manifest: Manifest
    registry: str
    """Path of the registry the manifest names; of its core if this machine has no more."""
    seen: int = 0
    """The highest generation this machine ever met: after a rollback the next one lies above it."""
    partial: bool = False
    """Only the core was pulled: history is in the remote."""
    set_back: str = ""
    """Path of an earlier registry this machine was set back to, not pushed yet; empty when it was not."""

    @property
    def content(self) -> Content:
        """What `registry` should hold."""
        return _content(self.manifest, partial=self.partial)

    def is_whole(self) -> bool:
        """Whether the registry is byte for byte what was fetched or sent."""
        try:
            with open(self.registry, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.content.sha256
        except OSError:
            return False


class Local:
    """The folder `state/` of one data root."""

    def __init__(self, data_dir: str) -> None:
        self.folder = os.path.join(data_dir, FOLDER)

    @property
    def scratch(self) -> str:
        """Folder for files on their way; emptied at the start of each command."""
        return os.path.join(self.folder, _SCRATCH)

    @property
    def incoming(self) -> str:
        """Folder for what is brought beside other commands; the engine clears up behind a killed one."""
        return os.path.join(self.folder, _INCOMING)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time moves state. Raises BusyError when another does."""
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            fd = os.open(os.path.join(self.folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"The data directory cannot be written: {error.strerror}.", "Mend its permissions.") from None
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BusyError("Another command is moving the state of this data directory.", "Wait for it to end.") from None
            shutil.rmtree(self.scratch, ignore_errors=True)
            os.makedirs(self.scratch, mode=0o700, exist_ok=True)
            yield
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)
            os.close(fd)

    def base(self) -> Base | None:
        """What was last pulled or pushed; None when nothing ever was. Raises StateError when it cannot be read."""
        try:
            with open(os.path.join(self.folder, MANIFEST), encoding="utf-8") as file:
                kept = json.load(file)
            manifest = parsed(kept["manifest"].encode())
            back = kept["set_back"] and self.registry(kept["set_back"])
            seen, partial = int(kept["seen"]), bool(kept["partial"])
            content = _content(manifest, partial=partial)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, StateError):
            raise StateError(
                "What this machine remembers of the remote state is damaged.",
                f"Move the folder {FOLDER}/ of the data directory away, then: python main.py state pull",
            ) from None
        return Base(manifest, self.registry(content.sha256), seen, partial, back)

    def registry(self, sha256: str) -> str:
        """Where the registry of this content is kept."""
        return os.path.join(self.folder, f"base-{sha256[:16]}.db")

    def texts(self, sha256: str) -> str:
        """Where the explanations of this content are kept once they were asked for."""
        return os.path.join(self.folder, f"texts-{sha256[:16]}.json")

    def keep(self, manifest: Manifest, registry: str, set_back: str = "", *, partial: bool = False) -> None:
        """Remember `manifest` and the file `registry` it names, or its core if `partial`; `set_back` is the SHA-256 of an earlier
        registry that is kept, too."""
        final = self.registry(_content(manifest, partial=partial).sha256)
        if registry != final:
            _copy(registry, final)
        before = self.base()
        seen = max(manifest.generation, before.seen if before else 0)
        text = json.dumps({"manifest": manifest.to_bytes().decode(), "seen": seen, "partial": partial, "set_back": set_back})
        write(os.path.join(self.folder, MANIFEST), text.encode())
        stays = {final, self.registry(set_back) if set_back else "", self.texts(manifest.texts.sha256) if manifest.texts else ""}
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if (name.startswith(("base-", "texts-")) and path not in stays) or name == _EMPTY:
                os.unlink(path)

    def met_empty(self) -> bool:
        """Whether the last pull found nothing there: what is here rests on nothing that others have pushed."""
        return os.path.exists(os.path.join(self.folder, _EMPTY))

    def note_empty(self) -> None:
        """A pull found nothing there."""
        write(os.path.join(self.folder, _EMPTY), b"")

    def forget(self) -> None:
        """As if this machine had never met the remote state."""
        for name in (MANIFEST, _SENT, _EMPTY, f"job.{_LEASE}", f"sweep.{_LEASE}"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.folder, name))

    def sent(self, key_id: str, state: str, sweeps: int) -> set[str]:
        """Objects a push that did not come to its end has stored, if nothing can have removed them since."""
        try:
            with open(os.path.join(self.folder, _SENT), encoding="utf-8") as file:
                first, *names = file.read().splitlines()
        except (OSError, ValueError):
            return set()
        return set(names) if first == f"{key_id} {state} {sweeps}" else set()

    def begin_sending(self, key_id: str, state: str, sweeps: int) -> None:
        """Start a list that `sent` gives; what an earlier push has noted for the same remote stays."""
        if not self.sent(key_id, state, sweeps):
            write(os.path.join(self.folder, _SENT), f"{key_id} {state} {sweeps}\n".encode())

    def note_sent(self, name: str) -> None:
        """Note an object that is stored; a line lost in a power cut costs sending it again."""
        with open(os.path.join(self.folder, _SENT), "a", encoding="utf-8") as file:
            file.write(name + "\n")

    def all_sent(self) -> None:
        """A push has come to its end."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.folder, _SENT))

    def lease(self, kind: str = "job") -> str:
        """Token of the lease of this kind that this machine has taken; empty when it has none."""
        try:
            with open(os.path.join(self.folder, f"{kind}.{_LEASE}"), encoding="utf-8") as file:
                return file.read()
        except (OSError, ValueError):
            return ""

    def note_lease(self, token: str, kind: str = "job") -> None:
        """Remember a lease's token; an empty one forgets it."""
        write(os.path.join(self.folder, f"{kind}.{_LEASE}"), token.encode())


def _content(manifest: Manifest, *, partial: bool) -> Content:
    if partial and manifest.core is None:
        raise ValueError("a manifest without a core")
    return manifest.core if partial and manifest.core else manifest.registry


def write(path: str, content: bytes) -> None:
    """Replace a small file: the old content or the new one, on disk when this returns."""
    tmp = path + ".tmp"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(tmp)
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _renamed(tmp, path)


def _copy(source: str, final: str) -> None:
    with open(source, "rb") as file:
        write(final, file.read())


def _renamed(tmp: str, final: str) -> None:
    from pipeline.registry import sync_folder

    os.replace(tmp, final)
    sync_folder(os.path.dirname(final))
