"""Which global names a piece of source refers to, and what it imports on the way: scopes known, nothing executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

Target = tuple[str, str | None]
"""(module, name in it); the module itself if None."""


class Ref(NamedTuple):
    """A global name, or a chain that starts with one: `helper`, `np.mean`."""

    name: str
    line: int
    optional: bool = False
    """May be undefined: an annotation nobody evaluates, a name the class body binds itself."""
    handled: bool = False
    """`import_module` called with a name that could be read."""


class Local(NamedTuple):
    """An import inside a function or class."""

    module: str
    name: str | None
    rest: list[str] | None
    """What is used of it, all if empty; None: it is only imported."""
    line: int


class Dynamic(NamedTuple):
    """What a static reader cannot follow. Known by its spelling; `DYNAMIC` in closure.py knows the rest by what they resolve to."""

    kind: str
    line: int
    start: str | None = None
    """The package the answer must lie in."""


DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_UNREADABLE = frozenset(("__subclasses__", "__globals__", "f_globals", "__doc__"))
IMPORTERS = frozenset(("import_module", "__import__"))
_PLACES = frozenset(("f_lineno", "tb_lineno", "co_firstlineno"))
_NAMED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*[.:][^\W\d]\w*")
"""A string that may name code: `package.module:function`, `package.module.Class`."""


def chain(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute chain, else ``."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def import_targets(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, Target]]:
    """(bound alias, target) of an import statement; alias `*` for a star import."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield (alias.asname, (alias.name, None)) if alias.asname else (top, (top, None))
    else:
        for alias in node.names:
            yield alias.asname or alias.name, (absolute("." * node.level + (node.module or ""), package), alias.name)


def imported_modules(node: ast.Import | ast.ImportFrom, package: str) -> list[tuple[str, list[str]]]:
    """(module, names) an import statement executes."""
    if isinstance(node, ast.Import):
        return [(alias.name, []) for alias in node.names]
    return [(absolute("." * node.level + (node.module or ""), package), [a.name for a in node.names if a.name != "*"])]


def absolute(name: str, package: str) -> str:
    """`..a` as seen from `package`."""
    rest = name.lstrip(".")
    if rest == name:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - (len(name) - len(rest)) + 1], *([rest] if rest else [])])


def scope_names(body: Iterable[ast.AST], package: str) -> dict[str, list[Target] | None]:
    """What a body binds, not looking into nested scopes: name → what it imports under it, None if declared global."""
    found: dict[str, list[Target]] = {}
    declared: list[str] = []
    todo = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, (*DEFINITIONS, *COMPREHENSIONS, ast.Lambda)):
            named = [n.target for n in ast.walk(node) if isinstance(n, ast.NamedExpr)] if isinstance(node, COMPREHENSIONS) else []
            for name in [n.id for n in named] if not isinstance(node, DEFINITIONS) else [node.name]:
                found.setdefault(name, [])
            continue
        if isinstance(node, ast.Global):
            declared += node.names
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias, target in import_targets(node, package):
                found.setdefault(alias, []).append(target)
        for name in _stored(node):
            found.setdefault(name, [])
        todo += list(ast.iter_child_nodes(node))
    return {**found, **dict.fromkeys(declared)}


def _stored(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        return [node.name]
    if type(node).__name__ == "TypeAlias":
        return [chain(node.name)]  # type: ignore[attr-defined]
    return [node.rest] if isinstance(node, ast.MatchMapping) and node.rest else []


class _Scope(NamedTuple):
    names: dict[str, list[Target] | None]
    is_class: bool = False
    transparent: bool = False
    """Type parameters: a class body around them stays in sight."""


class References(ast.NodeVisitor):
    """Collects what a statement uses; knows scopes, so a local never looks like a global."""

    def __init__(self, package: str, importers: set[str], lazy_annotations: bool) -> None:
        self.package = package
        self.refs: dict[tuple[str, bool, bool], int] = {}
        self.locals: list[Local] = []
        self.dynamic: list[Dynamic] = []
        self._importers = importers
        self._lazy = lazy_annotations
        self._optional = False
        self._annotating = False
        self._scopes: list[_Scope] = []

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == "__path__" and not isinstance(node.ctx, ast.Load):
            self.dynamic.append(Dynamic(node.id, node.lineno))
        if isinstance(node.ctx, ast.Load) or not (self._scopes and self._scopes[-1].names.get(node.id) is not None):
            self._use(node.id, node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in _UNREADABLE:
            self.dynamic.append(Dynamic(node.attr, node.lineno))
        if node.attr in _PLACES:
            self.dynamic.append(Dynamic("source", node.lineno))
        dotted = chain(node)
        if dotted:
            self._use(dotted, node.lineno)
        else:
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if not isinstance(node.value, str):
            return
        if node.value in _UNREADABLE:
            self.dynamic.append(Dynamic(node.value, node.lineno))
        if self._annotating:
            self._quoted_annotation(node.value, node.lineno)
        elif _NAMED.fullmatch(node.value):
            self.dynamic.append(Dynamic("named", node.lineno, node.value))

    def visit_Call(self, node: ast.Call) -> None:
        dotted = chain(node.func)
        if (dotted.rpartition(".")[2] in IMPORTERS or dotted in self._importers) and self._import_call(node):
            self._use(dotted, node.lineno, handled=True)
        else:
            self.visit(node.func)
        if dotted in {"vars", "locals", "dir"} and not node.args and not any(not s.is_class for s in self._scopes):
            self.dynamic.append(Dynamic("globals", node.lineno))
        if dotted == "getattr" and len(node.args) > 1 and chain(node.args[0]) and (name := _leading_text(node.args[1])):
            self._use(f"{chain(node.args[0])}.{name}", node.lineno)
        for argument in (*node.args, *node.keywords):
            self.visit(argument)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        if not self._scopes:
            return  # module level, inside a compound statement: the file's own imports
        for module, names in imported_modules(node, self.package):
            self.locals += [Local(module, name, None, node.lineno) for name in names]
            self.locals.append(Local(module, None, None, node.lineno))
        for alias, (module, name) in import_targets(node, self.package):
            if self._scopes[-1].is_class or self._scopes[-1].names.get(alias) is None:
                self.locals.append(Local(module, name, [], node.lineno))  # in reach of others, as an attribute or a global

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.visit_Import(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._all(node.decorator_list)
        self._defaults(node.args)
        with_parameters = self._parameters(node)
        for annotation in (*(a.annotation for a in _arguments(node.args)), node.returns):
            self._annotation(annotation)
        names = _local_arguments(node.args) | scope_names(node.body, self.package)
        self._inside(_Scope(names), node.body)
        del self._scopes[len(self._scopes) - with_parameters :]

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._all(node.decorator_list)
        with_parameters = self._parameters(node)
        self._all([*node.bases, *node.keywords])
        own = scope_names(node.body, self.package) | {"__qualname__": [], "__module__": [], "__annotations__": []}
        self._inside(_Scope(own, is_class=True), node.body)
        del self._scopes[len(self._scopes) - with_parameters :]

    def visit_TypeAlias(self, node: ast.AST) -> None:
        with_parameters = self._parameters(node)
        self.visit(node.value)  # type: ignore[attr-defined]
        del self._scopes[len(self._scopes) - with_parameters :]

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._defaults(node.args)
        names = _local_arguments(node.args) | scope_names([node.body], self.package)
        self._inside(_Scope(names), [node.body])

    def visit(self, node: ast.AST) -> None:
        if not isinstance(node, COMPREHENSIONS):
            super().visit(node)
            return
        self.visit(node.generators[0].iter)  # the first iterable is evaluated outside
        names: dict[str, list[Target] | None] = {
            n.id: [] for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)
        }
        inner = [x for n, g in enumerate(node.generators) for x in ([g.target, *g.ifs] if n == 0 else [g])]
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._inside(_Scope(names), [*inner, *parts])

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        in_function = self._scopes and not self._scopes[-1].is_class
        if not (in_function and isinstance(node.target, ast.Name)):
            self._annotation(node.annotation)
        if node.value:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if is_type_checking(node.test):
            self._all(node.orelse)
        else:
            self.generic_visit(node)

    def _all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _inside(self, scope: _Scope, body: Iterable[ast.AST]) -> None:
        self._scopes.append(scope)
        self._all(body)
        self._scopes.pop()

    def _parameters(self, node: ast.AST) -> int:
        """Opens the scope of PEP 695 type parameters, if there are any; how many were opened."""
        parameters = getattr(node, "type_params", [])
        if parameters:
            self._scopes.append(_Scope({p.name: [] for p in parameters}, transparent=True))
            self._all(parameters)
        return int(bool(parameters))

    def _annotation(self, node: ast.expr | None) -> None:
        before = self._optional, self._annotating
        self._optional, self._annotating = self._optional or self._lazy, True
        if node:
            self.visit(node)
        self._optional, self._annotating = before

    def _quoted_annotation(self, text: str, line: int) -> None:
        """A forward reference: `get_type_hints` and what is built on it evaluate it. `Literal["text"]` names nothing as a rule."""
        try:
            node = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return
        before, self._optional, self._annotating = self._optional, True, False
        self.visit(ast.increment_lineno(node, line - 1))
        self._optional, self._annotating = before, True

    def _defaults(self, arguments: ast.arguments) -> None:
        self._all([*arguments.defaults, *(d for d in arguments.kw_defaults if d)])

    def _use(self, dotted: str, line: int, handled: bool = False) -> None:
        root, _, rest = dotted.partition(".")
        if root == "__doc__" or (root == "__path__" and rest):
            self.dynamic.append(Dynamic(root, line))
        optional, nearest = self._optional, True
        for scope in reversed(self._scopes):
            if root in scope.names and (nearest or not scope.is_class):
                targets = scope.names[root]
                if targets is None:
                    break
                self.locals += [Local(m, name, rest.split(".") if rest else [], line) for m, name in targets]
                if not scope.is_class:
                    return
                optional = True  # a class body looks outside until it has bound the name
            nearest = nearest and scope.transparent
        self.refs.setdefault((dotted, optional, handled), line)

    def _import_call(self, node: ast.Call) -> bool:
        """Whether what a call of `import_module` imports could be read from its arguments."""
        given = {k.arg: k.value for k in node.keywords} | dict(zip(("name", "package"), node.args, strict=False))
        name, package = _leading_text(given.get("name")), self.package
        if name is None:
            return False
        if name.startswith("."):
            if chain(given.get("package", ast.Constant(0))) not in {"__package__", "__name__"}:
                package = _leading_text(given.get("package")) or ""
            name = absolute(name, package) if package else ""
        if isinstance(given["name"], ast.Constant):
            self.locals.append(Local(name, None, [], node.lineno))
            return bool(name)
        start = name.rpartition(".")[0]
        if start:
            self.dynamic.append(Dynamic("import", node.lineno, start))
        return bool(start)


def _leading_text(name: ast.expr | None) -> str | None:
    """The constant text a computed string starts with: `pkg.` of `"pkg." + x`, `f"pkg.{x}"` and `"pkg.%s" % x`."""
    formatted = isinstance(name, ast.BinOp) and isinstance(name.op, ast.Mod)
    while isinstance(name, ast.BinOp):
        name = name.left
    if isinstance(name, ast.JoinedStr) and name.values:
        name = name.values[0]
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
        return None
    return name.value.partition("%")[0] if formatted else name.value


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    extra = [a for a in (arguments.vararg, arguments.kwarg) if a]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]


def _local_arguments(arguments: ast.arguments) -> dict[str, list[Target] | None]:
    return {a.arg: [] for a in _arguments(arguments)}


def is_type_checking(test: ast.expr) -> bool:
    """`if TYPE_CHECKING`, which no interpreter runs."""
    return chain(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING"}
