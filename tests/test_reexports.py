"""An export made again, in any of the ten sources: what it repeats counts once, what it says anew counts instead, the older stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.apple_health_exports import WINTER, heart
from tests.apple_health_exports import export as apple
from tests.every_vendor import NOON, SAMSUNG
from tests.gadgetbridge_exports import database, minute
from tests.health_connect_exports import backup, instant
from tests.vendor_bench import Read, VendorBench
from tests.vendor_exports import OMRON, SOURCES, export

LATER = ((1, 61), (2, 65))
"""Of two exports, the number in the order in which they were made, and what each says of the one measurement."""


class Made(NamedTuple):
    """How a source's export of a number, saying a value, is written, and the metric it is of."""

    metric: str
    write: Callable[[int, int], dict[str, Any]]
    archive: str = ""
    """Name of the zip it comes in, with a place for the number."""


def gadgetbridge(number: int, value: int) -> dict[str, Any]:
    rows = [minute(NOON, heart_rate=value), *(minute(NOON + 60 * n) for n in range(1, number + 1))]
    return {"Gadgetbridge.db": _bytes(lambda path: database(path, {"XIAOMI_ACTIVITY_SAMPLE": rows}))}


def health_connect(number: int, value: int) -> dict[str, Any]:
    row = instant(NOON, weight=value * 1000.0, last_modified_time=1_760_000_000_000 + number)
    return {"export.db": _bytes(lambda path: backup(path, {"weight_record_table": [row]}))}


def zepp_life(number: int, value: int) -> dict[str, Any]:
    file = export("zepp_life")
    text = file.data.decode().replace("75.5", str(value))
    return {file.name.replace("1741000000000", f"174{number}000000000"): text}


def fitbit(number: int, value: int) -> dict[str, Any]:
    said = [{"dateTime": "03/01/25 08:00:02", "value": {"bpm": value, "confidence": 3}}]
    return {export("fitbit").name: json.dumps(said)}


def withings(number: int, value: int) -> dict[str, Any]:
    group = {"grpid": 1, "attrib": 0, "date": NOON, "modified": NOON + number, "category": 1}
    measured = [{"type": 1, "value": value * 1000, "unit": -3}]
    return {"measures.json": {"status": 0, "body": {"measuregrps": [{**group, "measures": measured}]}}}


def garmin(number: int, value: int) -> dict[str, Any]:
    day = {"calendarDate": "2025-03-01", "totalSteps": value, "restingHeartRate": 55, "totalKilocalories": 2000.0}
    return {"day.json": [{**day, "wellnessEndTimeGmt": f"2025-03-01T{12 + number}:00:00.0"}]}


def samsung_health(number: int, value: int) -> dict[str, Any]:
    text = SAMSUNG.replace("datauuid,\n", "datauuid,com.samsung.health.blood_pressure.update_time,\n")
    text = text.replace("79.0", f"{value}.0").replace("555555555555,\n", f"555555555555,2025-03-0{number} 07:00:00.000,\n")
    return {"com.samsung.shealth.blood_pressure.20250302101500.csv": text}


def google_fit(number: int, value: int) -> dict[str, Any]:
    said = json.loads(export("google_fit").data)
    said["Data Points"][0] |= {"fitValue": [{"value": {"fpVal": value}}], "modifiedTimeMillis": f"{NOON + number}000"}
    return {export("google_fit").name: said}


def _bytes(make: Callable[[Path], Path]) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return make(Path(folder, "made.db")).read_bytes()


MADE = {
    "zepp_life": Made("weight", zepp_life),
    "gadgetbridge": Made("heart_rate", gadgetbridge),
    "apple_health": Made(
        "heart_rate",
        lambda n, v: {"export.xml": apple(heart(v, "2024-01-10 07:00"), exported=f"2024-02-0{n} 08:00", offset=WINTER)},
    ),
    "health_connect": Made("weight", health_connect),
    "omron": Made("diastolic", lambda _, v: {"report.csv": OMRON + f"Mar 01 2025,08:15,128,{v},64,-,-,Off,-\n"}),
    "withings": Made("weight", withings),
    "fitbit": Made("heart_rate", fitbit, "takeout-2025030{}T000000Z-001.zip"),
    "garmin": Made("steps", garmin),
    "samsung_health": Made("diastolic", samsung_health),
    "google_fit": Made("heart_rate", google_fit),
}
UNDATED = {"omron"}
"""A report says nothing of when it was made: of two that differ content decides, always the same way."""


def artifacts(bench: VendorBench, source: str, number: int, value: int, copy: str = "") -> list[Any]:
    made = MADE[source]
    files = {f"{copy}{number}/{name}": content for name, content in made.write(number, value).items()}
    return bench.tree(files, zipped=copy + made.archive.format(number) if made.archive else "")


def told(read: Read) -> list[tuple[Any, ...]]:
    return sorted((r["metric"], r["start"], r["end"], r["value"], r["raw_id"]) for r in read.readings)


@pytest.mark.parametrize("source", SOURCES)
def test_an_export_made_again_repeats_nothing_and_newer_content_of_the_same_id_wins(tmp_path: Path, source: str) -> None:
    bench, metric = VendorBench(source, tmp_path), MADE[source].metric
    older, newer = (artifacts(bench, source, number, value) for number, value in LATER)
    first, last = bench.read(older), bench.read(newer)
    assert (first.values(metric), last.values(metric)) == ([61], [65])

    again = bench.read([*newer, *artifacts(bench, source, *LATER[1], copy="copy/")])
    assert ([r["raw_id"] for r in again.records], told(again)) == ([r["raw_id"] for r in last.records], told(last))
    assert again.fates["duplicate"] == len(last.records)

    both, turned = bench.read([*older, *newer]), bench.read([*newer, *older])
    assert both.values(metric) == turned.values(metric)
    assert both.values(metric) == [65] or source in UNDATED
    assert told(both) == told(turned)
    versions = [r["raw_id"] for r in both.records]
    assert len(versions) > len(set(versions))
    assert both.ends["superseded"] == turned.ends["superseded"] >= 1
