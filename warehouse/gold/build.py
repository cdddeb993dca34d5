"""Builds gold: one DuckDB file of analytical tables, made whole from validated readings, the merge, records and refusals.

The tables are SQL, one file per table or group in `sql/`; here they are given their inputs, in order, with little memory.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from config.daily import COLUMNS
from config.metrics import METRICS
from config.stage import File, Inputs, Outputs, Report
from config.timezones import PersonZones
from warehouse.gold.marks import events

if TYPE_CHECKING:
    import duckdb

_HERE = os.path.dirname(os.path.abspath(__file__))

BEFORE_THE_CLOCK = ("macros", "inputs", "meta")
AFTER_THE_CLOCK = (
    "daily",
    "readings",
    "blood_pressure",
    "heart_rate",
    "sleep",
    "periods",
    "rolling",
    "medication",
    "correlations",
    "records",
    "quality",
    "catalog",
)
"""The files of `sql/` in the order in which they build on each other."""

MEMORY = "200MB"
"""What DuckDB may hold before it uses its scratch folder."""


def build(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Stage function of `gold.metrics`.

    Roles read: `parquet`, `by_source`, `protocol`, `choices` (merge); `<kind>.rejected` (validation); and of every source
    `<source>.rejected` (normalization), `<source>.records`, `<source>.dead_letters`, `<source>.raw`. Writes role `gold`.
    """
    path = outputs.path("gold")
    with _opened(path) as gold:
        _give(gold, inputs, settings)
        for name in BEFORE_THE_CLOCK:
            gold.execute(_sql(name))
        _set_clock(gold, settings)
        for name in AFTER_THE_CLOCK:
            gold.execute(_sql(name))
        rows = gold.execute("SELECT coalesce(sum(estimated_size), 0) FROM duckdb_tables() WHERE NOT temporary").fetchall()[0][0]
        gold.execute("CHECKPOINT")
    return {"rows": {"gold": int(rows)}}


@contextmanager
def _opened(path: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new database at this path, only for its owner; what it spills lies beside it and goes when it is closed."""
    import duckdb

    scratch = f"{path}.scratch"
    limits: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": 2,
        "temp_directory": scratch,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(path, config=limits) as gold:
            os.chmod(path, 0o600)
            gold.execute("SET TimeZone = 'UTC'")
            yield gold
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _give(gold: duckdb.DuckDBPyConnection, inputs: Inputs, settings: Mapping[str, Any]) -> None:
    """The inputs as variables that the SQL reads: paths of files, and small tables as JSON."""
    sources = [role.removesuffix(".records") for role in inputs.roles() if role.endswith(".records")]
    one = {role: inputs.one(role).path for role in ("by_source", "protocol", "choices")}
    kinds = sorted({metric.kind for metric in METRICS.values()})
    several = {
        "records": [inputs.one(f"{source}.records").path for source in sources],
        "dead_letters": [inputs.one(f"{source}.dead_letters").path for source in sources],
        "rejected_records": [inputs.one(f"{source}.rejected").path for source in sources],
        "rejected_readings": [inputs.one(f"{kind}.rejected").path for kind in kinds],
    }
    named = list(zip(sources, several["records"], several["dead_letters"], strict=True))
    tables = {
        "sources": [{"source": source, "file": file, "letters": letters} for source, file, letters in named],
        "metrics": [{"metric": name, "kind": metric.kind} for name, metric in METRICS.items()],
        "raw_artifacts": [_artifact(file) for source in sources for file in inputs.many(f"{source}.raw")],
        "events": events(settings),
        "meta": _meta(settings),
        "daily_columns": [{"name": name, "meaning": told.meaning} for name, told in COLUMNS.items()],
    }
    values = {
        "daily": inputs.one("parquet").path,
        **one,
        **several,
        **{name: json.dumps(table) for name, table in tables.items()},
    }
    for name, value in {**values, "catalog": os.path.join(_HERE, "catalog.csv")}.items():
        gold.execute(f"SET VARIABLE {name} = ?", [value])


def _artifact(file: File) -> dict[str, Any]:
    return {"name": file.name, "sha256": file.sha256, "version": file.version, "arrived": file.arrived}


def _meta(settings: Mapping[str, Any]) -> dict[str, Any]:
    plain = ("timezone", "bp_scheme", "home_bp_protocol", "environment", "steps_goal", "sleep_target_minutes")
    hours = {part: settings[f"{part}_hours"] for part in ("morning", "evening")}
    return {
        **{name: settings[name] for name in plain},
        **{f"{part}_from": window[0] for part, window in hours.items()},
        **{f"{part}_to": window[1] for part, window in hours.items()},
        "version": settings["pipeline_version"],
    }


def _set_clock(gold: duckdb.DuckDBPyConnection, settings: Mapping[str, Any]) -> None:
    """Table `clock`: the UTC offset the person lived at in every second a table needs, by zone and dated overrides."""
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    seconds = [second for (second,) in gold.execute("SELECT second FROM instants ORDER BY second").fetchall()]
    clock = [{"second": second, "utc_offset": zones.offset(second)} for second in seconds]
    gold.execute("SET VARIABLE clock = ?", [json.dumps(clock)])
    gold.execute(_sql("clock"))


def _sql(name: str) -> str:
    with open(os.path.join(_HERE, "sql", f"{name}.sql"), encoding="utf-8") as text:
        return text.read()
