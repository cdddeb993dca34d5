"""A declaration as YAML a person likes to read: the keys in the order of thought, one line for what belongs together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*", re.ASCII)
_WORDS = frozenset("true false null yes no on off y n".split())  # noqa: SIM905
_WIDE = 120


def written(declared: Mapping[str, Any], schema: str) -> str:
    """The file's text; `schema`: where its JSON Schema is from there, for editors."""
    lines = [f"# yaml-language-server: $schema={schema}"]
    for key, value in declared.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines.append(f"{key}:")
            for item in value:
                lines += _item(item)
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _item(item: Mapping[str, Any]) -> Iterator[str]:
    """On one line where it fits, else a key a line."""
    if len(line := f"  - {_flow(item)}") <= _WIDE:
        yield line
        return
    for n, (key, value) in enumerate(item.items()):
        yield f"  {'-' if n == 0 else ' '} {key}: {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value) if isinstance(value, str) else json.dumps(value)


def _scalar(text: str) -> str:
    """Bare where YAML reads it as that text; else quoted as JSON, which YAML reads as well."""
    address = text.startswith(("https://", "http://")) and not set(text) & set(" ,[]{}#\"'")
    bare = address or _PLAIN.fullmatch(text)
    return text if bare and text.lower() not in _WORDS and not text.endswith(":") else json.dumps(text)
