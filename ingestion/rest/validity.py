"""How many records of a page are none, or none as their stream's schema has them: counted when the page is committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Validity:
    """By a JSON Schema; without one any object will do."""

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self._valid: Any = None
        if schema is not None:
            import jsonschema_rs

            self._valid = jsonschema_rs.validator_for(dict(schema)).is_valid

    def count(self, records: Iterable[Any]) -> int:
        """How many are invalid."""
        return sum(not isinstance(record, dict) or (self._valid is not None and not self._valid(record)) for record in records)
