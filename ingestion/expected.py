"""What a source's JSON Schema expects of a record, by the kind of the record.

Beyond the standard a schema says `x-expected`: the fields a good record holds, at the top or where a `then` or `else` applies. Each is
a place such as `Value.bpm`, or a list of places of which one suffices; `{"path": …, "pattern": …}` is a place whose text must match.
What such a branch requires is expected too. `minimum` and `maximum` say what is possible, not what is allowed. The conditions (`if`, in
the schema's own `allOf`) ask for texts at the top of the record and nothing else: those texts are its kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jsonschema_rs

from ingestion.shape import Shape, shape

Path = tuple[str, ...]

RANGE = frozenset({"minimum", "maximum"})
MOST_KEPT = 10_000
"""Kinds and profiles remembered; records that make up their own must not fill the memory."""
_APART = {"allOf", "$defs", "$id", "$schema"}
_FILLED = {"type": ["string", "number", "boolean", "array", "object"], "pattern": r"\S", "minItems": 1, "minProperties": 1}


class Place(NamedTuple):
    """Where something may stand in a record."""

    path: Path
    pattern: str | None = None
    """What must be found in the text there."""


class Plan(NamedTuple):
    """What is expected of the records of one kind."""

    number: int
    fields: tuple[tuple[Place, ...], ...]
    """The expected fields: the places each may stand in."""
    ranged: tuple[Place, ...]
    """Where a number has a range."""
    telling: tuple[Place, ...]
    """Expected fields that tell a record's kind."""
    places: tuple[Place, ...]
    """All that is looked at."""
    flawless: Any
    """Validator that takes a record of this kind only if nothing at all can be said against it."""
    shape: Shape
    """The fields that are known, expected or not."""


class Plans:
    """The plan for a record."""

    def __init__(self, schema: dict[str, Any]) -> None:
        parts = schema.get("allOf", ())
        self._defs: Mapping[str, Any] = schema.get("$defs", {})
        self._always = [{k: v for k, v in schema.items() if k not in _APART}, *(part for part in parts if "if" not in part)]
        self._rules = [(jsonschema_rs.validator_for(part["if"]), part) for part in parts if "if" in part]
        self._asked = tuple(sorted({name for _, rule in self._rules for name in rule["if"].get("properties", ())}))
        self._by_kind: dict[tuple[str | None, ...], Plan] = {}
        self._by_rules: dict[tuple[bool, ...], Plan] = {}

    def of(self, raw: Mapping[str, Any]) -> Plan:
        """The plan for a record's kind."""
        kind = tuple([text if isinstance(text := raw.get(name), str) else None for name in self._asked])
        plan = self._by_kind.get(kind)
        if plan is None:
            if len(self._by_kind) >= MOST_KEPT:
                self._by_kind.clear()
            plan = self._by_kind[kind] = self._find(kind)
        return plan

    def _find(self, kind: tuple[str | None, ...]) -> Plan:
        texts = {name: text for name, text in zip(self._asked, kind, strict=True) if text is not None}
        holds = tuple([condition.is_valid(texts) for condition, _ in self._rules])
        if holds not in self._by_rules:
            branches = [rule.get("then" if held else "else", {}) for held, (_, rule) in zip(holds, self._rules, strict=True)]
            self._by_rules[holds] = self._make(branches)
        return self._by_rules[holds]

    def _make(self, branches: Sequence[Mapping[str, Any]]) -> Plan:
        parts = [*self._always, *branches]
        named = [[name] for branch in branches for name in branch.get("required", ())]
        named += [field if isinstance(field, list) else [field] for part in parts for field in part.get("x-expected", ())]
        fields = tuple(dict.fromkeys(tuple(map(_place, field)) for field in named))
        ranged = tuple(dict.fromkeys(Place(path) for part in parts for path in self._ranged(part, ())))
        telling = tuple(f[0] for f in fields if len(f) == len(f[0].path) == 1 and f[0].path[0] in self._asked)
        places = tuple(dict.fromkeys([*(place for field in fields for place in field), *ranged]))
        wanted: list[Mapping[str, Any]] = [{"anyOf": [_at(place.path, _filled(place)) for place in field]} for field in fields]
        wanted += [_at(place.path, {"type": "number"}) for place in ranged]
        flawless = jsonschema_rs.validator_for({"$defs": self._defs, "allOf": [*parts, *wanted]})
        return Plan(len(self._by_rules), fields, ranged, telling, places, flawless, shape(parts, self._defs))

    def _ranged(self, part: Mapping[str, Any], path: Path) -> Iterator[Path]:
        """Where the (sub)schema gives a number a range."""
        if reference := part.get("$ref"):
            part = self._defs[reference.removeprefix("#/$defs/")]
        if part.keys() & RANGE:
            yield path
        for name, below in part.get("properties", {}).items():
            yield from self._ranged(below, (*path, name))


def _place(named: str | Mapping[str, str]) -> Place:
    return Place(tuple(named.split("."))) if isinstance(named, str) else Place(tuple(named["path"].split(".")), named["pattern"])


def _filled(place: Place) -> Mapping[str, Any]:
    return {"type": "string", "pattern": place.pattern} if place.pattern else _FILLED


def _at(path: Path, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a record that holds what is wanted at a place."""
    for name in reversed(path):
        wanted = {"type": "object", "required": [name], "properties": {name: wanted}}
    return wanted
