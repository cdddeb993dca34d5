"""What one answer of an API suggests for its declaration: where records are, what names one, how the list goes on, what is measured.

Proposals only: a person sees each and may say otherwise. Nothing measured leaves this module; names of fields do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from config.metrics import METRICS
from config.units import scale
from scripts.source_words import CHANGED, DEVICES, ENDS, IDS, NAMES, TIMES, UNITS

_DEPTH = 4
_LOOKED_AT = 200


class Proposal(NamedTuple):
    """What an answer suggests."""

    records: str
    """Path; empty where the answer itself is the list, or a single record."""
    held: int
    """Records the answer holds."""
    id: str
    fields: dict[str, str]
    """Path of every plain field → its JSON types, joined by |."""
    readings: list[dict[str, str]]
    changed: str
    """The field that says when a record changed."""
    time: str
    unify: dict[str, str]


def proposed(document: Any, records: str | None = None, id_: str | None = None) -> Proposal:
    """Look at a decoded answer. `records` and `id_`: what a person has said already."""
    where = _records(document) if records is None else records
    found = at(document, where)
    rows = [row for row in (found if isinstance(found, list) else [found])[:_LOOKED_AT] if isinstance(row, dict)]
    fields = _fields(rows)
    changed = _moment(rows, fields, CHANGED)
    time = _moment(rows, fields, TIMES) or changed
    identity = _id(rows, where) if id_ is None else id_
    held = len(found) if isinstance(found, list) else len(rows)
    return Proposal(
        where, held, identity, fields, _readings(rows, fields, time), changed, time, _unify(fields, identity, time, changed)
    )


def at(document: Any, path: str) -> Any:
    """What lies at a dotted path of an answer; the answer itself for an empty one."""
    from config.mapping import found

    return found(document, path) if path else document


def _records(document: Any) -> str:
    """The path of the longest list of objects; empty where there is none, or the answer is one."""
    lists = sorted(_lists(document, "", 0), key=lambda found: (-found[1], found[0].count("."), found[0]))
    return lists[0][0] if lists and not isinstance(document, list) else ""


def _lists(node: Any, path: str, depth: int) -> Iterator[tuple[str, int]]:
    if isinstance(node, list) and path:
        if node and all(isinstance(item, dict) for item in node[:_LOOKED_AT]):
            yield path, len(node)
    elif isinstance(node, Mapping) and depth < _DEPTH:
        for key, value in list(node.items())[:_LOOKED_AT]:
            yield from _lists(value, f"{path}.{key}" if path else str(key), depth + 1)


def _fields(rows: list[dict[str, Any]]) -> dict[str, str]:
    kinds: dict[str, set[str]] = {}
    for row in rows:
        for path, value in _leaves(row, "", 0):
            kinds.setdefault(path, set()).add(_kind(value))
    return {path: "|".join(sorted(found)) for path, found in kinds.items()}


def _leaves(node: Mapping[str, Any], path: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in list(node.items())[:_LOOKED_AT]:
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict) and depth < _DEPTH:
            yield from _leaves(value, here, depth + 1)
        else:
            yield here, value


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _id(rows: list[dict[str, Any]], where: str) -> str:
    """The field that is there in every record, plain, and in no two the same."""
    stem = re.sub(r"s$", "", where.rpartition(".")[2].lower())
    wanted = (*IDS, f"{stem}_id", f"{stem}id")
    for name in sorted({key for row in rows[:1] for key in row}, key=lambda key: _rank(key, wanted)):
        if _rank(name, wanted)[0] > len(wanted):
            break
        values = [row.get(name) for row in rows]
        if all(type(value) in (int, str) and value != "" for value in values) and len(set(values)) == len(values):
            return name
    return ""


def _rank(key: str, wanted: tuple[str, ...]) -> tuple[int, str]:
    name = key.lower()
    place = (
        wanted.index(name) if name in wanted else len(wanted) + (not name.endswith(("_id", "uuid")) and not key.endswith("Id"))
    )
    return place, key


def _words(path: str) -> list[str]:
    """The words of a path's last two names, in small letters: `heartRate.avg` → heart, rate, avg."""
    names = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", ".".join(path.split(".")[-2:]))
    return [word for word in re.split(r"[^a-z0-9]+", names.lower()) if word]


def _called(path: str, names: tuple[str, ...]) -> int | None:
    """Which of the names a path has, by its last part or with the one before; None for none. A unit at the end is no part of it."""
    words, last = _words(path), _words(path.rpartition(".")[2])
    said = {"_".join(each) for each in (words, last)}
    said |= {"_".join(each[:-1]) for each in (words, last) if len(each) > 1 and each[-1] in {*UNITS, "value"}}
    return min((names.index(name) for name in said if name in names), default=None)


def _named(fields: Mapping[str, str], names: tuple[str, ...], kinds: tuple[str, ...]) -> list[str]:
    """The fields of such a name and kind: the likeliest name first, of equal ones the shallowest."""
    fitting = {path: place for path in fields if (place := _called(path, names)) is not None and _is(fields[path], kinds)}
    return sorted(fitting, key=lambda path: (fitting[path], path.count("."), path))


def _is(types: str, kinds: tuple[str, ...]) -> bool:
    return set(types.split("|")) <= {*kinds, "null"} != {"null"} and types != "null"


def _moment(rows: list[dict[str, Any]], fields: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The likeliest field whose every value is a time that can be read."""
    from config.mapping import found
    from config.timezones import PersonZones
    from processing.normalizers.mapped_time import UnreadableTimeError, moment

    zones = PersonZones("UTC")
    for path in _named(fields, names, ("string", "integer", "number")):
        try:
            for row in rows:
                if (value := found(row, path)) is not None:
                    moment(value, None, zones)
        except UnreadableTimeError:
            continue
        return path
    return ""


def _readings(rows: list[dict[str, Any]], fields: Mapping[str, str], time: str) -> list[dict[str, str]]:
    if not time:
        return []
    read = []
    device = next(iter(_named(fields, DEVICES, ("string", "integer"))), "")
    end = _moment(rows, fields, ENDS)
    for metric, names in NAMES.items():
        if path := next(iter(_named(fields, names, ("integer", "number"))), ""):
            reading = {"metric": metric, "value": path, "time": time}
            if unit := _unit(fields, metric, path):
                reading["unit"] = unit
            if device:
                reading["device"] = device
            read.append(reading | ({"end": end} if end and METRICS[metric].kind in ("sleep", "activity") else {}))
    return read


def _unit(fields: Mapping[str, str], metric: str, path: str) -> str:
    """As the last word of the field's name says; else from a field beside it that is called so."""
    said = UNITS.get(_words(path)[-1], "")
    if said and scale(metric, said):
        return said if said != METRICS[metric].unit else ""
    beside = f"{path.rpartition('.')[0]}.unit".lstrip(".")
    return f"={beside}" if fields.get(beside) == "string" else ""


def _unify(fields: Mapping[str, str], identity: str, time: str, changed: str) -> dict[str, str]:
    text = ("string",)
    own = {path: kinds for path, kinds in fields.items() if "." not in path}
    said = {
        "source_id": identity,
        "name": next(iter(_named(own, ("name", "title", "label"), text)), ""),
        "description": next(iter(_named(own, ("description", "note", "notes", "comment", "body"), text)), ""),
        "occurred_at": time,
        "updated_at": changed,
        "deleted": next(iter(_named(own, ("deleted_at", "deleted", "is_deleted"), ("string", "boolean", "integer"))), ""),
    }
    return {name: path for name, path in said.items() if path}
