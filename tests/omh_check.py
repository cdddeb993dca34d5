"""Open mHealth's schemas: the published ones as they are, what they refer to in our words (tests/schemas/open_mhealth/README.md)."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

SCHEMAS = Path(__file__).parent / "schemas/open_mhealth"
_OWN = json.loads((SCHEMAS / "own.json").read_text())
_BASE = "https://schemas.invalid/"


def wrong(point: dict[str, Any]) -> list[str]:
    """What the header's schema, and the schema it names, have against a data point."""
    named = point["header"]["schema_id"]
    found = [e.message for e in validator("header").iter_errors(point["header"])]
    return found + [e.message for e in validator(named["name"], named["version"]).iter_errors(point["body"])]


@cache
def validator(name: str, version: str = "1.x") -> jsonschema_rs.Draft7Validator:
    """The validator of a schema."""
    return jsonschema_rs.Draft7Validator({"$ref": f"{_BASE}{name}-{version}.json"}, retriever=_retrieve)


def _retrieve(uri: str) -> Any:
    """A schema by the end of its address; `1.x` is the newest of that major version."""
    found = re.fullmatch(r"(.+)-(\d+)\.(\w+)\.json", uri.rpartition("/")[2])
    assert found, uri
    files = sorted(SCHEMAS.glob(f"{found[1]}-{found[2]}.*.json"))
    schema = json.loads(files[-1].read_text()) if files else _OWN[found[1]]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **{k: v for k, v in schema.items() if k not in ("$id", "$schema")},
    }
