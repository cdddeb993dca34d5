"""Where first-party modules lie and what their names mean, through imports, re-exports and star imports."""

from __future__ import annotations

import builtins
import importlib.machinery
import os
import sys
from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

from pipeline.code.source_index import SourceIndex, Statement
from pipeline.installed import STANDARD_FOLDERS
from pipeline.listing import modules_in

_BUILTINS = frozenset(dir(builtins)) | {
    "__name__",
    "__file__",
    "__path__",
    "__spec__",
    "__package__",
    "__builtins__",
    "__debug__",
}
IMPLICIT = _BUILTINS | {"__doc__", "__annotations__", "__class__", "__dict__", "__loader__", "__cached__"}
_EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)


class Module(NamedTuple):
    """A first-party module."""

    name: str
    path: str | None
    """None for a namespace package."""
    is_package: bool
    binary: bool = False


class Finder:
    """Finds first-party modules below the code roots, in Python's order; remembers where it looked in vain and what it listed."""

    def __init__(self, roots: list[str], installed: Container[str] = ()) -> None:
        self.roots = roots
        self.absent: set[str] = set()
        self.listed: dict[str, list[str]] = {}
        self._installed = installed
        self._found: dict[str, Module | None] = {}
        self._path = _search_path(roots)

    def find(self, name: str) -> Module | None:
        """The first-party module of this name, or None: standard library, third-party or missing."""
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def list(self, folder: str) -> list[str]:
        """Names of the modules and folders in a folder; a new one changes the answer."""
        if folder not in self.listed:
            self.listed[folder] = modules_in(folder)
        return self.listed[folder]

    def _search(self, name: str) -> Module | None:
        parent, _, _ = name.rpartition(".")
        parts = name.split(".")
        if parts[0] in sys.builtin_module_names or not all(p.isidentifier() for p in parts) or (parent and not self.find(parent)):
            return None
        foreign = "standard" if parts[0] in sys.stdlib_module_names else "site" if parts[0] in self._installed else ""
        namespace, theirs = None, False
        for folder, kind in self._path:
            theirs = theirs or kind == foreign  # from here on only an editable install of it is ours
            if kind == "standard" or (theirs and folder not in self.roots):
                continue
            if os.path.isfile(folder):
                if _in_archive(folder, "/".join(parts)):
                    return Module(name, folder, is_package=False, binary=True)
                continue
            base = os.path.join(folder, *parts)
            for suffix in _SUFFIXES:
                if os.path.isfile(base + suffix):
                    package = suffix.startswith(os.sep)
                    return Module(name, base + suffix, package, not suffix.endswith(".py"))
                if not (foreign and suffix in _EXTENSIONS):
                    self.absent.add(base + suffix)
            if kind == "own" and os.path.isdir(base) and not foreign:
                namespace = namespace or Module(name, None, is_package=True)
        return namespace


_SUFFIXES = (f"{os.sep}__init__.py", f"{os.sep}__init__.pyc", *_EXTENSIONS, ".py", ".pyc")
"""What a name may stand for in a folder, in Python's order."""


def _search_path(roots: list[str]) -> list[tuple[str, str]]:
    """Where Python looks, in its order, each with whose it is: own | standard | site. A root that is not on sys.path comes first."""
    entries = list(dict.fromkeys(os.path.abspath(entry) for entry in sys.path))
    return [(folder, _owner(folder, roots)) for folder in (*(r for r in roots if r not in entries), *entries)]


def _owner(folder: str, roots: list[str]) -> str:
    if folder in roots:
        return "own"
    if folder in STANDARD_FOLDERS:
        return "standard"
    try:
        return "site" if any(name.endswith((".dist-info", ".egg-info")) for name in os.listdir(folder)) else "own"
    except OSError:
        return "own"


def _in_archive(path: str, name: str) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return any(entry.startswith((f"{name}.py", f"{name}/")) for entry in names)


class Entered(NamedTuple):
    """A module that is imported on the way."""

    module: str


class Whole(NamedTuple):
    """A module itself is meant."""

    module: str


class Found(NamedTuple):
    """A statement that binds the name; `rest` is looked up on its value."""

    module: str
    number: int
    rest: list[str]


class Foreign(NamedTuple):
    """Not first-party: its qualified name."""

    name: str


class Unknown(NamedTuple):
    """No such name in the module."""

    module: str
    name: str


Meaning = Entered | Whole | Found | Foreign | Unknown


class Names:
    """What a name means."""

    def __init__(self, finder: Finder, index: Callable[[Module], SourceIndex]) -> None:
        self.finder = finder
        self._index = index

    def index(self, name: str) -> SourceIndex:
        """A module's symbols; none for what is not Python source."""
        module = self.finder.find(name)
        return EMPTY if module is None or module.path is None or module.binary else self._index(module)

    def statement(self, found: Found) -> Statement:
        return self.index(found.module).statements[found.number]

    def lookup(self, module: str, parts: list[str], seen: frozenset[tuple[str, str]] = frozenset()) -> Iterator[Meaning]:
        """Everything a chain may mean in a module's namespace: all its bindings count, not the last one only."""
        index = self.index(module)
        root, rest = parts[0], parts[1:]
        if (module, root) in seen:
            return
        seen |= {(module, root)}
        imports = index.imports.get(root, [])
        for number in index.bindings.get(root, []):
            yield Found(module, number, rest)
        for target, name in imports:
            if (target, name) == (module, root):
                yield from self.member(f"{module}.{root}", rest, seen)  # a package that imports its own submodule
            else:
                yield from self.member(target, [*([name] if name else []), *rest], seen)
        stars = [s for s in index.stars if self.defines(s, root)]
        for star in stars:
            yield from self.lookup(star, parts, seen)
        if root in index.bindings or imports or stars:
            return
        foreign = [s for s in index.stars if self.finder.find(s) is None]
        if foreign and root not in IMPLICIT:
            yield Foreign(f"{foreign[0]}.{root}")
        elif root in IMPLICIT:
            yield Foreign(".".join(["builtins", *parts]))
        elif root not in index.typing_only:
            yield Unknown(module, root)

    def member(self, module: str, parts: list[str], seen: frozenset[tuple[str, str]] = frozenset()) -> Iterator[Meaning]:
        """What `module.parts` means."""
        if self.finder.find(module) is None:
            yield Foreign(".".join([module, *parts]))
            return
        yield Entered(module)
        if not parts:
            yield Whole(module)
        elif self.defines(module, parts[0]):
            yield from self.lookup(module, parts, seen)
        elif self.finder.find(f"{module}.{parts[0]}"):
            yield from self.member(f"{module}.{parts[0]}", parts[1:], seen)
        elif parts[0] in {"__dict__", "__getattr__"} or self.defines(module, "__getattr__"):
            yield Whole(module)
        elif parts[0] not in IMPLICIT:
            yield Unknown(module, parts[0])

    def defines(self, module: str, name: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a first-party module binds the name, itself or by a star import."""
        if module in seen:
            return False
        index = self.index(module)
        return name in index.bindings or name in index.imports or any(self.defines(s, name, seen | {module}) for s in index.stars)


EMPTY = SourceIndex([], {}, {}, [], [], [])
