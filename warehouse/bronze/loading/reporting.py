"""What a load tells: its balance and findings for the run, its quality for the report table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from config.stage import Finding, Report
from warehouse.bronze.connection import Connection
from warehouse.bronze.ledger import DEAD_LETTERS
from warehouse.bronze.loading import quality
from warehouse.bronze.loading import statements as do
from warehouse.bronze.loading.examples import EXAMPLE
from warehouse.bronze.loading.job import Counts, Job


def report(job: Job, counts: Counts, letters: Counts, *, unsafe: bool) -> Report:
    """The stage's report."""
    if counts.ours:
        fates = {"accepted": counts.inserted, "duplicate": counts.duplicate}
        fates |= {f"rejected:{reason}": count for reason, count in counts.reasons.items()}
        if unnamed := counts.dead - sum(counts.reasons.values()):
            fates["rejected:refused_by_database"] = unnamed
    else:
        fates = {"unused:already_loaded": counts.read}
    findings: list[Finding] = [*counts.findings]
    if counts.dead:
        message = "Records PostgreSQL cannot hold are dead letters."
        findings.append({"code": "refused_by_database", "message": message, "count": counts.dead})
    if unsafe:
        message = "The database is reached over the internet unencrypted; set sslmode."
        findings.append({"code": "connection_not_encrypted", "message": message})
    return {
        "rows": {job.table: counts.inserted if counts.ours else 0, DEAD_LETTERS: letters.dead_inserted if letters.ours else 0},
        "balance": {"unit": "record", "came": counts.read, "fates": fates},
        "findings": findings,
    }


def judge(session: Connection, job: Job, counts: Counts, settings: Mapping[str, Any]) -> None:
    """Measure the load against what the settings want, and write that down in its transaction. Examples are measured, not judged."""
    wanted = {} if job.environment == EXAMPLE else quality.sla_of(settings["quality_sla"], job.source)
    measured = quality.measure(job.records)
    verdicts = quality.verdicts(measured, counts.duplicate, counts.dead, wanted, datetime.now(UTC))  # impure: freshness is an age
    values = {verdict.measure: verdict.value for verdict in verdicts}
    session.execute(
        do.QUALITY,
        {
            **job.constants,
            "load_id": job.load_id,
            "records": measured.rows,
            "completeness": measured.completeness,
            "validity": measured.validity,
            "score": measured.score,
            "newest": measured.newest,
            "freshness_hours": values["freshness_hours"],
            "duplicates": counts.duplicate,
            "dead": counts.dead,
            "wanted": json.dumps(wanted),
            "missed": [verdict.measure for verdict in verdicts if verdict.met is False],
        },
    )
    counts.findings = quality.findings(job.source, verdicts)
