"""Schema drift: fields of an export that its source's schema does not know, knows in another type, or expects in vain.

Vendors change their exports without a word. Each change is told once per table and field with one example of where it stands, never
with a value. What is done with the records says the setting `on_drift`: `evolve` takes them as they are, `warn` marks them, and
`quarantine` refuses them until somebody has looked. Records alike in their keys and types are looked at once, so drift costs little.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from config.stage import Finding
from ingestion.expected import MOST_KEPT, Path, Plan, Plans
from ingestion.shape import Shape

CODE = "schema_drift"
MOST_TOLD = 100
"""Changes told one by one; an export that makes up its field names must not fill the report."""
_LONGEST = 80


class Change(NamedTuple):
    """One way in which records differ from their schema."""

    kind: str
    """new | retyped | missing."""
    table: str
    """The record's `table`; empty where the source has none."""
    field: str
    """`Value.bpm`."""


class Drift:
    """What one run of a source's records differs in."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._by_outline: dict[Any, tuple[Change, ...]] = {}
        self._counts: dict[Change, int] = {}
        self._examples: dict[Change, str] = {}
        self._expected: dict[tuple[str, str], bool] = {}
        """(table, expected field) → whether any record has it."""
        self._first: dict[str, str] = {}

    def of(self, raw: Mapping[str, Any], where: str, times: int = 1) -> tuple[Change, ...]:
        """How a record differs; counted for all the `times` it stands for. `where` names its place, for the example."""
        plan = self._plans.of(raw)
        table = raw.get("table")
        key = plan.number, table if isinstance(table, str) else "", _outline(raw, plan.shape)
        found = self._by_outline.get(key)
        if found is None:
            if len(self._by_outline) >= MOST_KEPT:
                self._by_outline.clear()
            found = self._by_outline[key] = self._look(plan, key[1], raw, where)
        for change in found:
            self._counts[change] = self._counts.get(change, 0) + times
        return found

    def changes(self) -> list[tuple[Change, int, str]]:
        """Every change, how many records show it and where one is; a missing field at the first record of its table."""
        found = [(change, count, self._examples[change]) for change, count in self._counts.items()]
        lacking = [key for key, present in self._expected.items() if not present]
        found += [(Change("missing", table, field), 1, self._first[table]) for table, field in lacking]
        return sorted(found)

    def findings(self) -> list[Finding]:
        """The changes in words."""
        found = self.changes()
        told: list[Finding] = [
            {"code": CODE, "message": _SAYS[c.kind].format(_name(c)), "where": example, "count": count}
            for c, count, example in found[:MOST_TOLD]
        ]
        if rest := found[MOST_TOLD:]:
            told.append({"code": CODE, "message": "More fields than can be told one by one have changed.", "count": len(rest)})
        return told

    def _look(self, plan: Plan, table: str, raw: Mapping[str, Any], where: str) -> tuple[Change, ...]:
        if table in self._first or len(self._first) < MOST_KEPT:
            self._first.setdefault(table, where)
            for field in plan.fields:
                key = table, ".".join(field[0].path)
                self._expected[key] = self._expected.get(key, False) or any(_has(raw, place.path) for place in field)
        found = tuple(dict.fromkeys(Change(kind, table, field) for kind, field in _differences(raw, plan.shape, "")))
        for change in found:
            if change not in self._examples and len(self._examples) < MOST_KEPT:
                self._examples[change] = where
        return tuple(change for change in found if change in self._examples)


def _differences(raw: Mapping[str, Any], known: Shape, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in raw.items():
        field = None if known.fields is None else known.fields.get(name)
        if known.fields is not None and field is None:
            yield "new", prefix + name
        elif field is not None and not field.takes(value):
            yield "retyped", prefix + name
        elif field is not None and isinstance(value, dict):
            yield from _differences(value, field, f"{prefix}{name}.")
        elif field is not None and field.items is not None and isinstance(value, list):
            yield from _of_elements(value, field.items, f"{prefix}{name}[]")


def _of_elements(values: list[Any], known: Shape, place: str) -> Iterator[tuple[str, str]]:
    for value in values:
        if isinstance(value, dict):
            yield from _differences(value, known, f"{place}.")
        elif not known.takes(value):
            yield "retyped", place


def _outline(raw: Mapping[str, Any], known: Shape) -> tuple[Any, ...]:
    """What drift can depend on: keys and types, and those of the objects whose fields are known, alone or in lists."""
    below = [_below(raw.get(name), known.fields[name]) for name in known.nested] if known.fields else ()
    return tuple(raw), tuple(map(type, raw.values())), *below


def _below(value: Any, known: Shape) -> Any:
    if isinstance(value, dict):
        return _outline(value, known)
    if isinstance(value, list) and known.items is not None:
        return tuple(dict.fromkeys([_outline(v, known.items) if isinstance(v, dict) else type(v) for v in value]))
    return None


def _has(raw: Mapping[str, Any], path: Path) -> bool:
    value: Any = raw
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


def _name(change: Change) -> str:
    """`Value.bpm of hlth_center_fitness_data`; names from a stranger's file are shortened and stripped of what does not print."""
    field, table = printable(change.field), printable(change.table)
    return f"{field} of {table}" if table else field


def printable(name: str) -> str:
    """A name from a stranger's file as it may stand in a sentence."""
    plain = "".join(c if c.isprintable() else "�" for c in name[: _LONGEST + 1])
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "…"


_SAYS = {
    "new": "A field is new: {}. It is kept in the records, but nothing reads it.",
    "retyped": "A field has another type than before: {}.",
    "missing": "A field is missing from every record: {}.",
}
