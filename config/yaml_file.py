"""A YAML file of settings as plain data: dates stay text, nothing is built from tags, and a fault is told with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from config.errors import SettingsError

_LARGEST = 1 << 20
"""Bytes a file of settings may have."""


class Plain(yaml.SafeLoader):
    """Leaves dates as text: one that does not exist is told with its setting's name, not as a fault of the YAML."""


Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Strict(Plain):
    """Refuses, too, a key that is there twice and aliases: a declaration says everything once, where it is read."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "aliases", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} is there twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_mapping(file: Path, named: str = "", *, what: str = "settings", loader: type[Plain] = Plain) -> dict[Any, Any]:
    """The file's `name: value` lines; {} for an empty file. `named`: what a person is told it is. Raises SettingsError."""
    named = named or file.name
    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise SettingsError(f"{named} is larger than a megabyte.", "Keep data out of it.")
        values = yaml.load(text.decode("utf-8"), loader)  # noqa: S506 - a safe loader that leaves dates alone
        values = {} if values is None else values
    except OSError as error:
        raise SettingsError(f"{named} cannot be read: {error.strerror}.", "Mend its permissions.") from None
    except RecursionError:
        raise SettingsError(f"{named} is nested too deep.", "Write one `name: value` per line.") from None
    except (yaml.YAMLError, ValueError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f" at line {line + 1}" if line is not None else ""
        problem = str(getattr(error, "problem", ""))
        if loader is Strict and problem.endswith(("aliases", "there twice")):
            why = "aliases are not followed" if problem == "aliases" else problem
            raise SettingsError(f"{named}{where}: {why}.", "Say everything once, where it belongs.") from None
        raise SettingsError(f"{named} is not valid YAML{where}.", "Mend the indentation or the quotes there.") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{named} does not hold {what}.", "Write one `name: value` per line.")
    return values
