"""One load as data: what, for whom, with which constants in its rows; and what came of it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from config.errors import WarehouseError
from config.stage import File, Finding, Inputs, Outputs
from warehouse.bronze.ledger import LOADER_VERSION, source_of
from warehouse.bronze.loading import artifacts, calls
from warehouse.bronze.loading.profiles import Profiles

_OPERATION = frozenset({"environment", "pipeline_version", "database", "data_dir", "quality_sla"})
"""Settings of the load itself; the others are how the records were read."""


@dataclass(frozen=True)
class Job:
    """One load."""

    source: str
    table: str
    environment: str
    records: File
    letters: File
    raws: list[File]
    profiles: Profiles
    rows: int
    months: dict[date, int]
    """Records by month of their time; undated ones are in none."""
    constants: dict[str, Any]
    """What every row, or the ledger, says of this load."""
    repair: bool
    """Believe neither the ledger nor what is known: compare with the rows themselves."""
    load_id: uuid.UUID = field(default_factory=uuid.uuid4)  # impure: names one load in the ledger


@dataclass
class Counts:
    """What one ledger row says."""

    read: int
    inserted: int
    duplicate: int
    dead: int
    dead_inserted: int
    hash_sum: int = 0
    """Order-free checksum of the inserted rows' content hashes."""
    ours: bool = True
    """False: it had been loaded before."""
    reasons: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    months: dict[date, tuple[int, int]] = field(default_factory=dict)
    """Rows added by month, less those taken away, and the checksum of the same; 0001-01-01 is undated."""


def of(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any], *, repair: bool = False) -> Job:
    """The job of one node. Raises WarehouseError for a source whose name no table can have."""
    records = inputs.one("records")
    try:
        source = source_of(records.name)
    except ValueError:
        raise WarehouseError(
            "The records' name gives no name for a table.",
            "A source is named [a-z][a-z0-9_]*, 41 letters at most, none reserved.",
        ) from None
    months, rows = artifacts.months(records)
    raws = inputs.many("raw") if "raw" in inputs.roles() else []
    return Job(
        source,
        f"bronze_{source}",
        settings["environment"],
        records,
        inputs.one("dead_letters"),
        raws,
        Profiles(raws, calls.read(inputs)),
        rows,
        months,
        _constants(source, records, outputs, settings),
        repair,
    )


def _constants(source: str, records: File, outputs: Outputs, settings: Mapping[str, Any]) -> dict[str, Any]:
    arrived = datetime.fromtimestamp(records.arrived, UTC) if records.arrived else None
    declared = {name: settings[name] for name in sorted(settings) if name not in _OPERATION}
    return {
        "source": source,
        "target": f"bronze_{source}",
        "environment": settings["environment"],
        "run_id": outputs.run_id,
        "attempt_id": outputs.attempt_id,
        "pipeline_version": settings["pipeline_version"],
        "parameters": json.dumps({"loader_version": LOADER_VERSION, **declared}),
        "lineage_id": artifacts.lineage_id(records),
        "lineage_source": f"ingestion.{source}.records",
        "lineage_timestamp": arrived,
        "lineage_metadata": json.dumps({"records_sha256": records.sha256}),
        "started": datetime.now(UTC),  # impure: when the load was made is what the ledger keeps
        "steps": json.dumps([f"ingestion.{source}.extract", f"ingestion.{source}.records", f"bronze.{source}"]),
        "cap": artifacts.LETTER_CAP,
        "loader_version": LOADER_VERSION,
    }
