"""Blood pressure files through their real stages: write a file, get records, dead letters, readings and rejections back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from config.stage import Report
from ingestion.bp_csv.records import records as csv_records
from ingestion.google_sheets.records import records as sheet_records
from processing.normalizers.blood_pressure import normalize_bp_csv, normalize_google_sheets
from tests.stage_bench import StageBench, as_file

SETTINGS: dict[str, Any] = {"timezone": "Europe/Warsaw", "timezone_overrides": [], "own_users": {}, "bp_csv_presets": {}}
STAGES = {"google_sheets": (sheet_records, normalize_google_sheets), "bp_csv": (csv_records, normalize_bp_csv)}


class Made(NamedTuple):
    """What came of some files."""

    report: Report
    records: list[dict[str, Any]]
    letters: list[dict[str, Any]]
    normalized: Report
    readings: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    out: Path

    @property
    def fates(self) -> dict[str, int]:
        return self.report["balance"]["fates"]

    @property
    def values(self) -> list[tuple[str, ...]]:
        """`07:30 128/82 64` per instant, local clock of Warsaw-like offset, in order of time."""
        found: dict[Any, dict[str, float]] = {}
        for r in self.readings:
            found.setdefault((r["start"], r["raw_id"]), {})[r["metric"]] = r["value"]
        return [
            tuple(f"{values[m]:g}" if m in values else "" for m in ("systolic", "diastolic", "pulse"))
            for _, values in sorted(found.items())
        ]

    @property
    def reasons(self) -> list[tuple[str, str | None]]:
        return [(r["reason"], r["field"]) for r in self.rejected]

    def raws(self) -> list[dict[str, Any]]:
        return [json.loads(r["raw"]) for r in self.records]


def run(source: str, folder: Path, files: dict[str, bytes | str], settings: dict[str, Any] | None = None) -> Made:
    """The files through `records` and the normalizer of a source."""
    paths = []
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        paths.append(as_file(path, name))
    bench, declared = StageBench(folder / "stages"), {**SETTINGS, **(settings or {})}
    make, normalize = STAGES[source]
    report, out = bench.run(make, {"raw": paths}, declared)
    normalized, after = bench.run(normalize, {"records": out / "records"}, declared)
    tables = [
        pq.read_table(p).to_pylist() for p in (out / "records", out / "dead_letters", after / "readings", after / "rejected")
    ]
    assert report["rows"] == {"records": len(tables[0]), "dead_letters": len(tables[1])}
    assert normalized["balance"]["came"] == len(tables[0])
    return Made(report, tables[0], tables[1], normalized, tables[2], tables[3], after)
