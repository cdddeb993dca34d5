"""Measurements as HL7 FHIR R4: a patient without a name, their devices, one Observation per measurement.

Blood pressure, heart rate, oxygen saturation, respiration, temperature and body weight keep to FHIR's vital-signs profiles.
References and names follow the two ways such files are read: NDJSON (bulk data) refers to `Patient/<id>`, a transaction Bundle to the
`urn:uuid:<id>` of its entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from config.metrics import METRICS
from config.sources import SOURCES
from scripts.export import codes
from scripts.export.person import Names
from scripts.export.readings import BLOOD_PRESSURE, Measurement, Reading, moment, number

Resource = dict[str, Any]
Refer = Callable[[str, str], str]
"""(type, id) of a resource → how it is referred to."""
_OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_PAIR = ("systolic", "diastolic")
_METHODS = {
    "instant": "Single measurement",
    "interval": "Measured over an interval",
    "session": "Measured over one sleep session",
    "day": "Daily figure of the device",
}
"""How a value came about, by the scope of its reading."""


def in_bulk(kind: str, name: str) -> str:
    """A reference between files of resources."""
    return f"{kind}/{name}"


def in_bundle(kind: str, name: str) -> str:
    """A reference within a transaction."""
    return f"urn:uuid:{name}"


def patient(names: Names) -> Resource:
    """The person, of whom nothing is said but that it is the same one everywhere."""
    return {"resourceType": "Patient", "id": names.person}


def device(names: Names, refer: Refer, source: str, called: str) -> Resource:
    """A device as its source calls it."""
    return {
        "resourceType": "Device",
        "id": names.device(source, called),
        "identifier": [{"system": f"urn:personal-data-platform:device:{source}", "value": called}],
        "deviceName": [{"name": called, "type": "user-friendly-name"}],
        "patient": {"reference": refer("Patient", names.person)},
    }


def observation(names: Names, refer: Refer, measured: Measurement, flags: Sequence[str]) -> Resource:
    """A measurement, with what a person should know of it as notes."""
    reading = measured.reading
    found: Resource = {"resourceType": "Observation", "id": names.measurement(measured), "meta": _meta(measured)}
    category = codes.category(measured.metric)
    found |= {
        "identifier": [{"system": f"urn:personal-data-platform:raw-id:{reading.source}", "value": reading.raw_id}],
        "status": "final",
        "category": [_concept(_OBSERVATION_CATEGORY, category.code, category.name)],
        "code": _code(measured.metric, reading.scope),
        "subject": {"reference": refer("Patient", names.person)},
    }
    found |= _effective(reading)
    if measured.metric != BLOOD_PRESSURE:
        found["valueQuantity"] = _quantity(reading)
    if flags:
        found["note"] = [{"text": flag} for flag in flags]
    found["method"] = {"text": f"{_METHODS[reading.scope]} ({SOURCES[reading.source].title})"}
    if reading.device is not None:
        found["device"] = {"reference": refer("Device", names.device(reading.source, reading.device))}
    if measured.metric == BLOOD_PRESSURE:
        found["component"] = [_component(metric, measured.readings) for metric in _PAIR]
    return found


def entry(resource: Resource) -> Resource:
    """A resource as part of a transaction that may be sent again and again."""
    return {
        "fullUrl": f"urn:uuid:{resource['id']}",
        "resource": resource,
        "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
    }


def _meta(measured: Measurement) -> Resource:
    reading = measured.reading
    profile = codes.profile(measured.metric, reading.scope)
    found: Resource = {"source": f"urn:personal-data-platform:source:{reading.source}"}
    return found | ({"profile": [profile]} if profile else {})


def _effective(reading: Reading) -> Resource:
    start, end = (moment(at, reading.utc_offset) for at in (reading.start, reading.end))
    return {"effectiveDateTime": start} if reading.is_instant else {"effectivePeriod": {"start": start, "end": end}}


def _component(metric: str, readings: Mapping[str, Reading]) -> Resource:
    """One of the two pressures; of one that was refused only that it is not known."""
    reading = readings.get(metric)
    value = {"valueQuantity": _quantity(reading)} if reading else {"dataAbsentReason": _concept(_ABSENT, "unknown", "Unknown")}
    return {"code": _code(metric, "instant"), **value}


def _quantity(reading: Reading) -> Resource:
    unit = METRICS[reading.metric].unit
    return {"value": number(reading.value), "unit": codes.unit(reading.metric), "system": codes.UCUM, "code": unit}


def _code(metric: str, scope: str) -> Resource:
    coded = [{"system": codes.LOINC, "code": code, "display": codes.LOINC_NAMES[code]} for code in codes.loinc(metric, scope)]
    return {"coding": coded or [{"system": codes.OWN, "code": metric}], "text": codes.text(metric, scope)}


def _concept(system: str, code: str, name: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": name}], "text": name}
