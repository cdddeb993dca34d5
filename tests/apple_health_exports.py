"""Apple Health exports as the Health app writes them, traps included."""

from __future__ import annotations

import itertools
import json
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pyarrow.parquet as pq

from config.metrics import KINDS
from config.stage import Report
from ingestion.apple_health.records import records
from processing.aggregators.daily_metrics import merge
from processing.normalizers.apple_health import normalize
from processing.validators import readings as validators
from tests.stage_bench import StageBench

WARSAW: dict[str, Any] = {"timezone": "Europe/Warsaw", "timezone_overrides": []}
SUMMER, WINTER = "+0200", "+0100"
DTD = """<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 14 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary|ClinicalRecord)*)>
<!ATTLIST HealthData
  locale CDATA #REQUIRED
>
<!-- Note: Any Records that appear as children of a correlation also appear as top-level records in this document. -->
]>
"""
BROKEN_DTD = DTD.replace("]>", "<!ATTLIST WorkoutEvent\n  type  CDATA  #REQUIRED\n  startDate\n HKMetadata IMPLIED ?>\n]>")
_RUNS = itertools.count()


def printed(utc: str, offset: str = SUMMER) -> str:
    """An instant (UTC, `2024-01-10 07:00`) as an export made at this offset prints it."""
    hours = timedelta(hours=int(offset[:3]), minutes=int(offset[0] + offset[3:]))
    moment = datetime.fromisoformat(utc).replace(tzinfo=UTC).astimezone(timezone(hours))
    return moment.strftime("%Y-%m-%d %H:%M:%S ") + offset


def attributes(pairs: dict[str, str]) -> str:
    return " ".join(f"{name}={quoteattr(value)}" for name, value in pairs.items())


def record(
    type_: str,
    value: str,
    start: str,
    end: str | None = None,
    *,
    unit: str | None = None,
    source: str = "Apple Watch",
    offset: str = SUMMER,
    device: str | None = None,
    metadata: dict[str, str] | None = None,
    **more: str,
) -> str:
    """One `Record`; times in UTC."""
    prefix = "HKCategoryTypeIdentifier" if type_ == "SleepAnalysis" else "HKQuantityTypeIdentifier"
    pairs = {"type": prefix + type_, "sourceName": source, "sourceVersion": "9.1"}
    pairs |= {"device": device} if device else {}
    pairs |= {"unit": unit} if unit else {}
    pairs["creationDate"] = printed(end or start, offset)
    pairs |= {"startDate": printed(start, offset), "endDate": printed(end or start, offset), "value": value} | more
    if not metadata:
        return f" <Record {attributes(pairs)}/>\n"
    entries = "".join(f"  <MetadataEntry {attributes({'key': k, 'value': v})}/>\n" for k, v in metadata.items())
    return f" <Record {attributes(pairs)}>\n{entries} </Record>\n"


def heart(bpm: int, start: str, **more: Any) -> str:
    return record("HeartRate", str(bpm), start, unit="count/min", **more)


def sleep(stage: str, start: str, end: str, **more: Any) -> str:
    return record("SleepAnalysis", f"HKCategoryValueSleepAnalysis{stage}", start, end, **more)


def pressure(systolic: str, diastolic: str, start: str, *, unit: str = "mmHg", correlated: bool = True, **more: Any) -> str:
    """A pair as the app writes it: two records, and once more within their correlation."""
    pair = record("BloodPressureSystolic", systolic, start, unit=unit, **more)
    pair += record("BloodPressureDiastolic", diastolic, start, unit=unit, **more)
    if not correlated:
        return pair
    offset = more.get("offset", SUMMER)
    pairs = {
        "type": "HKCorrelationTypeIdentifierBloodPressure",
        "sourceName": more.get("source", "Apple Watch"),
        "sourceVersion": "9.1",
        "creationDate": printed(start, offset),
        "startDate": printed(start, offset),
        "endDate": printed(start, offset),
    }
    return f" <Correlation {attributes(pairs)}>\n{pair} </Correlation>\n{pair}"


def export(*elements: str, exported: str = "2024-07-19 08:00", offset: str = SUMMER, dtd: str = DTD) -> str:
    """The whole `export.xml`."""
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n{dtd}<HealthData locale="en_PL">\n'
    return f'{head} <ExportDate value="{printed(exported, offset)}"/>\n{"".join(elements)}</HealthData>\n'


def zipped(path: Path, text: str | bytes, name: str = "apple_health_export/export.xml", **others: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
        for other, data in others.items():
            archive.writestr(other, data)
    return path


class Run:
    """Exports through the real steps: records, readings and, on demand, the daily table."""

    def __init__(self, tmp_path: Path, *exports: str | bytes | Path, settings: dict[str, Any] = WARSAW) -> None:
        folder = tmp_path / f"run{next(_RUNS)}"
        folder.mkdir()
        files: list[str | Path] = []
        for number, given in enumerate(exports):
            if isinstance(given, Path):
                files.append(given)
                continue
            path = folder / f"{number}.xml"
            path.write_bytes(given if isinstance(given, bytes) else given.encode())
            files.append(path)
        self._bench = StageBench(folder / "bench")
        self._settings = settings
        self.report, out = self._bench.run(records, {"raw": files}, settings)
        self.records = pq.read_table(out / "records").to_pylist()
        for row in self.records:
            row["raw"] = json.loads(row["raw"])
        self.letters = pq.read_table(out / "dead_letters").to_pylist()
        self.normalized: Report
        self.normalized, made = self._bench.run(normalize, {"records": out / "records"}, {"own_users": {}, **settings})
        self._readings = made / "readings"
        self.readings = pq.read_table(made / "readings").to_pylist()
        self.rejected = pq.read_table(made / "rejected").to_pylist()

    @property
    def fates(self) -> dict[str, int]:
        return self.report["balance"]["fates"]

    @property
    def read(self) -> dict[str, int]:
        return self.normalized["balance"]["fates"]

    def values(self, metric: str) -> list[float]:
        return [r["value"] for r in self.readings if r["metric"] == metric]

    def unread(self) -> list[str]:
        return [str(f["message"]).rsplit(": ", 1)[-1].rstrip(".") for f in self.report["findings"] if f["code"] == "not_read"]

    def days(self) -> dict[str, dict[str, Any]]:
        """The daily table by date, through validation and merge."""
        valid = {}
        for kind in KINDS:
            stage = getattr(validators, f"validate_{kind}")
            _, out = self._bench.run(stage, {"apple_health": self._readings}, {"plausibility": {}})
            valid[kind] = out / "readings"
        settings = {
            "source_priority": {},
            "bp_scheme": "aha_2017",
            "home_bp_protocol": "esh_2021",
            "morning_hours": ["04:00", "12:00"],
            "evening_hours": ["18:00", "24:00"],
            "med_start_date": None,
            "events": [],
            **self._settings,
        }
        _, out = self._bench.run(merge, dict(valid), settings)
        return {str(row["date"]): row for row in pq.read_table(out / "parquet").to_pylist()}
