"""One declared source: its YAML file as a checked declaration, or the one sentence that says what is wrong in it and how it should be."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from config.declared import shown
from config.errors import SettingsError
from config.mapping import plain
from config.rest import RestDeclaration
from config.wrong_settings import reason
from config.yaml_file import Strict, read_mapping


class Said(NamedTuple):
    """What a file declares, as nodes' settings carry it."""

    rest: dict[str, Any]
    readings: list[dict[str, Any]]
    unify: dict[str, Any] | None
    tokens: tuple[str, ...]


def declaration(name: str, file: Path, reserved: frozenset[str] = frozenset()) -> Said:
    """The source `name` as its file declares it. Raises SettingsError."""
    values = read_mapping(file, shown(file), what="the declaration of a source", loader=Strict)
    return checked(name, values, shown(file), reserved)


def checked(name: str, values: Mapping[Any, Any], told: str, reserved: frozenset[str] = frozenset()) -> Said:
    """The same from its values; `told`: what a person calls the file. Raises SettingsError."""
    values = {key: value for key, value in _named(values).items() if value is not None}
    if values.setdefault("name", name) != name:
        raise SettingsError(
            f"{told} calls its source otherwise than the file is called.", f"Leave `name` out, or write name: {name}"
        )
    try:
        found = RestDeclaration.model_validate(values)
    except ValidationError as error:
        raise _explained(error, told) from None
    for variable in found.tokens():
        if variable in reserved:
            raise SettingsError(
                f"{told} would send {variable} to its API; that is a secret of the platform itself.",
                f"Keep the API's own token in a variable of its own, such as {name.upper()}_TOKEN.",
            )
    streams = {stream.name for stream in found.streams}
    for reading in found.readings:
        if reading.stream and reading.stream not in streams:
            raise SettingsError(
                f"{told} maps a reading of the stream {reading.stream!r}, which it does not have.",
                f"Its streams are: {', '.join(sorted(streams))}.",
            )
    rest = found.model_dump(mode="json", by_alias=True, exclude={"readings", "unify"}, exclude_defaults=True)
    for stream in rest["streams"]:  # a change of the mapping alone makes no records anew
        time = next((r.time for r in found.readings if r.stream in ("", stream["name"])), "")
        if time:
            stream.setdefault("time", time)
    readings = [plain(reading.mapped()) for reading in found.readings]
    return Said(rest, readings, plain(found.unify.unify()) if found.unify else None, found.tokens())


def _named(value: Any) -> Any:
    """The same with keys that are text: YAML reads `1:` and `no:` otherwise."""
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else json.dumps(key, default=str): _named(inner) for key, inner in value.items()}
    return [_named(item) for item in value] if isinstance(value, list) else value


def _explained(error: ValidationError, told: str) -> SettingsError:
    """Names the file, the key, what is wrong with it and an example; never the value given."""
    faults = error.errors(include_input=False, include_url=False)
    first = next(
        (fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0]
    )  # a misspelt name causes the others
    kind, context = str(first["type"]), first.get("ctx", {})
    at, around = _node(first["loc"][:-1]), _node(first["loc"])
    where = _where(first["loc"])
    if kind == "extra_forbidden":
        known = _keys(at)
        name = str(first["loc"][-1])
        near = difflib.get_close_matches(name, known, 1)
        mend = f"Did you mean {near[0]!r}?" if near else f"Known there: {', '.join(known)}."
        return SettingsError(f"{told}: there is no key {where!r}.", mend)
    if kind.startswith("union_tag"):
        kinds = sorted(_variants(around))
        return SettingsError(
            f"{told}: {where or 'it'} says no known `type`.",
            f"Known: {', '.join(kinds)}. Example: type: {'bearer' if 'bearer' in kinds else kinds[0]}",
        )
    if kind == "missing":
        return SettingsError(f"{told}: the key {where!r} is missing.", _example(str(first["loc"][-1]), around))
    why = _reason(kind, context)
    return SettingsError(f"{told}: {where or 'the declaration'} is wrong: {why}.", _example(_last_key(first["loc"]), around))


def _reason(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "string_pattern_mismatch" and "A-Z" in str(context.get("pattern", "")) and "a-z" not in str(context["pattern"]):
        return "it should be the name of an environment variable, in capitals; the secret itself belongs in that variable"
    return reason(kind, context)


def _where(loc: Sequence[int | str]) -> str:
    """A key as a person writes it: `streams[0].pages.param`, without the words that only tell kinds apart."""
    told, node = "", _SCHEMA
    for n, part in enumerate(loc):
        node = _node(loc[:n])
        if isinstance(part, int):
            told += f"[{part}]"
        elif part in _variants(node) and part not in _keys(node):
            continue
        elif not part.startswith(("function-", "list[", "constrained-", "[key]")) and part not in ("str", "int", "float", "bool"):
            told += f".{part}" if told else part
    return told


def _last_key(loc: Sequence[int | str]) -> str:
    keys = [part for n, part in enumerate(loc) if isinstance(part, str) and part in _keys(_node(loc[:n]))]
    return keys[-1] if keys else ""


def _example(key: str, node: Mapping[str, Any]) -> str:
    """What the key is for, and how it may look."""
    description = node.get("description", "")
    shapes = _shapes(node)
    description = "" if any("properties" in shape for shape in shapes) else description  # of a part the keys have their own
    example = next((shape["examples"][0] for shape in shapes if shape.get("examples")), None)
    if example is None and (
        default := next((shape["default"] for shape in shapes if shape.get("default") not in (None, "")), None)
    ):
        example = default
    written = example if isinstance(example, str) else json.dumps(example)
    text = f"Example: {key}: {written}" if key and example is not None else ""
    return " ".join(filter(None, (description, text))) or "docs/connectors.md shows every key."


_SCHEMA: dict[str, Any] = RestDeclaration.model_json_schema()


def _resolved(node: Mapping[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        rest = {name: value for name, value in node.items() if name != "$ref"}
        node = {**_SCHEMA["$defs"][node["$ref"].rpartition("/")[2]], **rest}
    return dict(node)


def _shapes(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a value may look like: most often one way, or that and null."""
    return [dict(node), *(_resolved(option) for option in node.get("anyOf", ()))]


def _keys(node: Mapping[str, Any]) -> list[str]:
    """The keys a part may have."""
    return sorted({key for shape in _shapes(node) for key in shape.get("properties", {})})


def _variants(node: Mapping[str, Any]) -> dict[str, Any]:
    """Kinds that a part may be of, by their `type`."""
    return next((option["discriminator"]["mapping"] for option in _shapes(node) if "discriminator" in option), {})


def _node(loc: Sequence[int | str]) -> dict[str, Any]:
    """The JSON Schema of what lies at this place of a declaration."""
    node = _resolved(_SCHEMA)
    for part in loc:
        options = _shapes(node)
        kinds = _variants(node)
        found = next((o["properties"][part] for o in options if part in o.get("properties", {})), None)
        if found is None and part in kinds:
            found = {"$ref": kinds[part]}
        if found is None and isinstance(part, int):
            found = next((o["items"] for o in options if "items" in o), None)
        if found is not None:
            node = _resolved(found)
    return node
