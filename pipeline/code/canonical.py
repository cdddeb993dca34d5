"""The canonical text of a syntax tree: what a change must touch to count as a change of code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any


def canonical(node: ast.AST) -> tuple[str, list[str]]:
    """(text, docstrings left out of it): node types and fields, no positions, no docstrings, no annotations of locals."""
    docs: list[str] = []
    return "".join(_dump(node, docs, in_function=False)), docs


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _dump(node: Any, docs: list[str], in_function: bool) -> Iterator[str]:
    """Canonical text of a tree: node types and fields, no positions, no docstrings, no local annotations."""
    if isinstance(node, ast.AST):
        if in_function and isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield from _dump_local_annotation(node, docs)
            return
        yield type(node).__name__ + "("
        inside = (in_function and not isinstance(node, ast.ClassDef)) or isinstance(node, _FUNCTIONS)
        for field, value in ast.iter_fields(node):
            if field in {"kind", "type_comment", "type_ignores"}:
                continue
            documented = field == "body" and isinstance(node, (*_FUNCTIONS, ast.ClassDef))
            yield field + "="
            yield from _dump(_without_docstring(node, value, docs) if documented else value, docs, inside)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            yield from _dump(item, docs, in_function)
            yield ","
        yield "]"
    else:
        yield f"{type(node).__name__}:{node!r};"


def _dump_local_annotation(node: ast.AnnAssign, docs: list[str]) -> Iterator[str]:
    if node.value is not None:
        yield "Assign(targets=["
        yield from _dump(node.target, docs, in_function=True)
        yield ",]value="
        yield from _dump(node.value, docs, in_function=True)
        yield ")"


def _without_docstring(node: ast.AST, body: list[ast.stmt], docs: list[str]) -> list[ast.stmt]:
    """A class body also without the strings that document its attributes."""
    kept = []
    for number, item in enumerate(body):
        if is_string(item) and (number == 0 or isinstance(node, ast.ClassDef)):
            docs.append(item.value.value)  # type: ignore[attr-defined]
        else:
            kept.append(item)
    return kept


def is_string(node: ast.stmt) -> bool:
    """A string that stands alone."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
