"""The code a function can run: its static transitive closure over first-party source, found without importing anything.

Followed: names and `module.attr` chains through absolute, relative, aliased, re-exported, star and function-local imports; classes whole,
with bases, decorators and defaults. Entering a module adds what importing it executes: its effects, its imports' and its packages'.
What cannot be followed (a module used as a value, `globals()`, `eval`, computed imports) degrades to the whole module or package,
with a warning that names file and line; never silently. The rules and the cases that prove them: `docs/engine.md`.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pipeline.source_index import SourceIndex, Statement

_DUNDERS = frozenset(("__name__", "__file__", "__doc__", "__path__", "__spec__", "__package__", "__builtins__", "__debug__"))
_BUILTINS = frozenset(dir(builtins)) | _DUNDERS
_EXTENSIONS = (".so", ".pyd")


class Code(NamedTuple):
    """A closure."""

    leaves: list[list[str]]
    """[module:symbol, digest, file:line], sorted."""
    files: list[str]
    """Source files it was read from."""
    absent: list[str]
    """Paths whose appearance would change it."""
    imports: list[str]
    """Top-level third-party names it reaches."""
    warnings: list[str]


class Module(NamedTuple):
    """A first-party module."""

    name: str
    path: str | None
    """None for a namespace package."""
    is_package: bool
    binary: bool = False


class Finder:
    """Finds first-party modules below the code roots; remembers where it looked in vain."""

    def __init__(self, roots: list[str]) -> None:
        self.roots = roots
        self.absent: set[str] = set()
        self._found: dict[str, Module | None] = {}

    def find(self, name: str) -> Module | None:
        """The first-party module of this name, or None: standard library, third-party or missing."""
        if name not in self._found:
            self._found[name] = self._search(name)
        return self._found[name]

    def _search(self, name: str) -> Module | None:
        parts = name.split(".")
        if parts[0] in sys.stdlib_module_names or not all(p.isidentifier() for p in parts):
            return None
        namespace = None
        for root in self.roots:
            base = os.path.join(root, *parts)
            for path, is_package in ((os.path.join(base, "__init__.py"), True), (base + ".py", False)):
                if os.path.isfile(path):
                    return Module(name, path, is_package)
            binary = self._binary(base)
            if binary:
                return Module(name, binary, is_package=False, binary=True)
            if os.path.isdir(base) and namespace is None:
                namespace = Module(name, None, is_package=True)
            self.absent |= {base + ".py", os.path.join(base, "__init__.py")}
        return namespace

    def _binary(self, base: str) -> str | None:
        folder, stem = os.path.split(base)
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return None
        return next((os.path.join(folder, n) for n in names if n.startswith(stem + ".") and n.endswith(_EXTENSIONS)), None)


class Closure:
    """Walks from one or more functions; `index` gives a module's symbols, `content` a binary's hash."""

    def __init__(self, finder: Finder, index: Callable[[Module], SourceIndex], content: Callable[[str], str], root: str) -> None:
        self._finder = finder
        self._index = index
        self._content = content
        self._root = root
        self._leaves: dict[str, tuple[str, str]] = {}
        self._files: set[str] = set()
        self._third: set[str] = set()
        self._warnings: set[str] = set()
        self._entered: set[str] = set()
        self._whole: set[str] = set()
        self._resolved: set[tuple[str, str]] = set()
        self._included: dict[tuple[str, int], Statement] = {}
        self._todo: list[Callable[[], None]] = []

    def walk(self, refs: list[str]) -> Code:
        """The closure of `"module:function"` references. A module that does not exist is left to fail when it is loaded."""
        for ref in refs:
            module, _, name = ref.partition(":")
            self._follow(module, name, [])
        while self._todo:
            self._todo.pop()()
        docs = any(kind == "doc" for s in self._included.values() for kind, _ in s.dynamic)
        for (module, _), statement in self._included.items():
            label = ",".join(statement.names) or "top level"
            place = f"{self._where(module)}:{statement.line}"
            key = f"{module}:{label}"
            while key in self._leaves:
                key += "'"
            self._leaves[key] = (statement.doc_digest if docs else statement.digest, place)
        leaves = [[name, digest, place] for name, (digest, place) in sorted(self._leaves.items())]
        return Code(leaves, sorted(self._files), sorted(self._finder.absent), sorted(self._third), sorted(self._warnings))

    # -- modules ------------------------------------------------------------------------------------------------------

    def _enter(self, name: str) -> Module | None:
        """Importing `name`: its packages' and its own effects, and those of what they import."""
        module = self._finder.find(name)
        if module is None:
            self._reach(name)
            return None
        if name not in self._entered:
            self._entered.add(name)
            if "." in name:
                self._enter(name.rpartition(".")[0])
            if module.binary and module.path:
                self._files.add(module.path)
                self._leaves[f"{name}:binary"] = (self._content(module.path), self._where(name))
            elif module.path:
                self._files.add(module.path)
                self._todo.append(partial(self._execute, module))
        return module

    def _execute(self, module: Module) -> None:
        index = self._index(module)
        for imported, names in index.modules:
            if self._enter(imported) is not None:
                for name in names:
                    if self._finder.find(f"{imported}.{name}"):
                        self._enter(f"{imported}.{name}")
        for number, statement in enumerate(index.statements):
            if self._has_effect(module.name, index, statement):
                self._include(module.name, number)

    def _has_effect(self, module: str, index: SourceIndex, statement: Statement) -> bool:
        if statement.effect == "calls":
            return any(self._may_act(module, index, call) for call in statement.calls)
        if statement.effect == "class":
            return statement.subclass_hook or any(self._hooks(module, ref, 0) for ref in statement.refs)
        return statement.effect == "always"

    def _may_act(self, module: str, index: SourceIndex, call: str) -> bool:
        """Whether a call in a module-level assignment can do more than compute: first-party functions, methods of module globals."""
        target = self._lookup(module, call)
        if target is None:
            return call == "?" or ("." in call and call.partition(".")[0] in index.bindings)
        return any(self._index_of(target[0]).statements[n].kind != "class" for n in target[1])

    def _hooks(self, module: str, ref: str, depth: int) -> bool:
        """Whether a class reference leads to a first-party class with `__init_subclass__` or a metaclass."""
        target = self._lookup(module, ref)
        if target is None or depth > 20:
            return False
        statements = [self._index_of(target[0]).statements[n] for n in target[1]]
        return any(
            s.subclass_hook or (s.effect == "class" and any(self._hooks(target[0], r, depth + 1) for r in s.refs))
            for s in statements
        )

    def _lookup(self, module: str, dotted: str, depth: int = 0) -> tuple[str, list[int]] | None:
        """(module, statements) of the first-party definition a chain's first names mean, through re-exports."""
        index = self._index_of(module)
        root, _, rest = dotted.partition(".")
        if root in index.bindings:
            return (module, index.bindings[root]) if not rest else None
        for target, name in index.imports.get(root, []) if depth < 20 else []:
            inner = f"{name}.{rest}".strip(".") if name else rest
            owner = target
            while inner and self._finder.find(owner) and not self._defines(owner, inner.partition(".")[0]):
                head, _, inner = inner.partition(".")
                owner = f"{owner}.{head}"
            if inner and (found := self._finder.find(owner)) and found.path and not found.binary:
                return self._lookup(owner, inner, depth + 1)
        return None

    def _take_whole(self, name: str) -> None:
        """A module used as a value: anything in it may be reached."""
        module = self._enter(name)
        if module is None or name in self._whole:
            return
        self._whole.add(name)
        if module.path and not module.binary:
            index = self._index_of(name)
            for number in range(len(index.statements)):
                self._include(name, number)
            for alias in index.imports:
                self._todo.append(partial(self._resolve, name, f"{alias}.__name__", None))

    def _take_package(self, name: str) -> None:
        """A computed import: any module of the package may be reached."""
        module = self._finder.find(name)
        if module is None:
            return
        self._take_whole(name)
        for root in self._finder.roots:
            folder = os.path.join(root, *name.split("."))
            for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
                stem = entry.removesuffix(".py")
                if stem.isidentifier() and stem not in {"__init__", "__pycache__"} and self._finder.find(f"{name}.{stem}"):
                    self._take_package(f"{name}.{stem}")

    # -- names --------------------------------------------------------------------------------------------------------

    def _include(self, module: str, number: int) -> None:
        if (module, number) in self._included:
            return
        statement = self._index_of(module).statements[number]
        self._included[module, number] = statement
        for ref in statement.refs:
            self._todo.append(partial(self._resolve, module, ref, statement))
        for alias, targets in statement.imports.items():
            for target, name in targets:
                if alias.startswith("whole "):
                    self._todo.append(partial(self._take_whole, target))
                else:
                    self._todo.append(partial(self._import_locally, target, name))
        for kind, line in statement.dynamic:
            self._degrade(module, kind, line)

    def _import_locally(self, target: str, name: str | None) -> None:
        if self._enter(target) and name and self._finder.find(f"{target}.{name}"):
            self._enter(f"{target}.{name}")

    def _degrade(self, module: str, kind: str, line: int) -> None:
        if kind == "doc":
            return
        if kind == "globals":
            self._take_whole(module)
            return
        package = kind.partition("import ")[2] or module.partition(".")[0]
        self._warnings.add(f"{self._where(module)}:{line}: {kind} cannot be followed; all of {package!r} counts as its code")
        self._todo.append(partial(self._take_package, package))
        if kind == "dynamic import":
            for imported, _ in self._index_of(module).modules:
                self._todo.append(partial(self._take_package, imported.partition(".")[0]))

    def _resolve(self, module: str, dotted: str, statement: Statement | None) -> None:
        root, _, rest = dotted.partition(".")
        parts = rest.split(".") if rest else []
        if statement is not None and root in statement.imports:
            for target, name in statement.imports[root]:
                self._follow(target, name, parts)
            return
        if (module, dotted) in self._resolved:
            return
        self._resolved.add((module, dotted))
        index = self._index_of(module)
        for number in index.bindings.get(root, []):
            self._include(module, number)
        for target, name in index.imports.get(root, []):
            self._follow(target, name, parts)
        if root in index.bindings or root in index.imports:
            return
        for star in index.stars:
            if self._finder.find(star) and self._defines(star, root):
                self._resolve_in(star, [root, *parts])
                return
        if root not in _BUILTINS and root not in index.typing_only and not any(self._finder.find(s) is None for s in index.stars):
            self._take_whole(module)

    def _follow(self, module: str, name: str | None, rest: list[str]) -> None:
        """`import module` (name None) or `from module import name`, then `.rest`."""
        if name is None:
            self._chain(module, rest)
        elif self._enter(module) is not None:
            self._chain(module, [name, *rest])

    def _chain(self, name: str, rest: list[str]) -> None:
        """`name.rest` where `name` is a module."""
        if self._enter(name) is None:
            return
        if not rest:
            self._take_whole(name)
        elif self._defines(name, rest[0]):
            self._resolve_in(name, rest)
        elif self._finder.find(f"{name}.{rest[0]}"):
            self._chain(f"{name}.{rest[0]}", rest[1:])
        elif rest[0] not in _DUNDERS:
            self._take_whole(name)

    def _resolve_in(self, module: str, parts: list[str]) -> None:
        self._enter(module)
        self._todo.append(partial(self._resolve, module, ".".join(parts), None))

    def _defines(self, module: str, name: str, seen: frozenset[str] = frozenset()) -> bool:
        found = self._finder.find(module)
        if found is None or found.path is None or found.binary or module in seen:
            return False
        index = self._index_of(module)
        if name in index.bindings or name in index.imports:
            return True
        return any(self._defines(star, name, seen | {module}) for star in index.stars)

    def _index_of(self, name: str) -> SourceIndex:
        module = self._finder.find(name)
        if module is None or module.path is None or module.binary:
            return _EMPTY
        self._files.add(module.path)
        return self._index(module)

    def _reach(self, name: str) -> None:
        top = name.partition(".")[0]
        if top and top not in sys.stdlib_module_names:
            self._third.add(top)

    def _where(self, name: str) -> str:
        module = self._finder.find(name)
        return os.path.relpath(module.path, self._root).replace(os.sep, "/") if module and module.path else name


_EMPTY = SourceIndex([], {}, {}, [], [], [])
