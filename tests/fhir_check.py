"""What a FHIR R4 server checks: the types by their JSON Schema, the vital-signs profiles, and that references lead somewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs

_SCHEMA = json.loads((Path(__file__).parent / "schemas/fhir_r4.json").read_text())
_VALIDATORS = {
    kind: jsonschema_rs.Draft6Validator({**_SCHEMA, "$ref": f"#/definitions/{kind}"})
    for kind in ("Observation", "Patient", "Device", "Bundle")
}
_UCUM = "http://unitsofmeasure.org"
_UNIT = {"heartrate": "/min", "oxygensat": "%", "bodyweight": "kg", "resprate": "/min", "bodytemp": "Cel"}
_LOINC = {
    "heartrate": "8867-4",
    "oxygensat": "2708-6",
    "bodyweight": "29463-7",
    "bp": "85354-9",
    "resprate": "9279-1",
    "bodytemp": "8310-5",
}


def wrong(resource: dict[str, Any]) -> list[str]:
    """What the schema and the profiles have against a resource."""
    found = [error.message for error in _VALIDATORS[resource["resourceType"]].iter_errors(resource)]
    for canonical in resource.get("meta", {}).get("profile", ()):
        found += _wrong_by(canonical.rpartition("/")[2], resource)
    return found


def dangling(bundle: dict[str, Any]) -> set[str]:
    """References that no entry of the bundle answers."""
    known = {entry["fullUrl"] for entry in bundle["entry"]}
    return {reference for entry in bundle["entry"] for reference in references(entry["resource"])} - known


def references(found: Any) -> list[str]:
    """Every reference within a resource."""
    if isinstance(found, dict):
        mine = [found["reference"]] if "reference" in found else []
        return mine + [r for value in found.values() for r in references(value)]
    return [r for value in found for r in references(value)] if isinstance(found, list) else []


def _wrong_by(profile: str, o: dict[str, Any]) -> list[str]:
    """The vital-signs profile of R4 and the one named, as far as values go (hl7.org/fhir/R4/observation-vitalsigns.html)."""
    said = {(c["system"], c["code"]) for c in o["code"]["coding"]}
    checks = {
        "code": ("http://loinc.org", _LOINC[profile]) in said,
        "category": any(c["code"] == "vital-signs" for found in o["category"] for c in found["coding"]),
        "subject": "subject" in o,
        "effective": "effectiveDateTime" in o or "effectivePeriod" in o,
        "value": _is_quantity(o.get("valueQuantity"), _UNIT[profile]) if profile != "bp" else _is_pressure(o),
    }
    return [f"{profile}: {name}" for name, holds in checks.items() if not holds]


def _is_pressure(o: dict[str, Any]) -> bool:
    parts = {part["code"]["coding"][0]["code"]: part for part in o["component"]}
    return set(parts) == {"8480-6", "8462-4"} and all(
        _is_quantity(part.get("valueQuantity"), "mm[Hg]") != ("dataAbsentReason" in part) for part in parts.values()
    )


def _is_quantity(found: dict[str, Any] | None, unit: str) -> bool:
    return found is not None and (found["system"], found["code"]) == (_UCUM, unit) and isinstance(found["value"], int | float)
