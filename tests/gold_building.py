"""Builds gold for tests: from rows written by hand through the real merge, or the shipped year through the real pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from config.metrics import KINDS, METRICS
from config.stage import File, Report
from config.tables import DEAD_LETTERS, READINGS, RECORDS, REJECTED_READINGS, REJECTED_RECORDS, write_table
from processing.aggregators.daily_metrics import merge
from tests.readings_bench import SETTINGS, Row, by_kind
from tests.stage_bench import StageBench, as_file
from warehouse.gold.build import build

OF_GOLD: dict[str, Any] = SETTINGS | {
    "environment": "test",
    "steps_goal": 8000,
    "sleep_target_minutes": 450,
    "pipeline_version": "1.2.3",
}
"""What the node declares."""


class Built:
    """A gold file and the stage's report."""

    def __init__(self, path: Path, report: Report) -> None:
        self.path = path
        self.report = report

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Instants come in UTC."""
        return rows_of(self.path, sql)

    def one(self, sql: str) -> dict[str, Any]:
        (row,) = self.rows(sql)
        return row


def rows_of(path: Path, sql: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(path), read_only=True) as gold:
        gold.execute("SET TimeZone = 'UTC'")
        found: list[dict[str, Any]] = gold.sql(sql).to_arrow_table().to_pylist()
    return found


def built(
    folder: Path,
    readings: Iterable[Row],
    *,
    records: Mapping[str, Sequence[Row]] | None = None,
    refused_readings: Iterable[Row] = (),
    refused_records: Mapping[str, Sequence[Row]] | None = None,
    letters: Mapping[str, Sequence[Row]] | None = None,
    raw: Mapping[str, Sequence[File]] | None = None,
    **settings: Any,
) -> Built:
    """Gold of these readings and of what was refused beside them; records, raw artifacts and the like by source."""
    rows, refused = list(readings), list(refused_readings)
    _, merged = StageBench(folder / "merge").run(merge, by_kind(folder / "in", rows), {**SETTINGS, **_known(settings)})
    sources = sorted(
        {"bp_csv"}
        | {row["source"] for row in rows}
        | set(records or {})
        | set(refused_records or {})
        | set(letters or {})
        | set(raw or {})
    )
    inputs: dict[str, Any] = {role: merged / role for role in ("parquet", "by_source", "protocol", "choices")}
    for kind in KINDS:
        of_kind = [row for row in refused if METRICS[row["metric"]].kind == kind]
        inputs[f"{kind}.rejected"] = _table(folder / f"{kind}.rejected", of_kind, REJECTED_READINGS)
    for source in sources:
        inputs[f"{source}.rejected"] = _table(
            folder / f"{source}.rejected", (refused_records or {}).get(source, ()), REJECTED_RECORDS
        )
        inputs[f"{source}.records"] = _table(folder / f"{source}.records", (records or {}).get(source, ()), RECORDS)
        inputs[f"{source}.dead_letters"] = _table(folder / f"{source}.letters", (letters or {}).get(source, ()), DEAD_LETTERS)
        inputs[f"{source}.raw"] = list((raw or {}).get(source, ()))
    return of_files(folder / "gold", inputs, **settings)


def of_files(folder: Path, inputs: Mapping[str, Any], **settings: Any) -> Built:
    """Gold of these files, by role."""
    report, out = StageBench(folder).run(build, inputs, {**OF_GOLD, **settings})
    return Built(out / "gold", report)


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name in SETTINGS}


def _table(path: Path, rows: Iterable[Row], schema: pa.Schema) -> File:
    with path.open("wb") as sink:
        write_table(sink, pa.Table.from_pylist(list(rows), schema=schema), schema)
    return as_file(path)


def refused_reading(row: Row, reason: str) -> Row:
    """As validation writes it."""
    assert set(row) == set(READINGS.names)
    return {**row, "reason": reason}
