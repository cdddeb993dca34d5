"""Measurements as Open mHealth data points: a header (omh:header:1.2) and a body by the schema the header names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from config.sources import SOURCES
from scripts.export.person import Names
from scripts.export.readings import BLOOD_PRESSURE, Measurement, Reading, moment, number

Body = dict[str, Any]


class Schema(NamedTuple):
    """A schema and where a value goes in it."""

    name: str
    version: str
    field: str
    unit: str
    beside: Mapping[str, str] = {}
    """What else the body says."""


_STATISTIC = "descriptive_statistic"
_PULSE = Schema("heart-rate", "2.0", "heart_rate", "beats/min")
SCHEMAS: Mapping[str, Schema] = {
    BLOOD_PRESSURE: Schema("blood-pressure", "4.0", "", "mmHg"),
    "pulse": _PULSE,
    "heart_rate": _PULSE,
    "heart_rate_mean": _PULSE._replace(beside={_STATISTIC: "average"}),
    "heart_rate_min": _PULSE._replace(beside={_STATISTIC: "minimum"}),
    "heart_rate_max": _PULSE._replace(beside={_STATISTIC: "maximum"}),
    "resting_heart_rate": _PULSE._replace(beside={"temporal_relationship_to_physical_activity": "at rest"}),
    "sleep_duration": Schema("sleep-duration", "2.0", "sleep_duration", "min"),
    "steps": Schema("step-count", "3.0", "step_count", "steps"),
    "active_energy": Schema("calories-burned", "3.0", "kcal_burned", "kcal"),
    "weight": Schema("body-weight", "3.0", "body_weight", "kg"),
    "spo2": Schema("oxygen-saturation", "2.0", "oxygen_saturation", "%"),
    "hrv_sdnn": Schema("rr-interval", "2.0", "rr_interval", "ms", {_STATISTIC: "standard deviation"}),
    "body_fat": Schema("body-fat-percentage", "2.0", "body_fat_percentage", "%"),
    "respiratory_rate": Schema("respiratory-rate", "3.0", "respiratory_rate", "breaths/min"),
    "body_temperature": Schema("body-temperature", "4.0", "body_temperature", "C"),
}
"""Metric → its schema; the others have none that says what they say: `calories-burned` is what moving burns, not rest, and no schema
knows of successive differences (RMSSD), distance, stages or scores."""
_ONLY_INTERVALS = ("sleep-duration", "step-count", "calories-burned")
"""Schemas that refuse an instant."""


def by_schema() -> dict[str, frozenset[str]]:
    """Schema → the metrics it takes."""
    found: dict[str, set[str]] = {}
    for metric, schema in SCHEMAS.items():
        found.setdefault(schema.name, set()).update({"systolic", "diastolic"} if metric == BLOOD_PRESSURE else {metric})
    return {name: frozenset(metrics) for name, metrics in found.items()}


def data_point(names: Names, measured: Measurement, stored_at: float) -> Body | None:
    """A measurement; None for one its schema cannot hold. `stored_at`: when its table was made, seconds since 1970."""
    schema, reading = SCHEMAS[measured.metric], measured.reading
    body = _body(schema, measured)
    if body is None or (reading.is_instant and schema.name in _ONLY_INTERVALS):
        return None
    body["effective_time_frame"] = _frame(reading)
    source = SOURCES[reading.source]
    header = {
        "id": names.measurement(measured),
        "creation_date_time": datetime.fromtimestamp(int(stored_at), UTC).isoformat(),
        "schema_id": {"namespace": "omh", "name": schema.name, "version": schema.version},
        "acquisition_provenance": {
            "source_name": source.title,
            "source_data_point_id": reading.raw_id,
            "source_creation_date_time": moment(reading.end, reading.utc_offset),
            "modality": source.modality,
        },
        "user_id": names.person,
    }
    return {"header": header, "body": body | dict(schema.beside)}


def _body(schema: Schema, measured: Measurement) -> Body | None:
    if measured.metric != BLOOD_PRESSURE:
        return {schema.field: _value(measured.reading, schema.unit)}
    if len(measured.readings) < 2:
        return None
    return {f"{metric}_blood_pressure": _value(measured.readings[metric], schema.unit) for metric in ("systolic", "diastolic")}


def _value(reading: Reading, unit: str) -> Body:
    return {"value": number(reading.value), "unit": unit}


def _frame(reading: Reading) -> Body:
    start, end = (moment(at, reading.utc_offset) for at in (reading.start, reading.end))
    return {"date_time": start} if reading.is_instant else {"time_interval": {"start_date_time": start, "end_date_time": end}}
