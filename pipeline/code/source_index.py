"""One source file → its symbols: what each top-level statement is, digested without comments, and which names it refers to.

The file is parsed, never imported. What the digest leaves out can change nothing: positions, comments, docstrings (kept apart, for code
that reads them), annotations of local variables, `TYPE_CHECKING` and `__main__` blocks.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from config.errors import PipelineError
from pipeline.code.canonical import canonical, is_string
from pipeline.code.purity import Kind, Trait, Use, traits, uses
from pipeline.code.references import (
    DEFINITIONS,
    IMPORTERS,
    Dynamic,
    Local,
    Ref,
    References,
    Target,
    chain,
    import_targets,
    imported_modules,
    is_type_checking,
    scope_names,
)

VERSION = "index-3"


class Statement(NamedTuple):
    """One top-level statement."""

    names: list[str]
    """What it binds."""
    digest: str
    doc_digest: str
    """As `digest`, with docstrings."""
    line: int
    refs: list[Ref]
    locals: list[Local]
    dynamic: list[Dynamic]
    uses: list[Use]
    """What must be harmless for it to have no effect."""
    traits: Trait


class SourceIndex(NamedTuple):
    """A file's symbols; all a closure needs to know of it."""

    statements: list[Statement]
    bindings: dict[str, list[int]]
    imports: dict[str, list[Target]]
    """Alias → target of module-level imports; several for try/except fallbacks."""
    modules: list[tuple[str, list[str]]]
    """(module, names) imported when this module is; the names may be submodules."""
    stars: list[str]
    typing_only: list[str]


def from_json(data: list[Any]) -> SourceIndex:
    """Back from the cache, where tuples are lists."""
    return SourceIndex([_statement(*fields) for fields in data[0]], *data[1:])


def _statement(*fields: Any) -> Statement:
    names, digest, doc_digest, line, refs, local, dynamic, conditions, kind = fields
    return Statement(
        names,
        digest,
        doc_digest,
        line,
        [Ref(*r) for r in refs],
        [Local(*x) for x in local],
        [Dynamic(*d) for d in dynamic],
        [Use(Kind(k), name) for k, name in conditions],
        Trait(kind),
    )


def index_source(text: bytes, module: str, is_package: bool, path: str) -> SourceIndex:
    """Index one file. Raises PipelineError when Python cannot parse it: text is never hashed instead."""
    try:
        tree = ast.parse(text, path)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or "?"
        raise PipelineError(f"{path}:{line} cannot be parsed: {getattr(error, 'msg', error)}.", "Mend the source file.") from None
    builder = _Builder(tree, module if is_package else module.rpartition(".")[0])
    for number, statement in enumerate(tree.body):
        if number == 0 and is_string(statement):
            builder.document(statement.value.value)  # type: ignore[attr-defined]
        else:
            builder.add(statement)
    return builder.finish()


class _Builder:
    def __init__(self, tree: ast.Module, package: str) -> None:
        self.package = package
        self.index = SourceIndex([], {}, {}, [], [], [])
        imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        self.importers = {a.asname or a.name for n in imports for a in n.names if a.name in IMPORTERS}
        self.lazy = any(n.module == "__future__" and a.name == "annotations" for n in imports for a in n.names)

    def document(self, text: str) -> None:
        self.index.statements.append(Statement(["__doc__"], "", _sha(text), 1, [], [], [], [], Trait.NONE))

    def add(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
        elif _is_main_guard(node) or isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and _is_constant(node.value)):
            pass
        elif isinstance(node, ast.If) and is_type_checking(node.test):
            for inner in node.body:
                if isinstance(inner, (ast.Import, ast.ImportFrom)):
                    self.index.typing_only.extend(a.asname or a.name.partition(".")[0] for a in inner.names)
            for other in node.orelse:
                self.add(other)
        else:
            self.index.statements.append(self._statement(node))
            for child in _executed(node):
                if isinstance(child, (ast.Import, ast.ImportFrom)):
                    self._import(child, binds=not isinstance(node, ast.ClassDef))

    def finish(self) -> SourceIndex:
        for number, statement in enumerate(self.index.statements):
            for name in statement.names:
                self.index.bindings.setdefault(name, []).append(number)
        return self.index

    def _import(self, node: ast.Import | ast.ImportFrom, binds: bool = True) -> None:
        for alias, target in import_targets(node, self.package) if binds else ():
            if alias == "*":
                self.index.stars.append(target[0])
            else:
                self.index.imports.setdefault(alias, []).append(target)
        self.index.modules.extend(imported_modules(node, self.package))

    def _statement(self, node: ast.stmt) -> Statement:
        text, docs = canonical(node)
        digest = _sha(text)
        reader = References(self.package, self.importers, self.lazy)
        reader.visit(node)
        return Statement(
            _bound_names(node),
            digest,
            _sha(repr((digest, docs))) if docs else digest,
            node.lineno,
            [Ref(name, line, optional, handled) for (name, optional, handled), line in sorted(reader.refs.items())],
            reader.locals,
            reader.dynamic,
            uses(node, self.lazy),
            traits(node),
        )


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _executed(node: ast.stmt) -> Iterator[ast.AST]:
    """What runs when a statement does: everything but the insides of functions."""
    todo: list[ast.AST] = [] if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else [node]
    while todo:
        inner = todo.pop()
        yield inner
        todo += [c for c in ast.iter_child_nodes(inner) if not isinstance(c, (ast.FunctionDef, ast.AsyncFunctionDef, ast.expr))]


def _bound_names(node: ast.stmt) -> list[str]:
    elsewhere = {name for n in ast.walk(node) if isinstance(n, ast.Global) for name in n.names}
    return sorted(elsewhere | ({node.name} if isinstance(node, DEFINITIONS) else set(scope_names([node], ""))))


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _is_main_guard(node: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, either way round, and nothing else."""
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and not node.orelse):
        return False
    sides = (node.test.left, *node.test.comparators)
    names = {chain(s) or getattr(s, "value", None) for s in sides}
    return len(sides) == 2 and isinstance(node.test.ops[0], ast.Eq) and names == {"__name__", "__main__"}
