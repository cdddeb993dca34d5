"""One command's dealings with the remote state: the head, and contents sent and fetched, verified and counted."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from config.errors import SettingsError, StateError, StateMissing
from scripts.state.local import Local
from scripts.state.manifest import NAME, Content, Manifest, parsed
from scripts.state.seal import Sealer

if TYPE_CHECKING:
    from config.snapshot import NodeSettings
    from scripts.project import Project
    from scripts.state.remote import Remote

_TRIES = 3
"""How often a content that arrives damaged is fetched."""


class Session:
    """The remote, the key and this machine's memory, for one command. `up` and `down` count the bytes that were moved."""

    def __init__(self, remote: Remote, sealer: Sealer, local: Local, keep_generations: int = 5, lease_minutes: float = 0) -> None:
        self.remote = remote
        self.sealer = sealer
        self.local = local
        self.scratch = local.scratch
        self.keep_generations = keep_generations
        self.lease_minutes = lease_minutes
        self.writer = socket.gethostname()
        self.up = self.down = 0
        self._counting = threading.Lock()

    def head(self) -> tuple[Manifest, str] | None:
        """The manifest and its tag; None when the remote holds no state yet. Raises SettingsError for another key."""
        found = self.remote.read_head()
        if found is None:
            return None
        self._count(down=len(found.manifest))
        return parsed(self.sealer.unpacked(found.manifest, NAME)), found.tag

    def commit(self, manifest: Manifest, tag: str | None) -> None:
        """Make `manifest` the head; whether a lost answer was a yes is found out. Raises HeadMoved when the head is not that of `tag`."""
        packed = self.sealer.packed(manifest.to_bytes(), NAME)
        self._count(up=len(packed))
        try:
            self.remote.commit_head(packed, tag)
        except StateError:  # HeadMoved, too: a store's client repeats a request whose answer was lost, and then meets its own
            now = self.head()
            if now is None or now[0].run_id != manifest.run_id:
                raise

    def send(self, content: Content, path: str, *, tight: bool = False) -> None:
        """Store the file `path` under its content's name; `tight` takes longer and makes it smaller. Raises StateError when the file
        does not hold that content any more."""
        name = self.sealer.name(content.sha256)
        packed = self.temporary()
        try:
            with open(path, "rb") as source, private(packed) as target:
                found = self.sealer.pack(source, target, name, tight=tight)
            if found != content.sha256:
                raise StateError("A stored file is not what was committed; it is not sent.", "Look with: python main.py verify")
            self._count(up=os.path.getsize(packed))
            self.remote.put(name, packed)
        finally:
            _remove(packed)

    def fetch(self, content: Content, path: str) -> None:
        """Write a content to the new file `path`, verified and durable. Raises StateMissing when the remote has it no more."""
        for tries in range(1, _TRIES + 1):
            try:
                self._fetch(content, path)
                break
            except StateMissing:
                raise
            except StateError:
                if tries == _TRIES:
                    raise

    def _fetch(self, content: Content, path: str) -> None:
        name = self.sealer.name(content.sha256)
        packed, tmp = self.temporary(), f"{path}.{uuid.uuid4().hex}.tmp"
        try:
            self.remote.get(name, packed)
            self._count(down=os.path.getsize(packed))
            with open(packed, "rb") as source, private(tmp) as target:
                found = self.sealer.unpack(source, target, name, content.size)
                target.flush()
                os.fsync(target.fileno())
            if found != content.sha256:
                raise StateError("An object of the remote state is not what it says.", "Look with: python main.py state verify")
            os.replace(tmp, path)
        finally:
            _remove(packed)
            _remove(tmp)

    def _count(self, up: int = 0, down: int = 0) -> None:
        with self._counting:  # files are brought by several threads
            self.up += up
            self.down += down

    def fetched(self, content: Content) -> str:
        """A content in a file of its own in the scratch folder."""
        path = self.temporary()
        self.fetch(content, path)
        return path

    def temporary(self) -> str:
        """A fresh path in the scratch folder."""
        os.makedirs(self.scratch, mode=0o700, exist_ok=True)
        return os.path.join(self.scratch, uuid.uuid4().hex)


def open_session(project: Project) -> Session:
    """The session a project's settings ask for; see `session_of`."""
    return session_of(project.settings, Local(project.data_dir))


def session_of(settings: NodeSettings, local: Local) -> Session:
    """The remote and the key of these settings. Raises SettingsError without a remote, and without a key unless `state_plain` is set."""
    from scripts.state.open import open_remote

    whole = settings.whole()
    remote = open_remote(whole)
    if remote is None:
        raise SettingsError(
            "There is no remote state: STATE_URL is not set.",
            "Example: STATE_URL=s3://bucket/prefix; see docs/state.md for each kind of place.",
        )
    key = str(settings["state_key"])
    if not key.strip() and not whole.state_plain:
        raise SettingsError(
            "STATE_KEY is not set, and health data should not lie anywhere unsealed.",
            "Make a key with: openssl rand -base64 32 (and keep it safe), or set state_plain: true for a place that is safe in itself.",
        )
    return Session(remote, Sealer(key), local, whole.state_keep_generations, whole.state_lease_minutes)


@contextlib.contextmanager
def private(path: str) -> Iterator[BinaryIO]:
    """A new file that nobody else may read, open for writing."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        yield file


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
