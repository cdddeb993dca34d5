"""The secrets of a source: by the names of their environment variables, and hidden wherever something is written down."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from config.errors import SettingsError

_SHORTEST = 4
"""A shorter one would be found in texts by chance."""


class Secrets:
    """Variable → value. Further ones (a token of an hour) are told as they come."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any], needed: Iterable[str]) -> Secrets:
        """Those of a source: its secret `tokens_<name>`, JSON of {variable: value}. Raises SettingsError where one is missing."""
        needed = list(needed)
        if missing := cls.missing(name, settings, needed):
            raise SettingsError(
                f"{name} cannot sign in: {', '.join(missing)} is not set.",
                "Set it in the environment or in .env; never in a settings file.",
            )
        values = _values(name, settings) if needed else {}
        return cls({variable: str(values[variable]) for variable in needed})

    @staticmethod
    def missing(name: str, settings: Mapping[str, Any], needed: Iterable[str]) -> list[str]:
        """Those that are not set."""
        needed = list(needed)
        values = _values(name, settings) if needed else {}
        return [variable for variable in needed if not values.get(variable)]

    def __getitem__(self, variable: str) -> str:
        return self._values[variable]

    def add(self, name: str, value: str) -> None:
        """One that the server has given."""
        self._values[name] = value

    def hidden(self, text: str) -> str:
        """The text with every secret in it as `{{NAME}}`: page links of some servers hold the token."""
        for name, value in self._values.items():
            if len(value) >= _SHORTEST:
                for written in dict.fromkeys((value, quote(value, safe=""), quote_plus(value), quote(value))):
                    text = text.replace(written, f"{{{{{name}}}}}")
        return text

    def shown(self, text: str) -> str:
        """What `hidden` hid, as it stands in an address."""
        for name, value in self._values.items():
            text = text.replace(f"{{{{{name}}}}}", quote(value, safe=""))
        return text


def _values(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    said = settings[f"tokens_{name}"]
    return dict(json.loads(said)) if isinstance(said, str) and said else dict(said or {})
