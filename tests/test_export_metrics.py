"""Every metric of the catalogue as FHIR R4 and as Open mHealth: one valid document each, or a word that there is none."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from config.metrics import METRICS
from scripts.export import codes, fhir, omh
from scripts.export.person import Names
from scripts.export.readings import BLOOD_PRESSURE, Measurement, Reading
from tests import fhir_check, omh_check
from tests.apple_health_exports import export as apple_export
from tests.apple_health_exports import pressure, record, sleep, zipped
from tests.health_connect_exports import backup, instant
from tests.health_connect_exports import zipped as zipped_backup
from tests.test_export import export, lines, manifest, run

NAMES = Names("here")
START = int(datetime(2025, 3, 1, 6, 30, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000
NEWER = {
    "hrv_sdnn": ("80404-7", "ms", None),
    "hrv_rmssd": (None, "ms", None),
    "respiratory_rate": ("9279-1", "/min", "resprate"),
    "body_temperature": ("8310-5", "Cel", "bodytemp"),
    "body_fat": ("41982-0", "%", None),
    "basal_energy": (None, "kcal", None),
}
"""Metric → LOINC, UCUM, profile of FHIR's vital signs."""
OPEN_MHEALTH = {
    "hrv_sdnn": ("rr-interval", "rr_interval", "ms"),
    "respiratory_rate": ("respiratory-rate", "respiratory_rate", "breaths/min"),
    "body_temperature": ("body-temperature", "body_temperature", "C"),
    "body_fat": ("body-fat-percentage", "body_fat_percentage", "%"),
}
"""Metric → schema, field, unit."""


def measured(metric: str, scope: str = "instant") -> Measurement:
    """A plausible value of a metric."""
    said = METRICS[metric]
    end = START if scope == "instant" else START + (24 if scope == "day" else 1) * HOUR
    value = round(sum(said.warn) / 2, 1)
    of = Reading(date(2025, 3, 1), metric, START, end, scope, value, said.unit, 3600, "apple_health", "Watch", f"{metric}-1")
    return Measurement(metric, {metric: of}, 0)


def pair() -> Measurement:
    found = {name: measured(name).readings[name] for name in ("systolic", "diastolic")}
    return Measurement(BLOOD_PRESSURE, found, 0)


EVERY = [pair(), *(measured(m, scope) for m in METRICS for scope in ("instant", "interval", "session", "day"))]


def test_every_metric_and_scope_is_a_valid_observation_in_its_codes() -> None:
    for each in EVERY:
        told = fhir.observation(NAMES, fhir.in_bulk, each, ())
        assert fhir_check.wrong(told) == [], each.metric
        if each.metric == BLOOD_PRESSURE:
            continue
        metric = METRICS[each.metric]
        quantity = told["valueQuantity"]
        assert (quantity["system"], quantity["code"]) == (codes.UCUM, metric.unit)
        coded = {c["code"] for c in told["code"]["coding"] if c["system"] == codes.LOINC}
        assert metric.loinc in coded or (metric.loinc is None and not coded) or coded == {"41950-7"}, each.metric


@pytest.mark.parametrize("metric", NEWER)
def test_the_newer_metrics_keep_to_their_profile_or_have_a_code_of_ours(metric: str) -> None:
    loinc, ucum, profile = NEWER[metric]
    told = fhir.observation(NAMES, fhir.in_bulk, measured(metric), ())
    (coding,) = told["code"]["coding"]
    assert (coding["system"], coding["code"]) == ((codes.LOINC, loinc) if loinc else (codes.OWN, metric))
    assert told["valueQuantity"]["code"] == ucum
    assert [p.rpartition("/")[2] for p in told["meta"].get("profile", ())] == ([profile] if profile else [])
    assert told["category"][0]["coding"][0]["code"] == ("activity" if metric == "basal_energy" else "vital-signs")


def test_a_profile_is_missed_when_code_or_unit_are_others() -> None:
    told = fhir.observation(NAMES, fhir.in_bulk, measured("body_temperature"), ())
    warmer = told | {"valueQuantity": told["valueQuantity"] | {"code": "K"}}
    assert fhir_check.wrong(warmer) == ["bodytemp: value"]
    other = told | {"code": fhir.observation(NAMES, fhir.in_bulk, measured("respiratory_rate"), ())["code"]}
    assert fhir_check.wrong(other) == ["bodytemp: code"]


def test_every_metric_with_a_schema_is_a_valid_data_point() -> None:
    for each in EVERY:
        if each.metric not in omh.SCHEMAS:
            continue
        point = omh.data_point(NAMES, each, 0.0)
        if point is None:
            assert each.reading.is_instant
            assert each.metric in ("steps", "sleep_duration", "active_energy")
        else:
            assert omh_check.wrong(point) == [], each.metric
    assert {name for name, *_ in OPEN_MHEALTH.values()} <= set(omh.by_schema())


@pytest.mark.parametrize("metric", OPEN_MHEALTH)
def test_a_data_point_of_another_unit_or_without_a_time_is_refused(metric: str) -> None:
    schema, field, unit = OPEN_MHEALTH[metric]
    point = omh.data_point(NAMES, measured(metric), 0.0)
    assert point is not None
    assert (point["header"]["schema_id"]["name"], point["body"][field]["unit"]) == (schema, unit)
    assert point["body"].get("descriptive_statistic") == ("standard deviation" if metric == "hrv_sdnn" else None)
    judge = omh_check.validator(schema, point["header"]["schema_id"]["version"])
    assert judge.is_valid(point["body"])
    assert not judge.is_valid(point["body"] | {field: {"value": 1, "unit": "G"}})
    assert not judge.is_valid({field: point["body"][field]})


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a watch and two phones told on one winter's day, run as far as the daily table."""
    data = tmp_path_factory.mktemp("phone") / "data"
    inbox = data / "inbox"
    for source in ("apple_health", "health_connect"):
        (inbox / source).mkdir(parents=True)
    morning, later = "2024-01-10 07:00", "2024-01-10 08:00"
    told = [
        record("HeartRateVariabilitySDNN", "48.5", morning, unit="ms"),
        record("HeartRateVariabilitySDNN", "52.25", later, unit="ms"),
        record("RespiratoryRate", "14.5", morning, unit="count/min"),
        record("BodyTemperature", "36.6", morning, unit="degC"),
        record("BodyFatPercentage", "0.213", morning, unit="%"),
        record("BodyMass", "78.4", morning, unit="kg"),
        record("OxygenSaturation", "0.97", morning, unit="%"),
        record("HeartRate", "61", morning, unit="count/min"),
        record("RestingHeartRate", "54", morning, unit="count/min"),
        *(record(f"{kind}EnergyBurned", "70", morning, later, unit="kcal") for kind in ("Basal", "Active")),
        record("StepCount", "900", morning, later, unit="count"),
        record("DistanceWalkingRunning", "0.7", morning, later, unit="km"),
        pressure("121", "79", morning),
        sleep("AsleepCore", "2024-01-09 22:00", "2024-01-10 05:00"),
    ]
    zipped(inbox / "apple_health/export.zip", apple_export(*told))
    at = int(datetime(2024, 1, 10, 7, tzinfo=UTC).timestamp())
    rmssd = [instant(at, heart_rate_variability_millis=33.0), instant(at + 3600, heart_rate_variability_millis=35.5)]
    made = backup(data / "made.db", {"heart_rate_variability_rmssd_record_table": rmssd})
    zipped_backup(inbox / "health_connect/Health Connect.zip", made)
    made.unlink()
    run(data)
    return data


def test_a_phones_export_is_handed_out_in_every_format_and_what_no_schema_says_is_told(phone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(phone, "--format", "csv", "parquet", "fhir", "omh", "--out", str(out))
    readings = pq.read_table(out / "parquet/readings.parquet").to_pylist()
    counted = Counter(r["metric"] for r in readings if r["fate"] == "accepted")
    assert set(NEWER) <= set(counted)
    assert {(r["metric"], r["unit"], r["loinc"]) for r in readings} == {(m, METRICS[m].unit, METRICS[m].loinc) for m in counted}
    with (out / "csv/readings.csv").open(newline="", encoding="utf-8") as text:
        assert [r["loinc"] for r in csv.DictReader(text)] == [r["loinc"] or "" for r in readings]
    observations = lines(out / "fhir/Observation.ndjson")
    assert {w for o in observations for w in fhir_check.wrong(o)} == set()
    told = Counter(code["code"] for o in observations for code in o["code"]["coding"])
    assert {m: told[loinc or m] for m, (loinc, *_) in NEWER.items()} == {m: counted[m] for m in NEWER}
    points = {path.stem: lines(path) for path in (out / "omh").iterdir()}
    assert {w for found in points.values() for point in found for w in omh_check.wrong(point)} == set()
    assert {m: len(points[schema]) for m, (schema, *_) in OPEN_MHEALTH.items()} == {m: counted[m] for m in OPEN_MHEALTH}
    assert [p["body"]["rr_interval"]["value"] for p in points["rr-interval"]] == [48.5, 52.25]
    assert len(points["calories-burned"]) == counted["active_energy"]
    (said,) = manifest(out)["left_out"]
    assert said["file"] == "omh/"
    assert all(f"{m} (" in said["why"] for m in ("hrv_rmssd", "basal_energy", "distance"))
    assert day_of(out) == {
        "hrv_sdnn": 50.38,
        "hrv_rmssd": 34.25,
        "respiration_avg": 14.5,
        "body_temperature": 36.6,
        "body_fat": 21.3,
        "basal_energy": 70,
    }


def day_of(out: Path) -> dict[str, Any]:
    """The newer columns of the daily table, which CSV and Parquet tell alike."""
    (row,) = pq.read_table(out / "parquet/daily.parquet").to_pylist()
    header, line = ((out / "csv/daily.csv").read_text().splitlines()[n].split(",") for n in (0, 1))
    names = ("hrv_sdnn", "hrv_rmssd", "respiration_avg", "body_temperature", "body_fat", "basal_energy")
    assert {name: float(line[header.index(name)]) for name in names} == {name: row[name] for name in names}
    return {name: row[name] for name in names}


def test_an_export_of_one_metric_tells_only_of_it(phone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(phone, "--format", "omh", "fhir", "--metric", "hrv_rmssd", "--out", str(out))
    assert not (out / "omh").exists()
    (said,) = manifest(out)["left_out"]
    assert said["why"] == "No schema of Open mHealth says what these say: hrv_rmssd (2 readings)."
    assert {o["code"]["text"] for o in lines(out / "fhir/Observation.ndjson")} == {"Heart rate variability as RMSSD"}
