"""What a stage function holds in its hands: declared inputs, outputs hashed while they are written, declared settings.

The shapes are those of `config.stage`; a stage never sees anything else of the engine.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from config.errors import StageError, StoreError, UndeclaredSetting
from config.stage import File
from pipeline.node import is_collection, member_name
from pipeline.store import Store

if TYPE_CHECKING:
    from pipeline.execution.pages import Desk, StreamPages


class Written(NamedTuple):
    """A finished output that is not committed yet."""

    role: str
    name: str
    tmp: str | None
    """Durable temporary file, or None for a member carried over from the previous attempt."""
    sha256: str
    size: int


class StageInputs:
    """`config.stage.Inputs`."""

    def __init__(self, files: Mapping[str, list[File]], collections: set[str]) -> None:
        self._files = files
        self._collections = collections

    def one(self, role: str) -> File:
        if role in self._collections or role not in self._files:
            raise StageError(f"Input {role!r} is not a single declared artifact.", "Use many(), or declare it.")
        if len(self._files[role]) != 1:
            raise StageError(f"There is no file for the input {role!r}.", "Put it there, or let the stage use many().")
        return self._files[role][0]

    def many(self, role: str) -> list[File]:
        if role not in self._files:
            raise StageError(f"Input {role!r} is not declared.", "Name it in the node's inputs or files.")
        return self._files[role]

    def roles(self) -> list[str]:
        return list(self._files)


class Declared(Mapping[str, Any]):
    """Exactly the settings a node declares; reading another one is an error, not a hidden dependency."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            raise UndeclaredSetting(
                f"The stage reads the setting {key!r}, which its node does not declare.", "Add it to the node."
            )
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class StageOutputs:
    """`config.stage.Outputs`: temporary files in the store; `finish()` makes them durable and says what they are."""

    def __init__(
        self,
        specs: Mapping[str, str],
        store: Store,
        previous: Mapping[str, dict[str, File]],
        run_id: str,
        attempt_id: str,
        before: Mapping[str, File] | None = None,
        desk: Desk | None = None,
        cache: str = "",
    ) -> None:
        self.run_id = run_id
        self.attempt_id = attempt_id
        self._specs = specs
        self._store = store
        self._previous = previous
        self._before = before or {}
        self._desk = desk
        self._cache = cache
        self._streams: dict[tuple[str, str], _HashingFile] = {}
        self._paths: dict[tuple[str, str], str] = {}
        self._kept: dict[tuple[str, str], File] = {}

    def open(self, role: str, member: str = "") -> BinaryIO:
        key, name = self._claim(role, member)
        stream = self._streams[key] = _HashingFile(self._store.temporary(name))
        return cast("BinaryIO", io.BufferedWriter(stream, 1 << 20))

    def path(self, role: str, member: str = "") -> str:
        key, name = self._claim(role, member)
        self._paths[key] = self._store.temporary(name)
        return self._paths[key]

    def previous(self, role: str) -> dict[str, File]:
        return dict(self._previous.get(role, {}))

    def before(self, role: str) -> File | None:
        if is_collection(self._specs.get(role, "/**")):
            raise StageError(f"Output {role!r} is not a single declared artifact.", "Use previous(), or declare it.")
        file = self._before.get(role)
        return file if file is not None and _is_whole(file) else None

    def keep(self, role: str, member: str) -> None:
        key, _ = self._claim(role, member)
        self._kept[key] = self._previous[role][member]

    def pages(self, role: str, stream: str) -> StreamPages:
        if self._desk is None:
            raise StageError(
                f"The stage reads pages into {role!r}, which its node does not declare.", "Name the role in Node.pages."
            )
        return self._desk.stream(role, stream)

    def cache(self) -> str:
        return self._store.cache(self._cache)

    def finish(self) -> list[Written]:
        """Close, fsync and hash everything. Raises StageError for a declared output that was not written, OSError from the disk."""
        if self._desk is not None:
            self._desk.check()
        written = [self._finish_stream(key, s) for key, s in self._streams.items()]
        written += [self._finish_path(key, p) for key, p in self._paths.items()]
        written += [Written(key[0], self._name(*key), None, f.sha256, f.size) for key, f in self._kept.items()]
        missing = [r for r, name in self._specs.items() if not is_collection(name) and not any(w.role == r for w in written)]
        if missing:
            raise StageError(f"The stage ended without writing {self._specs[missing[0]]!r}.", "Write every declared output.")
        refuse_twins(w.name for w in written)
        return sorted(written)

    def discard(self) -> None:
        """Remove everything written so far."""
        for stream in self._streams.values():
            with contextlib.suppress(OSError):
                stream.close()
        for tmp in [s.path for s in self._streams.values()] + list(self._paths.values()):
            with contextlib.suppress(OSError):
                os.unlink(tmp)

    def _claim(self, role: str, member: str) -> tuple[tuple[str, str], str]:
        key = (role, member)
        if role not in self._specs:
            raise StageError(f"The stage writes an output {role!r} that its node does not declare.", "Add it to the node.")
        if bool(member) != is_collection(self._specs[role]):
            raise StageError(
                f"Output {role!r} is {'one file' if member else 'a collection: name the member'}.", "Mend the stage."
            )
        if key in self._streams or key in self._paths or key in self._kept:
            raise StageError(f"The stage writes output {role!r} twice.", "Write each output once.")
        return key, self._name(role, member)

    def _name(self, role: str, member: str) -> str:
        return member_name(self._specs[role], member) if member else self._specs[role]

    def _finish_stream(self, key: tuple[str, str], stream: _HashingFile) -> Written:
        if not stream.closed:
            raise StageError(f"The stage left output {key[0]!r} open.", "Use `with outputs.open(…)`.")
        if stream.broken is not None:  # also when the stage swallowed the error
            raise stream.broken
        return Written(key[0], self._name(*key), stream.path, stream.sha.hexdigest(), stream.size)

    def _finish_path(self, key: tuple[str, str], path: str) -> Written:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise StageError(f"The stage asked for a path of output {key[0]!r} and wrote nothing there.", "Write it.") from None
        with open(fd, "rb", buffering=0) as file:
            os.fchmod(fd, 0o600)
            sha = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(fd)
            return Written(key[0], self._name(*key), path, sha, os.fstat(fd).st_size)


class _HashingFile(io.FileIO):
    """A new file, hashed while written; durable once closed. Remembers an error even if its writer does not."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.sha = hashlib.sha256()
        self.size = 0
        self.broken: OSError | None = None
        super().__init__(path, "xb", opener=_exclusive)

    def write(self, data: Any) -> int:
        try:
            count = super().write(data)
        except OSError as error:
            self.broken = error
            raise
        self.sha.update(memoryview(data).cast("B")[:count])
        self.size += count
        return count

    def seekable(self) -> bool:
        return False  # a byte written twice would not be the byte that was hashed

    def close(self) -> None:
        if not self.closed:
            try:
                os.fsync(self.fileno())
                if os.fstat(self.fileno()).st_size != self.size:
                    self.broken = OSError(errno.EIO, "the file is not what was written to it")
            except OSError as error:
                self.broken = error  # never synced again: the kernel may have dropped the pages
            super().close()


def _is_whole(file: File) -> bool:
    """Whether its bytes are here, and those that were committed: read anew, for what is taken from them is not looked at again."""
    try:
        with open(file.path, "rb", buffering=0) as data:
            return hashlib.file_digest(data, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _exclusive(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def refuse_twins(names: Iterable[str]) -> None:
    """Raise StoreError for names that one file system keeps apart and another does not, and for one that stands twice."""
    folded: set[str] = set()
    for name in names:
        if name.casefold() in folded:
            raise StoreError("Two files of one source have names that differ only in case.", "Rename one of them.")
        folded.add(name.casefold())
