"""One source file → its symbols: what each top-level statement is, digested without comments, and which names it refers to.

The file is parsed, never imported. What the digest leaves out can change nothing: positions, comments, docstrings (kept apart, for code
that reads them), annotations of local variables, `TYPE_CHECKING` and `__main__` blocks.
"""

from __future__ import annotations

import ast
import hashlib
from typing import Any, NamedTuple

from config.errors import PipelineError
from pipeline.canonical import canonical
from pipeline.references import References, chain, import_targets, imported_modules, is_type_checking, local_names

VERSION = "index-1"


class Statement(NamedTuple):
    """One top-level statement."""

    names: list[str]
    """What it binds."""
    digest: str
    doc_digest: str
    """As `digest`, with docstrings."""
    line: int
    refs: list[str]
    """Dotted chains of global names it uses, `helper`, `np.mean`."""
    imports: dict[str, list[tuple[str, str | None]]]
    """Function-local imports: alias → (module, name)."""
    dynamic: list[tuple[str, int]]
    """What a static reader cannot follow: (kind, line)."""
    effect: str
    """`always`: runs when the module is imported; `calls`: if one of `calls` is first-party; `class`: if a base says so; `` never."""
    calls: list[str]
    kind: str
    """`function`, `class`, `acting class` (making one may have effects: it defines `__init__` or the like) or ``."""
    subclass_hook: bool
    """A class that defines `__init_subclass__` or names a metaclass."""


class SourceIndex(NamedTuple):
    """A file's symbols; all a closure needs to know of it."""

    statements: list[Statement]
    bindings: dict[str, list[int]]
    imports: dict[str, list[tuple[str, str | None]]]
    """Alias → (module, name) of module-level imports; several for try/except fallbacks."""
    modules: list[tuple[str, list[str]]]
    """(module, names) imported when this module is; the names may be submodules."""
    stars: list[str]
    typing_only: list[str]


def to_json(index: SourceIndex) -> list[Any]:
    """Plain lists, for the cache."""
    return [[list(s) for s in index.statements], *index[1:]]


def from_json(data: list[Any]) -> SourceIndex:
    """Back from the cache."""
    return SourceIndex([Statement(*s) for s in data[0]], *data[1:])


def index_source(text: bytes, module: str, is_package: bool, path: str) -> SourceIndex:
    """Index one file. Raises PipelineError when Python cannot parse it: text is never hashed instead."""
    try:
        tree = ast.parse(text, path)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or "?"
        raise PipelineError(f"{path}:{line} cannot be parsed: {getattr(error, 'msg', error)}.", "Mend the source file.") from None
    package = module if is_package else module.rpartition(".")[0]
    builder = _Builder(package)
    for statement in tree.body:
        builder.add(statement)
    return builder.finish()


class _Builder:
    def __init__(self, package: str) -> None:
        self.package = package
        self.statements: list[Statement] = []
        self.imports: dict[str, list[tuple[str, str | None]]] = {}
        self.modules: list[tuple[str, list[str]]] = []
        self.stars: list[str] = []
        self.typing_only: list[str] = []

    def add(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self._import(node)
        elif _is_main_guard(node) or _is_docstring(node) or isinstance(node, ast.Pass):
            pass
        elif isinstance(node, ast.If) and is_type_checking(node.test):
            for inner in node.body:
                if isinstance(inner, (ast.Import, ast.ImportFrom)):
                    self.typing_only += [a.asname or a.name.partition(".")[0] for a in inner.names]
            for other in node.orelse:
                self.add(other)
        else:
            self.statements.append(self._statement(node))
            if _is_compound(node):
                for child in ast.walk(node):
                    if isinstance(child, (ast.Import, ast.ImportFrom)):
                        self._import(child)

    def finish(self) -> SourceIndex:
        bindings: dict[str, list[int]] = {}
        for number, statement in enumerate(self.statements):
            for name in statement.names:
                bindings.setdefault(name, []).append(number)
        return SourceIndex(self.statements, bindings, self.imports, self.modules, self.stars, self.typing_only)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias, target in import_targets(node, self.package):
            if alias == "*":
                self.stars.append(target[0])
            else:
                self.imports.setdefault(alias, []).append(target)
        self.modules += imported_modules(node, self.package)

    def _statement(self, node: ast.stmt) -> Statement:
        text, docs = canonical(node)
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        with_docs = hashlib.sha256(repr((digest, docs)).encode("utf-8", "backslashreplace")).hexdigest()[:32] if docs else digest
        reader = References(self.package)
        reader.visit(node)
        return Statement(
            _bound_names(node),
            digest,
            with_docs,
            node.lineno,
            sorted(reader.refs),
            reader.imports,
            sorted(set(reader.dynamic)),
            _effect(node),
            sorted(reader.calls) if isinstance(node, (ast.Assign, ast.AnnAssign)) else [],
            _kind(node),
            isinstance(node, ast.ClassDef) and (_defines(node, {"__init_subclass__"}) or bool(node.keywords)),
        )


_PURE_DECORATORS = frozenset(
    """
    property staticmethod classmethod abstractmethod abc.abstractmethod final override overload typing.overload
    dataclass dataclasses.dataclass unique enum.unique runtime_checkable typing.runtime_checkable
    cache lru_cache wraps cached_property total_ordering singledispatch contextmanager contextlib.contextmanager
    functools.cache functools.lru_cache functools.wraps functools.cached_property functools.total_ordering functools.singledispatch
    """.split()  # noqa: SIM905 - a table reads better than a list
)


def _effect(node: ast.stmt) -> str:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        names = {chain(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list}
        if not names <= _PURE_DECORATORS:
            return "always"
        return "class" if isinstance(node, ast.ClassDef) and (node.bases or node.keywords) else ""
    if isinstance(node, ast.Assign) and all(isinstance(t, (ast.Name, ast.Tuple, ast.List)) for t in node.targets):
        return "calls"
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return "calls"
    return "always"


def _kind(node: ast.stmt) -> str:
    if isinstance(node, ast.ClassDef):
        return "acting class" if _defines(node, {"__init__", "__new__", "__post_init__", "__set_name__"}) else "class"
    return "function" if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else ""


def _defines(node: ast.ClassDef, names: set[str]) -> bool:
    return any(isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and n.name in names for n in node.body)


def _bound_names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    bound, _ = local_names([node])
    return sorted(bound)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, (str, bytes, type(...)))
    )


def _is_main_guard(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and chain(node.test.left) == "__name__"
        and not node.orelse
    )


def _is_compound(node: ast.stmt) -> bool:
    return isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.Match, ast.AsyncFor, ast.AsyncWith)) or (
        hasattr(ast, "TryStar") and isinstance(node, ast.TryStar)
    )
