"""The code a function can run: its static transitive closure over first-party source, found without importing anything.

Followed: names and `module.attr` chains through absolute, relative, aliased, re-exported, star and function-local imports; classes whole,
with bases, decorators and defaults. Entering a module adds what importing it executes: its effects, its imports' and its packages'.
What cannot be followed (a module used as a value, `globals()`, `eval`, computed imports) degrades to the whole module, package or
project, with a warning that names file and line; never silently. The rules and the cases that prove them: `docs/engine.md`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from config.errors import PipelineError
from pipeline.code.effects import Effects
from pipeline.code.names import Entered, Finder, Foreign, Found, Meaning, Module, Names, Unknown, Whole
from pipeline.code.references import Dynamic
from pipeline.code.source_index import SourceIndex, Statement

_ANY_CODE = """
builtins.eval builtins.exec builtins.__import__ importlib.import_module importlib.__import__
importlib.util.module_from_spec importlib.machinery.SourceFileLoader importlib.machinery.SourcelessFileLoader sys.modules sys.path
pkgutil.extend_path pickle.load pickle.loads pickle.Unpickler shelve
pkgutil.resolve_name pydoc.locate runpy gc.get_objects gc.get_referrers
"""
DYNAMIC = {
    **dict.fromkeys(_ANY_CODE.split()),
    "builtins.globals": "globals",
    "builtins.help": "__doc__",
    "inspect.getdoc": "__doc__",
    **dict.fromkeys(("inspect.getsource", "inspect.getsourcelines", "inspect.getcomments", "linecache"), "source"),
}
"""Foreign objects that reach code no reader sees, by any name they go by → what that is; None: anything."""


class Code(NamedTuple):
    """A closure."""

    leaves: list[list[str]]
    """[module:symbol, digest, file:line], sorted."""
    files: list[str]
    """Source files it was read from."""
    absent: list[str]
    """Paths whose appearance would change it."""
    listed: dict[str, list[str]]
    """Folders all of whose modules belong to it, and what was in them."""
    imports: list[str]
    """Top-level third-party names it reaches."""
    warnings: list[str]
    impure: list[tuple[str, str]]
    """(kind, warning) of what its result may depend on besides; see `lint.py`."""


class Closure:
    """Walks from one or more functions; `index` gives a module's symbols, `content` a file's hash."""

    def __init__(self, finder: Finder, index: Callable[[Module], SourceIndex], content: Callable[[str], str], root: str) -> None:
        self._finder = finder
        self._names = Names(finder, index)
        self._effects = Effects(self._names)
        self._content = content
        self._root = root
        self._leaves: dict[str, tuple[str, str]] = {}
        self._files: set[str] = set()
        self._third: set[str] = set()
        self._warnings: set[str] = set()
        self._entered: set[str] = set()
        self._whole: set[str] = set()
        self._packages: set[str] = set()
        self._resolved: set[tuple[str, str]] = set()
        self._included: dict[tuple[str, int], Statement] = {}
        self._reads: set[str] = set()
        self._todo: list[Callable[[], None]] = []

    def walk(self, refs: list[str]) -> Code:
        """The closure of `"module:function"` and `"module:Class.method"` references: a class counts whole.

        A module that does not exist is left to fail when it is loaded.
        """
        for ref in refs:
            module, _, name = ref.partition(":")
            self._follow(self._names.member(module, name.split(".")), ref, 0)
        while self._todo:
            while self._todo:
                self._todo.pop()()
            for name in sorted(self._entered):  # a package that is a value has its submodules as attributes
                if name.rpartition(".")[0] in self._whole and name not in self._whole:
                    self._take_whole(name)
        for (module, _), statement in self._included.items():
            self._leaf(module, ",".join(statement.names) or "top level", statement)
        if "source" in self._reads:
            self._leaves |= {f"{self._relative(p)}:text": (self._content(p), self._relative(p)) for p in self._files}
        leaves = [[name, digest, place] for name, (digest, place) in sorted(self._leaves.items())]
        from pipeline.code.lint import impurities

        files, third, warnings = sorted(self._files), sorted(self._third), sorted(self._warnings)
        impure = impurities(self._names, self._included, self._where)
        return Code(leaves, files, sorted(self._finder.absent), self._finder.listed, third, warnings, impure)

    def _leaf(self, module: str, label: str, statement: Statement) -> None:
        key = f"{module}:{label}"
        while key in self._leaves:
            key += "'"
        digest = statement.doc_digest if "__doc__" in self._reads else statement.digest
        self._leaves[key] = (digest, f"{self._where(module)}:{statement.line}")

    # -- modules ------------------------------------------------------------------------------------------------------

    def _enter(self, name: str) -> bool:
        """Importing `name`: its packages' and its own effects, and those of what they import. False if it is not first-party."""
        module = self._finder.find(name)
        if module is None:
            self._reach(name)
        elif name not in self._entered:
            self._entered.add(name)
            if "." in name:
                self._enter(name.rpartition(".")[0])
            if module.path:
                self._files.add(module.path)
                if module.binary:
                    self._leaves[f"{name}:binary"] = (self._content(module.path), self._where(name))
                else:
                    self._todo.append(partial(self._execute, name))
        return module is not None

    def _execute(self, name: str) -> None:
        index = self._names.index(name)
        for imported, members in index.modules:
            self._import(imported, members)
        for star in index.stars:
            for number in self._names.index(star).bindings.get("__all__", []):
                self._include(star, number)
        for number in range(len(index.statements)):
            if self._effects.acts(name, number):
                self._include(name, number)

    def _import(self, module: str, members: Iterable[str]) -> None:
        if self._enter(module):
            for member in members:
                if self._finder.find(f"{module}.{member}"):
                    self._enter(f"{module}.{member}")

    def _take_whole(self, name: str) -> None:
        """A module used as a value: anything in it may be reached, and the modules it imports through it."""
        if not self._enter(name) or name in self._whole:
            return
        self._whole.add(name)
        index = self._names.index(name)
        for number in range(len(index.statements)):
            self._include(name, number)
        for alias in index.imports:
            self._todo.append(partial(self._resolve, name, alias, 0))
        for star in index.stars:
            self._todo.append(partial(self._take_whole, star))

    def _take_package(self, name: str) -> None:
        """A computed import: any module of the package may be reached; of the whole project if `name` is empty."""
        if name in self._packages or (name and not self._finder.find(name)):
            return
        self._packages.add(name)
        if name:
            self._take_parsed(name)
        for root in self._finder.roots:
            folder = os.path.join(root, *name.split(".")) if name else root
            for entry in self._finder.list(folder) if os.path.isdir(folder) else []:
                stem = entry.partition(".")[0]
                if stem.isidentifier() and stem != "__init__":
                    self._todo.append(partial(self._take_package, f"{name}.{stem}".lstrip(".")))

    def _take_named(self, module: str, parts: list[str], line: int) -> None:
        """A string that names first-party code (a logging configuration, `mock.patch`, an entry point) is as good as a reference."""
        lengths = [n for n in range(1, len(parts) + 1) if self._finder.find(".".join(parts[:n]))]
        owner, rest = ".".join(parts[: len(lengths)]), parts[len(lengths) :]
        if lengths and (not rest or self._names.defines(owner, rest[0])):
            self._resolve_member(module, owner, rest, line)

    def _take_parsed(self, name: str) -> None:
        try:
            self._take_whole(name)
        except PipelineError:  # never meant to be imported, perhaps: its bytes count
            module = self._finder.find(name)
            if module and module.path:
                self._leaves[f"{name}:text"] = (self._content(module.path), self._where(name))

    # -- names --------------------------------------------------------------------------------------------------------

    def _include(self, module: str, number: int) -> None:
        if (module, number) in self._included:
            return
        self._enter(module)
        statement = self._names.index(module).statements[number]
        self._included[module, number] = statement
        for ref in statement.refs:
            self._todo.append(partial(self._resolve, module, ref.name, ref.line, ref.optional, ref.handled))
        for local in statement.locals:
            if local.rest is None:
                self._todo.append(partial(self._import, local.module, [local.name] if local.name else []))
            else:
                chain = [*([local.name] if local.name else []), *local.rest]
                self._todo.append(partial(self._resolve_member, module, local.module, chain, local.line))
        for dynamic in statement.dynamic:
            self._degrade(module, dynamic)

    def _resolve(self, module: str, dotted: str, line: int, optional: bool = False, handled: bool = False) -> None:
        if (module, dotted) not in self._resolved:
            self._resolved.add((module, dotted))
            self._follow(self._names.lookup(module, dotted.split(".")), module, line, optional, handled)

    def _resolve_member(self, module: str, owner: str, chain: list[str], line: int) -> None:
        self._follow(self._names.member(owner, chain), module, line)

    def _follow(self, meanings: Iterable[Meaning], module: str, line: int, optional: bool = False, handled: bool = False) -> None:
        for meaning in meanings:
            if isinstance(meaning, Entered):
                self._enter(meaning.module)
            elif isinstance(meaning, Whole):
                self._todo.append(partial(self._take_whole, meaning.module))
            elif isinstance(meaning, Found):
                self._include(meaning.module, meaning.number)
            elif isinstance(meaning, Foreign):
                self._reach(meaning.name)
                if not handled:
                    self._check_foreign(module, meaning.name, line)
            elif isinstance(meaning, Unknown) and not optional:
                self._warn(module, line, f"{meaning.name} is not found", meaning.module)
                self._todo.append(partial(self._take_whole, meaning.module))

    def _check_foreign(self, module: str, name: str, line: int) -> None:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            known = ".".join(parts[:length])
            if known in DYNAMIC:
                self._degrade(module, Dynamic(DYNAMIC[known] or known, line))

    def _degrade(self, module: str, dynamic: Dynamic) -> None:
        if dynamic.kind in {"__doc__", "source"}:
            self._reads.add(dynamic.kind)
        elif dynamic.kind == "globals":
            self._todo.append(partial(self._take_whole, module))
        elif dynamic.kind == "named":
            self._todo.append(partial(self._take_named, module, (dynamic.start or "").replace(":", ".").split("."), dynamic.line))
        else:
            start = dynamic.start or ""
            self._warn(module, dynamic.line, f"{dynamic.kind} cannot be followed", start)
            self._todo.append(partial(self._take_package, start))

    def _warn(self, module: str, line: int, what: str, whole: str) -> None:
        scope = f"all of {whole!r}" if whole else "all first-party code"
        self._warnings.add(f"{self._where(module)}:{line}: {what}; {scope} counts as its code")

    def _reach(self, name: str) -> None:
        top = name.partition(".")[0]
        if top and top not in sys.stdlib_module_names:
            self._third.add(top)

    def _where(self, name: str) -> str:
        module = self._finder.find(name)
        return self._relative(module.path) if module and module.path else name

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self._root).replace(os.sep, "/")
