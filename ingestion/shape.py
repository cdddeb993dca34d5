"""Which fields a source's JSON Schema knows, and of which JSON types: what drift is told by.

A field is known when `properties` names it. Where a (sub)schema names none, or says `x-open`, `additionalProperties`,
`patternProperties` or `propertyNames`, the keys are free: sheets have columns of people's own, devices nest what they like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_FREE = ("x-open", "additionalProperties", "patternProperties", "propertyNames")
_JSON: Mapping[type, frozenset[str]] = {
    str: frozenset({"string"}),
    bool: frozenset({"boolean"}),
    int: frozenset({"integer", "number"}),
    float: frozenset({"integer", "number"}),  # 70.0 is an integer to JSON Schema
    dict: frozenset({"object"}),
    list: frozenset({"array"}),
}


class Shape(NamedTuple):
    """What is known of a value."""

    types: frozenset[str] | None
    """JSON types; None where the schema says none."""
    fields: Mapping[str, Shape] | None
    """The known fields of an object; None where its keys are free."""
    nested: tuple[str, ...]
    """Those of them that are objects with known fields, or lists of such."""
    items: Shape | None = None
    """An element of a list, where that is an object with known fields."""

    def takes(self, value: Any) -> bool:
        """Whether a value is of a known type. A null is no other type: it says that nothing is there."""
        return value is None or self.types is None or bool(self.types & _JSON.get(type(value), frozenset()))


def shape(parts: Iterable[Mapping[str, Any]], defs: Mapping[str, Any]) -> Shape:
    """What these (sub)schemas, all of which hold, know together."""
    resolved = [_resolved(part, defs) for part in parts]
    types: frozenset[str] | None = None
    below: dict[str, list[Mapping[str, Any]]] = {}
    elements: list[Mapping[str, Any]] = []
    free = False
    for part in resolved:
        if "type" in part:
            said = frozenset([part["type"]] if isinstance(part["type"], str) else part["type"])
            types = said if types is None else types & said
        free = free or any(part.get(word) not in (None, False) for word in _FREE)
        for name, schema in part.get("properties", {}).items():
            below.setdefault(name, []).append(schema)
        elements += [part["items"]] if "items" in part else []
    element = shape(elements, defs) if elements else None
    items = element if element is not None and element.fields is not None else None
    if free or not below:
        return Shape(types, None, (), items)
    fields = {name: shape(schemas, defs) for name, schemas in below.items()}
    nested = tuple(name for name, found in fields.items() if found.fields is not None or found.items is not None)
    return Shape(types, fields, nested, items)


def _resolved(part: Mapping[str, Any] | bool, defs: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(part, bool):
        return {}
    reference = part.get("$ref")
    return {**defs[reference.removeprefix("#/$defs/")], **part} if reference else part
