"""A wrong setting in words a person uses: which one, what it should be and an example; never the value that was given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from config.errors import SettingsError

Fields = Mapping[str, FieldInfo]


def explained(error: ValidationError, fields: Fields) -> SettingsError:
    """Names the key, what it should be and an example; never the value given."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    where = ".".join(str(part) for part in first["loc"][1:] if part != "[key]")
    return wrong(fields, name, where, reason(str(first["type"]), first.get("ctx", {})))


def wrong(fields: Fields, name: str, where: str, reason: str) -> SettingsError:
    """The error for one setting, with what it is for and an example."""
    field = fields.get(name)
    text = f"The setting {name or 'of yours'}{f' ({where})' if where else ''} is wrong: {reason}."
    if field is None:
        return SettingsError(text, "See config/settings.yaml for the known ones.")
    shown = f"Example: {name}: {_plain(field.examples[0])}" if field.examples else ""
    return SettingsError(text, " ".join(filter(None, (field.description, shown))))


def _plain(example: Any) -> str:
    return example if isinstance(example, str) else json.dumps(example)


def reason(kind: str, context: Mapping[str, Any]) -> str:
    """What is wrong, in words a person uses."""
    if kind == "value_error":
        return str(context.get("error", "not known")).rstrip(".")
    if kind == "literal_error":
        return f"it should be one of {context.get('expected', 'the known ones')}"
    return next((said for part, said in _REASONS.items() if kind.startswith(part)), "it has another shape")


_REASONS = {
    "missing": "a part is missing",
    "extra_forbidden": "there is no such part",
    "too_short": "too few values",
    "too_long": "too many values",
    "string_too_long": "the text is too long",
    "string_pattern": "it is not written as it should be",
    "greater_than": "the number is too small",
    "less_than": "the number is too large",
    "date": "it should be a date that exists, written YYYY-MM-DD",
    "list": "it should be a list",
    "tuple": "it should be a pair",
    "dict": "it should hold `name: value` lines",
    "model": "it should hold `name: value` lines",
    "string": "it should be text",
    "int": "it should be a whole number",
    "float": "it should be a number",
}
"""How pydantic's name of a fault begins → what a person is told; the first that fits."""
