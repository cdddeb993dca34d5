"""Where bytes live: immutable versions in `store/`, plain names as views of them.

A version's name holds its number and its hash and is never reused for other bytes, so nothing is ever half replaced. The plain names
that people open (`processed/merged/…csv`) are links, refreshed after a commit, repaired at start and read by no code of ours.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import unicodedata
import uuid
from collections.abc import Iterable, Iterator

from config.errors import StoreError
from pipeline.registry import Artifact, sync_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pipeline.afar import Afar

FOLDER = "store"
CACHE = "cache"
TMP = ".tmp"
_RESERVED = frozenset((FOLDER, "registry.db", "registry.db-wal", "registry.db-shm", "postgres", "inbox", "cache"))


def refuse_unsafe(name: str) -> None:
    """Raise StoreError for an artifact name that could leave the store, hide or collide: `..`, absolute, control characters, too long."""
    parts = name.split("/")
    safe = (
        all(p not in {"", ".", ".."} and len(p.encode("utf-8", "replace")) <= 200 and p == p.rstrip(". ") for p in parts)
        and len(name.encode("utf-8", "replace")) <= 1000
        and name.isprintable()
        and "\\" not in name
        and unicodedata.normalize("NFC", name) == name
        and parts[0] not in _RESERVED
        and not parts[0].startswith(".")
        and not name.endswith(TMP)
    )
    if not safe:
        raise StoreError("A file has a name that is not safe to keep.", "Rename it: plain letters, digits, dots and dashes.")


class Store:
    """The store below one data root."""

    def __init__(self, data_dir: str, afar: Afar | None = None) -> None:
        self.root = data_dir
        self.afar = afar
        self._rooted: set[str] = set()

    def path(self, relative: str) -> str:
        """Absolute path of a stored version."""
        return os.path.join(self.root, relative)

    def temporary(self, name: str) -> str:
        """A fresh path for writing the next version of `name`, beside where it will live. Its folder exists."""
        refuse_unsafe(name)
        folder = os.path.join(self.root, FOLDER, *name.split("/"))
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return os.path.join(folder, f"{os.path.basename(name)[:80]}.{uuid.uuid4().hex}{TMP}")

    def cache(self, name: str) -> str:
        """The private folder `cache/<name>`, made if it is not there: what a source keeps between attempts and no hash knows of."""
        refuse_unsafe(name)
        folder = os.path.join(self.root, CACHE, name)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return folder

    def version_path(self, name: str, version: int, sha256: str) -> str:
        """Relative path of a version."""
        return f"{FOLDER}/{name}/v{version}-{sha256[:16]}{os.path.splitext(name)[1]}"

    def adopt(self, tmp: str, relative: str) -> str:
        """Give a finished temporary file its immutable name and make the name durable. Gives the absolute path."""
        final = self.path(relative)
        try:
            os.replace(tmp, final)
        except IsADirectoryError:  # what stands there is no version of ours
            shutil.rmtree(final)
            os.replace(tmp, final)
        folder = os.path.dirname(final)
        sync_folder(folder)
        if len(os.listdir(folder)) == 1:  # the folder itself may be new
            self._sync_above(folder)
        return final

    def _sync_above(self, folder: str) -> None:
        """Make a new folder's own name durable, and once for each the names of those it stands in."""
        parent = os.path.dirname(folder)
        sync_folder(parent)
        while len(parent) > len(self.root) and parent not in self._rooted:
            self._rooted.add(parent)
            parent = os.path.dirname(parent)
            sync_folder(parent)

    def target(self, artifact: Artifact) -> str:
        """Where the plain name leads, seen from the folder it stands in."""
        return "../" * artifact.name.count("/") + artifact.path

    def is_linked(self, artifact: Artifact) -> bool:
        """Whether the plain name is a link to this version."""
        try:
            return os.readlink(os.path.join(self.root, artifact.name)) == self.target(artifact)
        except OSError:
            return False

    def is_afar(self, artifact: Artifact) -> bool:
        """Whether a version's bytes are not here, and a remote state holds them."""
        return self.afar is not None and not os.path.lexists(self.path(artifact.path)) and self.afar.holds(artifact.sha256)

    def show(self, artifact: Artifact) -> None:
        """Make the plain name mean this version, if it does not already; one that lies elsewhere has none, nor has an older one then."""
        if self.is_afar(artifact):
            self.hide(artifact.name)
            return
        view = os.path.join(self.root, *artifact.name.split("/"))
        target = self.target(artifact)
        if not _shows(view, target):
            _replace_view(view, target)

    def drop_half_made(self, artifact: Artifact) -> None:
        """Remove the half-made view a power cut may leave of a run that had ended well."""
        half = os.path.join(self.root, *artifact.name.split("/")) + TMP
        if os.path.islink(half):
            os.unlink(half)

    def shows(self, artifact: Artifact) -> bool:
        """Whether the plain name already means this version."""
        view = os.path.join(self.root, *artifact.name.split("/"))
        return _shows(view, self.target(artifact))

    def is_shown(self, name: str) -> bool:
        """Whether anything stands under the plain name."""
        return os.path.lexists(os.path.join(self.root, *name.split("/")))

    def hide(self, name: str) -> None:
        """Take a plain name away, with the folders that leaves empty; only ever a view, never a stored version."""
        view = os.path.join(self.root, *name.split("/"))
        if os.path.islink(view) or os.path.isfile(view):
            os.unlink(view)
        _prune(os.path.dirname(view), self.root)

    def views_below(self, prefix: str) -> Iterator[str]:
        """Names of the links into the store that stand at or below a plain name; other people's links are theirs."""
        base = os.path.join(self.root, *prefix.strip("/").split("/"))
        below = os.walk(base, onerror=_unless_gone)
        found = [base] if os.path.islink(base) else [os.path.join(f, n) for f, _, names in below for n in names]
        for path in found:
            if os.path.islink(path) and FOLDER in os.readlink(path).split(os.sep):
                yield os.path.relpath(path, self.root).replace(os.sep, "/")

    def stored(self) -> Iterator[str]:
        """Relative paths of everything that lies in the store. Raises OSError for a folder that cannot be looked into."""
        for folder, _, files in os.walk(os.path.join(self.root, FOLDER), onerror=_unless_gone):
            for file in files:
                yield os.path.relpath(os.path.join(folder, file), self.root).replace(os.sep, "/")

    def remove(self, relative: str) -> None:
        """Delete one stored file and the folders it leaves empty."""
        path = self.path(relative)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        _prune(os.path.dirname(path), os.path.join(self.root, FOLDER))

    def drop_empty_folders(self) -> None:
        """Remove the folders in the store a kill may have left behind the file they held: their names speak of it."""
        for folder, _, _ in os.walk(os.path.join(self.root, FOLDER), topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def sweep(self, registered: Iterable[str]) -> int:
        """Delete what no registered version owns: temporary and orphaned files. Gives how many."""
        keep = set(registered)
        litter = [path for path in self.stored() if path not in keep]
        for path in litter:
            self.remove(path)
        return len(litter)


def _shows(view: str, target: str) -> bool:
    try:
        return os.readlink(view) == target
    except FileNotFoundError:
        return False
    except OSError:  # no link: a copy where links cannot be had, or something a person put there
        stored = os.path.join(os.path.dirname(view), target)
        return not _links_work(os.path.dirname(view)) and _same(view, stored)


def _replace_view(view: str, target: str) -> None:
    os.makedirs(os.path.dirname(view), mode=0o700, exist_ok=True)
    tmp = view + TMP  # one writer, under the lock: what a power cut leaves under this name is found again
    with contextlib.suppress(FileNotFoundError):
        os.unlink(tmp)
    try:
        os.symlink(target, tmp)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(os.path.join(os.path.dirname(view), target), tmp)
    try:
        os.replace(tmp, view)
    except OSError:
        os.unlink(tmp)
        raise


_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL))
"""What a file system without links answers; a full disk or a lost permission is no reason for a copy."""


def _unless_gone(error: OSError) -> None:
    """What cannot be listed must not count as empty."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _links_work(folder: str) -> bool:
    probe = os.path.join(folder, f".{uuid.uuid4().hex}{TMP}")
    try:
        os.symlink("x", probe)
    except OSError:
        return False
    os.unlink(probe)
    return True


def _same(a: str, b: str) -> bool:
    try:
        one, two = os.stat(a), os.stat(b)
    except OSError:
        return False
    return (one.st_size, one.st_mtime_ns) == (two.st_size, two.st_mtime_ns)


def _prune(folder: str, stop: str) -> None:
    """Remove folders that have become empty, up to but not including `stop`."""
    while len(folder) > len(stop):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError:
            return
        folder = os.path.dirname(folder)
