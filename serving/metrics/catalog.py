"""Every metric there is: its name, kind, labels and meaning. docs/monitoring.md and the dashboards are checked against it."""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """One metric family."""

    name: str
    """By the conventions of Prometheus: base units, `_total` for what only grows."""
    kind: str
    """counter | gauge | summary (of a summary: `_count` and `_sum`)"""
    labels: tuple[str, ...]
    meaning: str


_STEP = ("stage", "node")
_OWNED = ("stage", "node", "source")
CATALOG: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("pdp_info", "gauge", ("version",), "Always 1; the program's version."),
        Metric("pdp_runs_total", "counter", ("status",), "Runs that did something, by how they ended."),
        Metric("pdp_run_duration_seconds", "summary", (), "Durations of the runs that ended."),
        Metric(
            "pdp_last_start_timestamp_seconds",
            "gauge",
            (),
            "When the last run, or another command that writes, began; also one that found nothing to do.",
        ),
        Metric("pdp_last_run_timestamp_seconds", "gauge", (), "When the last run that did something ended."),
        Metric("pdp_last_run_duration_seconds", "gauge", (), "How long it took."),
        Metric("pdp_last_run_failed", "gauge", (), "1 when it failed or was interrupted, else 0."),
        Metric("pdp_last_success_timestamp_seconds", "gauge", (), "When the last run that did something and succeeded ended."),
        Metric("pdp_node_attempts_total", "counter", (*_STEP, "state"), "Attempts of a step, by how they ended."),
        Metric("pdp_node_duration_seconds", "summary", _STEP, "Durations of a step's committed attempts."),
        Metric("pdp_node_failing", "gauge", _STEP, "1 when a step's newest attempt failed, else 0."),
        Metric("pdp_node_last_duration_seconds", "gauge", _STEP, "How long the attempt took whose outputs are in force."),
        Metric("pdp_node_memory_peak_bytes", "gauge", _STEP, "Most memory its process had by then."),
        Metric("pdp_node_committed_timestamp_seconds", "gauge", _STEP, "When it was committed."),
        Metric("pdp_node_rows", "gauge", _OWNED, "Rows it made."),
        Metric("pdp_node_usual_rows", "gauge", _OWNED, "The middle of the rows of up to 10 attempts before, from 3 on."),
        Metric("pdp_node_received_records", "gauge", _OWNED, "Records, rows or readings that came into it."),
        Metric("pdp_node_rejected_records", "gauge", (*_OWNED, "reason"), "Those of them it refused, whole or in part."),
        Metric("pdp_readings", "gauge", ("source", "kind", "fate"), "Readings in gold: accepted, unused or rejected."),
        Metric("pdp_last_reading_timestamp_seconds", "gauge", ("source", "kind"), "When the newest reading in gold begins."),
        Metric("pdp_source_rate_limit_requests", "gauge", ("source",), "A source's quota of requests, as its API last told."),
        Metric("pdp_source_rate_limit_remaining_requests", "gauge", ("source",), "How much of it was left then."),
        Metric("pdp_source_rate_limit_timestamp_seconds", "gauge", ("source",), "When that was."),
        Metric("pdp_storage_bytes", "gauge", ("place",), "What is kept: registry, store, gold, postgres (the embedded server)."),
        Metric("pdp_disk_free_bytes", "gauge", (), "Room left on the disk of the data root."),
        Metric("pdp_disk_size_bytes", "gauge", (), "Size of that disk."),
        Metric(
            "pdp_database_up",
            "gauge",
            ("kind",),
            "1 when bronze answers, 0 when it does not; not told while the embedded server sleeps.",
        ),
        Metric("pdp_database_size_bytes", "gauge", ("kind",), "Size of bronze's database."),
        Metric("pdp_quality_ratio", "gauge", ("source", "measure"), "Completeness, validity and score of the last load, 0 to 1."),
        Metric(
            "pdp_sla_missed", "gauge", ("source", "measure"), "1 when the load in force misses what quality_sla wants, else 0."
        ),
        Metric("pdp_dead_letters_open", "gauge", ("source",), "Dead letters that nobody has settled."),
        Metric("pdp_alerts_active", "gauge", ("rule",), "Alerts that hold, by rule, as last evaluated."),
    )
}
"""Name → metric, in the order they are told."""
