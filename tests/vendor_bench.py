"""Runs a source's two steps, records and readings, on files of an export: what a test of a vendor's traps needs."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from config.stage import Finding, Report
from tests.stage_bench import StageBench, as_file

SETTINGS: Mapping[str, Any] = {"timezone": "Europe/Warsaw", "timezone_overrides": [], "own_users": {}}


class Read(NamedTuple):
    """What came of an export."""

    records: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    readings: list[dict[str, Any]]
    rejected: list[dict[str, Any]]
    first: Report
    second: Report

    @property
    def fates(self) -> dict[str, int]:
        """Of the rows that came in."""
        return self.first["balance"]["fates"]

    @property
    def ends(self) -> dict[str, int]:
        """Of the records."""
        return self.second["balance"]["fates"]

    @property
    def findings(self) -> list[Finding]:
        return self.first["findings"]

    def values(self, metric: str) -> list[float]:
        """By time."""
        return [round(r["value"], 6) for r in sorted(self.readings, key=lambda r: r["start"]) if r["metric"] == metric]

    def starts(self, metric: str) -> list[str]:
        """UTC, by time."""
        return sorted(r["start"].strftime("%Y-%m-%dT%H:%M:%S") for r in self.readings if r["metric"] == metric)

    def days(self, metric: str) -> list[str]:
        return sorted(str(r["local_date"]) for r in self.readings if r["metric"] == metric)

    def reasons(self) -> Counter[str]:
        return Counter(r["reason"] for r in self.rejected)


class VendorBench:
    """One source; `read` takes the tree of an export, as files or in zips."""

    def __init__(self, source: str, folder: Path) -> None:
        self._records = import_module(f"ingestion.{source}.records").records
        self._normalize = import_module(f"processing.normalizers.{source}").normalize
        self._bench, self._folder = StageBench(folder / "bench"), folder
        self._exports = 0

    def tree(self, files: Mapping[str, str | bytes | Any], *, zipped: str = "") -> list[Any]:
        """Files by name, as raw artifacts; JSON for what is neither text nor bytes. `zipped`: the name of one archive of them."""
        self._exports += 1
        root = self._folder / f"export{self._exports}"
        found = []
        for name, content in files.items():
            data = (
                content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
            )
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            found.append(as_file(path, name))
        if not zipped:
            return found
        archive = root / "archive.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in files:
                packed.write(root / name, name)
        return [as_file(archive, zipped)]

    def read(self, files: Mapping[str, Any] | list[Any], **settings: Any) -> Read:
        """Both steps over an export, or over the artifacts of several."""
        given = {**SETTINGS, **settings}
        artifacts = files if isinstance(files, list) else self.tree(files)
        first, out = self._bench.run(self._records, {"raw": artifacts}, given)
        second, end = self._bench.run(self._normalize, {"records": out / "records"}, given)
        records, letters = (pq.read_table(out / name).to_pylist() for name in ("records", "dead_letters"))
        readings, rejected = (pq.read_table(end / name).to_pylist() for name in ("readings", "rejected"))
        for record in records:
            record["raw"] = json.loads(record["raw"])
        return Read(records, letters, readings, rejected, first, second)
