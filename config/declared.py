"""What the sources' own declarations say, read and judged with the settings: API, readings, unified fields, secrets.

A source that is code says it in `config.sources`; one that is not, in a file of the folder `rest` beside the settings. A fault in
such a file is a SettingsError with the file, the key and an example.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from config.errors import SettingsError
from config.mapping import plain
from config.sources import DECLARED, MISNAMED, REST_FOLDER, SOURCES, name_fault


class Declared(NamedTuple):
    """The declarations of all sources."""

    rest: dict[str, dict[str, Any]]
    """Source → its API as plain data; of those that a file declares."""
    readings: dict[str, list[dict[str, Any]]]
    unify: dict[str, dict[str, Any] | None]
    tokens: dict[str, dict[str, str]]
    """Source → {variable: secret or '' where it is not set}."""

    def settings(self) -> dict[str, Any]:
        """As nodes may declare them: `rest_<name>`, `readings_<name>`, `unify_<name>`; and which variables it lacks to sign in."""
        found: dict[str, Any] = {}
        for name in SOURCES:
            found[f"rest_{name}"] = self.rest.get(name, {})
            found[f"readings_{name}"] = self.readings.get(name, [])
            found[f"unify_{name}"] = self.unify.get(name)
            found[f"missing_tokens_{name}"] = [v for v, secret in self.tokens.get(name, {}).items() if not secret]
        return found

    def secrets(self) -> dict[str, str]:
        """As nodes may declare them: `tokens_<name>`, JSON of the variables that are set; empty when none is."""
        found = {f"tokens_{name}": "" for name in SOURCES}
        for name, tokens in self.tokens.items():
            held = {variable: value for variable, value in sorted(tokens.items()) if value}
            found[f"tokens_{name}"] = json.dumps(held) if held else ""
        return found

    def variables(self) -> list[str]:
        """Every environment variable a source keeps a secret in."""
        return sorted({variable for tokens in self.tokens.values() for variable in tokens})


def read(env_file: Path, reserved: frozenset[str] = frozenset()) -> Declared:
    """All of them. `reserved`: variables that hold secrets of the platform itself, which no file may send.
    Raises SettingsError."""
    for file in MISNAMED:
        raise _misnamed(file)
    rest: dict[str, dict[str, Any]] = {}
    readings = {name: [plain(mapped) for mapped in source.readings] for name, source in SOURCES.items()}
    unify = {name: plain(source.unify) if source.unify else None for name, source in SOURCES.items()}
    tokens = {name: source.tokens for name, source in SOURCES.items() if source.tokens}
    for name, path in DECLARED.items():
        from config.rest_files import declaration  # imports the models: only who declares pays for them

        said = declaration(name, Path(path), reserved)
        rest[name], readings[name], unify[name], tokens[name] = said
    values = held(env_file) if tokens else {}
    return Declared(rest, readings, unify, {name: {v: values.get(v, "") for v in needed} for name, needed in tokens.items()})


def shown(path: str | Path) -> str:
    """What a person calls the file of a declaration: `rest/heart.yaml`, never a path of the machine."""
    return f"{os.path.basename(REST_FOLDER)}/{os.path.basename(path)}"


def _misnamed(file: str) -> SettingsError:
    stem, ending = os.path.splitext(file)
    fault = name_fault(stem)
    if not fault and ending == ".yml":
        return SettingsError(f"{shown(file)} is not read: declarations end in .yaml.", f"Rename it to {stem}.yaml.")
    return SettingsError(f"{shown(file)} cannot name a source: {fault}.", "Rename the file, for example to my_source.yaml.")


def held(env_file: Path) -> Mapping[str, str]:
    """What a variable holds: the environment over `.env`."""
    from dotenv import dotenv_values

    own = dotenv_values(env_file, encoding="utf-8") if env_file.is_file() else {}
    return {name: value for name, value in own.items() if value is not None} | dict(os.environ)
