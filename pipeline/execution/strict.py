"""Catches what a node touches without declaring it, while its stage function runs: files, folders, programs, the network, the process.

Python tells an audit hook of every such call before it is made. An undeclared one is refused with `UndeclaredAccess` and remembered, so
the node fails even if the stage swallows the error. What native code opens by itself (pyarrow, libpq) is not told; see `docs/engine.md`.
"""

from __future__ import annotations

import glob
import importlib.machinery
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self
from urllib.parse import unquote

from config.errors import UndeclaredAccess
from config.stage import File
from pipeline.node import Node
from pipeline.store import FOLDER, Store

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LISTS = frozenset(("os.listdir", "os.scandir"))
_WRITES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.link": ((1, 3),),
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.removexattr": ((0, None),),
    "os.rename": ((0, 2), (1, 3)),
    "os.rmdir": ((0, 1),),
    "os.setxattr": ((0, None),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}
"""Event → (position of a path, position of the folder it is relative to). `shutil` and `pathlib` end in these."""
_PROGRAMS = frozenset(
    ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "pty.spawn")
)
_NETWORK = frozenset(
    f"socket.{call}" for call in ("connect", "bind", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr")
)
_PROCESS = {
    "os.putenv": "sets an environment variable",
    "os.unsetenv": "removes an environment variable",
    "os.chdir": "changes the working folder",
}
_THREADS = frozenset(("_thread.start_new_thread", "_thread.start_joinable_thread"))
"""Raised from Python 3.12 on; before it, a thread nobody knows the starter of counts as the stage's."""
_WATCHED = frozenset(("open", "sqlite3.connect", *_LISTS, *_WRITES, *_PROGRAMS, *_NETWORK, *_PROCESS, *_THREADS))

_IMPORTERS = frozenset(("importlib", "_frozen_importlib", "_frozen_importlib_external", "pkgutil", "zipimport"))
_SOURCE_READERS = frozenset(("linecache", "tokenize", "inspect", "runpy", "pipeline.execution.loaded"))
_BETWEEN = frozenset((__name__, "os", "contextlib"))
_CODE = tuple(importlib.machinery.all_suffixes())
_LOADED = (*_CODE, ".zip", ".egg", ".pth")
_INSTALLED = ("site-packages", "dist-packages", "__pycache__")
_PERSONAL = frozenset(("inbox", "raw"))
"""Folders whose files keep the names a person gave them: those are not told."""


class Watch:
    """What one attempt may touch. As a context: every thread the stage starts is watched; on leaving, what was caught is raised."""

    def __init__(
        self, node: Node, files: Iterable[File], data_dir: str, code_root: str, roots: Mapping[str, str] | None = None
    ) -> None:
        self.store = _Handing(data_dir, self)
        """A store whose temporary paths this attempt may write."""
        self._data = os.path.realpath(data_dir)
        self._code = os.path.realpath(code_root)
        self._named = {os.path.realpath(folder): name for name, folder in (roots or {}).items()}
        resources = _resources(node, self._code)
        self._readable = {_literal(f.path) for f in files} | resources
        self._listable = {os.path.dirname(r) for r in resources}
        self._own: list[str] = []
        self._free = {os.path.realpath(p) for p in ("/dev", "/tmp", tempfile.gettempdir(), *_caches())}  # noqa: S108
        self._free |= {os.path.join(self._data, name.removesuffix("/**")) for name in node.touches}
        self._free -= {self._data, self._code, *self._named}
        self._zones = sorted({*self._free, self._data, self._code, *self._named}, key=len, reverse=True)
        self._network = bool(node.remote or node.sink or node.secrets)
        self._programs = bool(node.sink)
        self._aside: set[int] = set()
        self._others: set[threading.Thread] = set()
        self._caught: UndeclaredAccess | None = None
        self._before: Watch | None = None

    def __enter__(self) -> Self:
        _HOOK.turn.acquire()
        self._others = set(threading.enumerate()) - {threading.current_thread()}
        self._before, _HOOK.watch = _HOOK.watch, self
        _HOOK.install()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        _HOOK.watch = self._before
        _HOOK.turn.release()
        if (
            self._caught is not None
            and self._caught is not error
            and (error is None or isinstance(error, (Exception, SystemExit)))
        ):
            raise self._caught from error

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The engine's own doing in this thread."""
        self._aside.add(threading.get_ident())
        try:
            yield
        finally:
            self._aside.discard(threading.get_ident())

    def hand(self, path: str) -> None:
        """The attempt may read `path`, too."""
        self._readable.add(_literal(path))

    def own(self, path: str) -> None:
        """The attempt may write `path`, and what a library puts beside it under a name that begins with it."""
        self._own.append(_literal(path))

    def see(self, event: str, args: tuple[Any, ...]) -> None:
        """Raise UndeclaredAccess for a call that is not declared. Threads that were there before, and theirs, are not the stage's."""
        if threading.get_ident() in self._aside:
            return
        if threading.current_thread() in self._others:
            if event in _THREADS and isinstance(thread := getattr(args[0], "__self__", None), threading.Thread):
                self._others.add(thread)
            return
        if event in _PROGRAMS and not self._programs:
            self._refuse("starts another program, whose reads nobody sees", "Use a library instead; only a node with a sink may.")
        elif event in _NETWORK and not self._network:
            self._refuse("uses the network", "Declare a remote, a sink or the secrets it needs.")
        elif event in _PROCESS and self._is_ours(_caller().f_code.co_filename):
            self._refuse(f"{_PROCESS[event]} of the process it shares with others", "Hand it on as an argument.")
        else:
            self._see_file(event, args)

    def _see_file(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            self._see_open(*args)
        elif event == "sqlite3.connect":
            self._see_database(args[0])
        elif event in _LISTS:
            folder = _of_descriptor(args[0]) if isinstance(args[0], int) else _text(args[0] or ".")
            if folder:
                self._judge(folder, "lists")
        for path, base in _WRITES.get(event, ()):
            place = _place(args, path, base)
            if place and not (event == "os.mkdir" and os.path.isdir(place)):
                self._judge(place, "writes")

    def _see_open(self, path: Any, mode: str | None, flags: int) -> None:
        if isinstance(path, int):
            return  # its opening was seen
        place = _text(path)
        writes = bool(flags & _WRITING)
        relative_to_folder = mode is None and not os.path.isabs(place) and not os.path.lexists(place)  # os.open(…, dir_fd=…)
        if not (not writes and (relative_to_folder or os.path.isdir(place))):
            self._judge(place, "writes" if writes else "reads")

    def _see_database(self, database: Any) -> None:
        place, _, options = _text(database).partition("?")
        place = unquote(place.removeprefix("file:")) if place.startswith("file:") else _text(database)
        if place and place != ":memory:":
            reads = _literal(place) in self._readable or "mode=ro" in options or "immutable=1" in options
            self._judge(place, "reads" if reads else "writes")

    def _judge(self, place: str, what: str) -> None:
        """`what` is reads, writes or lists."""
        literal = _literal(place)
        if (what == "reads" and literal in self._readable) or any(literal.startswith(own) for own in self._own):
            return
        for path in {literal: 0, os.path.realpath(literal): 0}:  # what it says, and where a link leads
            zone = next((z for z in self._zones if path == z or path.startswith(os.path.join(z, ""))), "")
            if what == "writes":
                declared = zone in self._free or "__pycache__" in path
                mend = "Write to what `outputs` hands out."
            else:
                known = self._listable if what == "lists" else self._readable
                declared = zone in self._free or not zone or path in known or self._is_code(path, zone)
                mend = f"Declare it in the node's {'resources' if zone == self._code else 'inputs or files'}."
            loads = _asks(_IMPORTERS) and (
                what != "reads" or path.endswith(_LOADED)
            )  # `pkgutil.get_data` reads through them, too
            if not declared and not loads:
                self._refuse(f"{what} {self._name(path, zone, '/' * (what == 'lists'))}", mend)

    def _is_code(self, path: str, zone: str) -> bool:
        """Source that is read as source is followed by the closure; what is installed counts by its version."""
        parts = path[len(self._code) :].split(os.sep)
        own = [p for p in (sys.prefix, sys.base_prefix) if p.startswith(os.path.join(self._code, ""))]
        return zone == self._code and (
            (path.endswith(_CODE) and _asks(_SOURCE_READERS))
            or any(p in _INSTALLED or p.endswith((".dist-info", ".egg-info")) for p in parts)
            or any(path.startswith(os.path.join(p, "")) for p in own)
        )

    def _is_ours(self, path: str) -> bool:
        """A library that sets a variable for itself counts by its version."""
        real = os.path.realpath(path)
        return real.startswith(os.path.join(self._code, "")) and not any(f"{os.sep}{part}{os.sep}" in real for part in _INSTALLED)

    def _name(self, path: str, zone: str, slash: str) -> str:
        """A place as a person may be told of it: logical, and a dropped file only by its folder."""
        if zone == self._code:
            return os.path.relpath(path, zone).replace(os.sep, "/") + slash
        parts = [] if path == zone else os.path.relpath(path, zone).split(os.sep)
        if zone == self._data:
            if parts[:1] == [FOLDER]:
                parts = parts[1:] if slash else parts[1:-1]
            if parts and parts[0] in _PERSONAL:
                return "/".join(parts[:2] if len(parts) > 2 or slash else parts[:1]) + "/"
            return "/".join(parts) + slash if parts else "the data root"
        if zone in self._named:
            return "/".join([self._named[zone], *(parts[:1] if len(parts) > 1 or slash else [])]) + "/"
        return "a place outside the data root and the project"

    def _refuse(self, what: str, mend: str) -> None:
        error = UndeclaredAccess(f"The stage {what}, which its node does not declare.", mend)
        self._caught = self._caught or error
        raise error


class _Handing(Store):
    """A store that tells the watch which temporary paths it has handed out."""

    def __init__(self, data_dir: str, watch: Watch) -> None:
        super().__init__(data_dir)
        self._watch = watch

    def temporary(self, name: str) -> str:
        return self._handed(super().temporary, name)

    def cache(self, name: str) -> str:
        return self._handed(super().cache, name)

    def _handed(self, make: Callable[[str], str], name: str) -> str:
        with self._watch.aside():
            path = make(name)
        self._watch.own(path)
        return path


class _Hook:
    """The process's one audit hook. Python takes none out again, so the first strict node puts it in and it idles between nodes."""

    def __init__(self) -> None:
        self.watch: Watch | None = None
        self.turn = threading.RLock()
        """One node is watched at a time: the hook is the process's, and so are its rules."""
        self._installed = False

    def install(self) -> None:
        if not self._installed:
            sys.addaudithook(self._hear)
            self._installed = True

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        watch = self.watch
        if watch is None or event not in _WATCHED:
            return
        try:
            watch.see(event, args)
        except (OSError, ValueError, TypeError):
            return  # an argument that is no path: the call itself will say so


_HOOK = _Hook()


def _literal(place: str) -> str:
    """Where a name lies, its folders without links; a link itself stays one: a view is not what it shows."""
    joined = os.path.join(os.getcwd(), place)
    folder, name = os.path.split(joined)
    return os.path.realpath(joined) if name in {"", ".", ".."} else os.path.join(os.path.realpath(folder), name)


def _text(path: Any) -> str:
    return os.fsdecode(path)


def _place(args: tuple[Any, ...], number: int, folder: int | None) -> str:
    """The path an event speaks of; empty for a descriptor, whose opening was seen."""
    if isinstance(args[number], int):
        return ""
    place = _text(args[number])
    base = args[folder] if folder is not None and len(args) > folder else -1
    if isinstance(base, int) and base >= 0 and not os.path.isabs(place):
        known = _of_descriptor(base)
        return os.path.join(known, place) if known else ""
    return place


def _of_descriptor(number: int) -> str:
    """The folder an open descriptor stands for; empty where the system does not say."""
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return ""


def _caller() -> FrameType:
    """Who makes the call that is being audited."""
    frame = sys._getframe()  # noqa: SLF001 - the documented way to the caller
    while frame.f_globals.get("__name__") in _BETWEEN and frame.f_back:
        frame = frame.f_back
    return frame


def _asks(modules: frozenset[str]) -> bool:
    name = str(_caller().f_globals.get("__name__"))
    return name in modules or name.partition(".")[0] in modules


def _resources(node: Node, code_root: str) -> set[str]:
    found = (n for pattern in node.resources for n in glob.glob(pattern, root_dir=code_root, recursive=True))
    return {_literal(os.path.join(code_root, name)) for name in found}


def _caches() -> list[str]:
    home = os.path.expanduser("~")
    own = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return [own, os.path.join(home, "Library", "Caches"), "/var/cache"]
