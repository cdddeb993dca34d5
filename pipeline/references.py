"""Which global names a piece of source refers to, and what it imports on the way: scopes known, nothing executed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator


def chain(node: ast.AST) -> str:
    """`a.b.c` of a name or attribute chain, else ``."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def import_targets(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """(bound alias, (module, name)) of an import statement; alias `*` for a star import."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (
                (alias.asname, (alias.name, None))
                if alias.asname
                else (alias.name.partition(".")[0], (alias.name.partition(".")[0], None))
            )
    else:
        module = _absolute(node, package)
        for alias in node.names:
            yield alias.asname or alias.name, (module, alias.name)


def imported_modules(node: ast.Import | ast.ImportFrom, package: str) -> list[tuple[str, list[str]]]:
    """(module, names) an import statement executes."""
    if isinstance(node, ast.Import):
        return [(alias.name, []) for alias in node.names]
    return [(_absolute(node, package), [a.name for a in node.names if a.name != "*"])]


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


class References(ast.NodeVisitor):
    """Collects the global names a statement uses; knows function scopes, so a local never looks like a global."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.refs: set[str] = set()
        self.calls: set[str] = set()
        self.imports: dict[str, list[tuple[str, str | None]]] = {}
        self.dynamic: list[tuple[str, int]] = []
        self._scopes: list[set[str]] = []

    def visit_Name(self, node: ast.Name) -> None:
        self._use(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr == "__subclasses__":
            self.dynamic.append(("subclasses", node.lineno))
        elif node.attr in {"__doc__", "getdoc"}:
            self.dynamic.append(("doc", node.lineno))
        elif node.attr == "modules" and chain(node) == "sys.modules":
            self.dynamic.append(("dynamic import", node.lineno))
        dotted = chain(node)
        if dotted:
            self._use(dotted, node)
        else:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        dotted = chain(node.func)
        if dotted or not (isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Constant)):
            self.calls.add(dotted or "?")
        if dotted.rpartition(".")[2] in {"import_module", "__import__"}:
            self._dynamic_import(node)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self._local_import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._local_import(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node, node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._defaults(node.args)
        self._inside(_arguments(node.args), [node.body])

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            names = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
            self._inside(names, ast.iter_child_nodes(node))
        else:
            super().visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        if not (self._scopes and isinstance(node.target, ast.Name)):
            self.visit(node.annotation)
        if node.value:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if is_type_checking(node.test):
            for other in node.orelse:
                self.visit(other)
        else:
            self.generic_visit(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, body: list[ast.stmt]) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._defaults(node.args)
        for argument in _all_arguments(node.args):
            if argument.annotation:
                self.visit(argument.annotation)
        if node.returns:
            self.visit(node.returns)
        bound, declared_global = local_names(body)
        self._inside((_arguments(node.args) | bound) - declared_global, body)

    def _inside(self, names: set[str], body: Iterable[ast.AST]) -> None:
        self._scopes.append(names)
        for child in body:
            self.visit(child)
        self._scopes.pop()

    def _defaults(self, arguments: ast.arguments) -> None:
        for default in [*arguments.defaults, *(d for d in arguments.kw_defaults if d)]:
            self.visit(default)

    def _use(self, dotted: str, node: ast.AST) -> None:
        root = dotted.partition(".")[0]
        line = getattr(node, "lineno", 0)
        if root in self.imports:
            self.refs.add(dotted)
            return
        if any(root in scope for scope in self._scopes):
            return
        if root in {"eval", "exec", "globals"}:
            self.dynamic.append((root, line))
        elif root in {"__doc__", "getdoc"}:
            self.dynamic.append(("doc", line))
        self.refs.add(dotted)

    def _local_import(self, node: ast.Import | ast.ImportFrom) -> None:
        if not self._scopes:
            return  # module level inside a compound statement: the file's own imports
        for alias, target in import_targets(node, self.package):
            self.imports.setdefault(alias, []).append(target)
            if target[1] is None:
                self.refs.add(alias + ".__name__")  # imported, even if never used: its effects run
        for module, _ in imported_modules(node, self.package):
            self.imports.setdefault(f"import {module}", []).append((module, None))

    def _dynamic_import(self, node: ast.Call) -> None:
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("."):
            self.imports.setdefault(f"whole {first.value}", []).append((first.value, None))
        else:
            self.dynamic.append((f"dynamic import {_known_start(first)}".rstrip(), node.lineno))


def _known_start(name: ast.expr | None) -> str:
    """The package a computed module name must lie in: `pkg` for `"pkg." + x` and `f"pkg.{x}"`, else ``."""
    while isinstance(name, ast.BinOp):
        name = name.left
    if isinstance(name, ast.JoinedStr) and name.values:
        name = name.values[0]
    text = name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""
    return text.partition(".")[0] if "." in text else ""


def local_names(body: list[ast.stmt]) -> tuple[set[str], set[str]]:
    """(names bound in a function body, names declared global), not looking into nested functions."""
    bound: set[str] = set()
    declared: set[str] = set()
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Global):
            declared |= set(node.names)
        bound |= _stored(node)
        todo += list(ast.iter_child_nodes(node))
    return bound, declared


def _stored(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        return {node.id}
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        return {node.name}
    if isinstance(node, ast.MatchMapping) and node.rest:
        return {node.rest}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {a.asname or a.name.partition(".")[0] for a in node.names}
    return set()


def _all_arguments(arguments: ast.arguments) -> list[ast.arg]:
    extra = [a for a in (arguments.vararg, arguments.kwarg) if a]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]


def _arguments(arguments: ast.arguments) -> set[str]:
    return {a.arg for a in _all_arguments(arguments)}


def is_type_checking(test: ast.expr) -> bool:
    return chain(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING"}
