"""Builds readings for tests of the processing room and reads what a stage wrote."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from config.metrics import METRICS
from config.tables import READINGS, write_table

Row = dict[str, Any]
WARSAW = ZoneInfo("Europe/Warsaw")
NEW_YORK = ZoneInfo("America/New_York")

SETTINGS: dict[str, Any] = {
    "timezone": "Europe/Warsaw",
    "timezone_overrides": [],
    "source_priority": {},
    "bp_scheme": "aha_2017",
    "home_bp_protocol": "esh_2021",
    "morning_hours": ["04:00", "12:00"],
    "evening_hours": ["18:00", "24:00"],
    "med_start_date": None,
    "events": [],
}
"""What the merge declares."""


def at(text: str, zone: ZoneInfo = WARSAW, fold: int = 0) -> datetime:
    """A local clock time."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def reading(
    metric: str,
    value: float,
    start: datetime,
    end: datetime | None = None,
    *,
    scope: str = "instant",
    source: str = "mi_fitness",
    raw_id: str | None = None,
    device: str | None = None,
    flags: Iterable[str] = (),
    day: date | None = None,
    unit: str | None = None,
) -> Row:
    """One reading; it counts for the local day of its end."""
    end = end or start
    return {
        "metric": metric,
        "value": float(value),
        "unit": unit or METRICS[metric].unit,
        "start": start.astimezone(UTC),
        "end": end.astimezone(UTC),
        "utc_offset": int((start.utcoffset() or timedelta()).total_seconds()),
        "local_date": day or end.date(),
        "scope": scope,
        "device": device,
        "source": source,
        "raw_id": raw_id or f"{source}:{start.isoformat()}",
        "flags": list(flags),
    }


def blood_pressure(
    when: datetime, systolic: float | None, diastolic: float | None, pulse: float | None = None, **more: Any
) -> list[Row]:
    """One measurement."""
    said = (("systolic", systolic), ("diastolic", diastolic), ("pulse", pulse))
    return [reading(metric, value, when, **{"source": "bp_csv", **more}) for metric, value in said if value is not None]


def night(start: datetime, end: datetime, asleep: float | None = None, **said: Any) -> list[Row]:
    """One sleep session: `deep=60`, `score=80`; the rest as in `reading`."""
    metrics = {name: said.pop(name) for name in ("deep", "light", "rem", "awake", "score") if name in said}
    rows = {"sleep_duration": asleep} if asleep is not None else {}
    rows |= {f"sleep_{name}": value for name, value in metrics.items()}
    return [reading(metric, value, start, end, **{"scope": "session", **said}) for metric, value in rows.items()]


def whole_day(metric: str, value: float, day: str, zone: ZoneInfo = WARSAW, **more: Any) -> Row:
    """A source's own figure of a local day."""
    start = at(day, zone)
    return reading(metric, value, start, start + timedelta(days=1), scope="day", day=start.date(), **more)


def save(path: Path, rows: Iterable[Row]) -> Path:
    """A normalized (or validated) table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as sink:
        write_table(sink, pa.Table.from_pylist(list(rows), schema=READINGS), READINGS)
    return path


def by_kind(folder: Path, rows: Iterable[Row]) -> dict[str, Path]:
    """The inputs of the merge: one table per kind."""
    rows = list(rows)
    kinds = dict.fromkeys(metric.kind for metric in METRICS.values())
    return {kind: save(folder / f"{kind}.parquet", (r for r in rows if METRICS[r["metric"]].kind == kind)) for kind in kinds}


def table_rows(path: Path) -> list[Row]:
    """A Parquet file's rows."""
    rows: list[Row] = pq.read_table(path).to_pylist()
    return rows


def csv_rows(path: Path) -> list[dict[str, str]]:
    """A CSV's rows as text."""
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))
