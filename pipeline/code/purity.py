"""What must hold for a top-level statement to do nothing but bind names when its module is imported.

The list is of what is pure: literals, names, definitions, operators and calls whose operands the caller (`effects.py`) can prove
harmless. Whatever else a statement contains is an effect.
"""

from __future__ import annotations

import ast
from enum import IntFlag, StrEnum
from typing import NamedTuple

from pipeline.code.references import COMPREHENSIONS, chain, scope_names


class Kind(StrEnum):
    """How a statement uses a name."""

    EFFECT = "effect"
    """It has an effect, whatever the names mean."""
    CALL = "call"
    DECORATOR = "decorator"
    BASE = "base"
    METACLASS = "metaclass"
    VALUE = "value"
    """Operators, attributes or iteration are applied to it."""
    FOREIGN = "foreign"
    """Only foreign code may be meant."""


class Use(NamedTuple):
    """One condition."""

    kind: Kind
    name: str


class Trait(IntFlag):
    """What a definition is."""

    NONE = 0
    FUNCTION = 1
    CLASS = 2
    HOOKS = 4
    """Making a subclass runs its code."""
    ACTS = 8
    """Making an instance runs its code."""
    OVERLOADS = 16
    """Using an instance's operators or attributes runs its code."""


_ACTING = {"__init__", "__new__", "__post_init__", "__set_name__", "_generate_next_value_", "_missing_", "__setattr__"}
_INERT = {"__slots__", "__match_args__", "__doc__", "__module__", "__test__", "__hash__", "__repr__"}


def traits(node: ast.stmt) -> Trait:
    """What a statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return Trait.FUNCTION
    if not isinstance(node, ast.ClassDef):
        return Trait.NONE
    found = Trait.CLASS
    names = set(scope_names(node.body, ""))
    dunders = {n for n in names if n.startswith("__") and n.endswith("__")}
    decorated = {chain(d) for n in node.body if isinstance(n, ast.FunctionDef) for d in n.decorator_list}
    if "__init_subclass__" in names:
        found |= Trait.HOOKS
    if names & _ACTING or any(isinstance(n, ast.keyword) and n.arg == "default_factory" for n in ast.walk(node)):
        found |= Trait.ACTS
    if dunders - _ACTING - _INERT or decorated - {"staticmethod", "classmethod", "override", "abstractmethod"}:
        found |= Trait.OVERLOADS
    return found


def uses(node: ast.stmt, lazy_annotations: bool) -> list[Use]:
    """The conditions under which executing a statement has no effect."""
    reader = _Reader(lazy_annotations)
    reader.statement(node)
    return sorted(Use(kind, name) for kind, name in reader.found)


class _Reader:
    def __init__(self, lazy_annotations: bool) -> None:
        self.found: set[tuple[Kind, str]] = set()
        self._lazy = lazy_annotations
        self._own: set[str] = set()
        """Names of the class body."""
        self._loop: set[str] = set()
        """Variables of comprehensions: elements of what has been judged already."""

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._function(node)
        elif isinstance(node, ast.ClassDef):
            self._class(node)
        elif isinstance(node, ast.Assign) and all(isinstance(n, (ast.Name, ast.Tuple, ast.List)) for n in node.targets):
            if chain(node.value) not in self._own:
                self._value(node.value, used=bool(self._own) or not all(isinstance(n, ast.Name) for n in node.targets))
            for target in node.targets:
                if any(isinstance(n, (ast.Attribute, ast.Subscript)) for n in ast.walk(target)):
                    self._effect()
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            self._value(node.value, used=bool(self._own))
            self._annotation(node.annotation)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            pass
        elif not isinstance(node, (ast.Pass, ast.Import, ast.ImportFrom)) and type(node).__name__ != "TypeAlias":
            self._effect()

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self._decorator(decorator)
        arguments = node.args
        for default in (*arguments.defaults, *arguments.kw_defaults):
            self._value(default)
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            self._annotation(argument.annotation)
        self._annotation(node.returns)

    def _class(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self._decorator(decorator)
        for base in node.bases:
            name = chain(base.value if isinstance(base, ast.Subscript) else base)
            if name:
                self._add(Kind.BASE, name)
            self._value(base, used=not name)
        for keyword in node.keywords:
            if keyword.arg == "metaclass":
                self._add(Kind.METACLASS, chain(keyword.value))
            else:
                self._value(keyword.value)
        outer, self._own = self._own, set(scope_names(node.body, "")) | {"__module__"}
        for statement in node.body:
            self.statement(statement)
        self._own = outer

    def _decorator(self, node: ast.expr) -> None:
        name = chain(node.func if isinstance(node, ast.Call) else node)
        root, _, rest = name.partition(".")
        if not (root in self._own and rest in {"setter", "getter", "deleter"}):
            self._add(Kind.DECORATOR, name)
        if isinstance(node, ast.Call):
            self._arguments(node)

    def _annotation(self, node: ast.expr | None) -> None:
        if not self._lazy:
            self._value(node, used=True)

    def _value(self, node: ast.expr | None, used: bool = False) -> None:
        """Evaluating an expression; `used`: something is then done with the value."""
        if isinstance(node, (ast.Name, ast.Attribute)):
            self._name(node, used)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, COMPREHENSIONS):
            self._comprehension(node)
        elif isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom)):
            self._effect()
        elif node is not None:
            for child, applied in _operands(node):
                self._value(child, used or applied)

    def _name(self, node: ast.Name | ast.Attribute, used: bool) -> None:
        name = chain(node)
        if not name and isinstance(node, ast.Attribute):
            self._value(node.value, used=True)
        elif used or "." in name:
            self._add(Kind.VALUE, name)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        before = self._loop
        for generator in node.generators:
            self._value(generator.iter, used=True)
            self._loop = self._loop | {n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
            for test in generator.ifs:
                self._value(test, used=True)
            if generator.is_async:
                self._effect()
        for part in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            self._value(part, used=True)
        self._loop = before

    def _call(self, node: ast.Call) -> None:
        name = chain(node.func)
        method = isinstance(node.func, ast.Attribute) and node.func.attr in PURE_METHODS
        if name and not (method and name.partition(".")[0] in self._loop):
            self._add(Kind.CALL, name)
        elif isinstance(node.func, ast.Attribute) and method:
            self._value(node.func.value, used=True)
        else:
            self._value(node.func, used=True)
            root: ast.expr = node.func
            while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)) and not chain(root):
                root = root.func if isinstance(root, ast.Call) else root.value
            self._add(Kind.FOREIGN, chain(root))
        self._arguments(node)

    def _arguments(self, node: ast.Call) -> None:
        for argument in (*node.args, *(k.value for k in node.keywords)):
            self._value(argument, used=True)
        if any(k.arg == "key" for k in node.keywords):
            self._effect()

    def _add(self, kind: Kind, name: str) -> None:
        root = name.partition(".")[0]
        if kind is Kind.VALUE and root in self._loop:
            return
        if not name or root in self._own or root in self._loop:
            self._effect()
        else:
            self.found.add((kind, name))

    def _effect(self) -> None:
        self.found.add((Kind.EFFECT, ""))


PURE_METHODS = frozenset(
    """
    capitalize casefold copy count difference encode decode endswith format get index intersection isdigit items join keys lower
    lstrip partition removeprefix removesuffix replace rpartition rsplit rstrip split splitlines startswith strip title union upper
    values with_suffix joinpath resolve timestamp isoformat total_seconds
    """.split()  # noqa: SIM905 - a table reads better than a list
)


def _operands(node: ast.expr) -> list[tuple[ast.expr | None, bool]]:
    """(expression, whether evaluating `node` does something with its value)."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return [(n, False) for n in node.elts]
    if isinstance(node, ast.Dict):
        return [*((k, True) for k in node.keys), *((v, k is None) for k, v in zip(node.keys, node.values, strict=True))]
    if isinstance(node, ast.Lambda):
        return [(d, False) for d in (*node.args.defaults, *node.args.kw_defaults)]
    return [(n, True) for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]
