"""Facts as samples of the metrics. Labels hold names and codes the program itself has given, nothing anybody wrote or measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from config import VERSION
from serving.metrics.facts import Facts
from serving.metrics.registry_facts import History, Step

MEASURES = ("completeness", "validity", "freshness")
"""What `quality_sla` may want of a load."""
_CODE = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,63}")
_OTHER = "other"


class Sample(NamedTuple):
    """One value of a metric. Of a summary `value` is the sum, `number` how many."""

    metric: str
    labels: tuple[str, ...]
    value: float
    number: int | None = None


def samples(facts: Facts, active: Mapping[str, int]) -> list[Sample]:
    """All there is to tell. `active`: rule → alerts that hold."""
    found = [Sample("pdp_info", (VERSION,), 1), *_one("pdp_last_start_timestamp_seconds", facts.last_start)]
    if facts.history:
        found += _history(facts.history)
    for step in facts.steps:
        found += _step(step)
    found += _sources(facts)
    found += _room(facts)
    found += _bronze(facts)
    found += [Sample("pdp_alerts_active", (rule,), count) for rule, count in active.items()]
    return found


def code(text: str) -> str:
    """A code as a label; whatever does not look like one is `other`."""
    return text if _CODE.fullmatch(text) else _OTHER


def _one(metric: str, value: float | None, *labels: str) -> Iterator[Sample]:
    if value is not None:
        yield Sample(metric, labels, value)


def _history(history: History) -> Iterator[Sample]:
    for status, number in history.runs.items():
        yield Sample("pdp_runs_total", (status,), number)
    count, seconds = history.seconds
    yield Sample("pdp_run_duration_seconds", (), seconds, count)
    if history.last:
        yield from _one("pdp_last_run_timestamp_seconds", history.last.ended_at)
        yield from _one("pdp_last_run_duration_seconds", history.last.seconds)
        yield Sample("pdp_last_run_failed", (), history.last.status != "succeeded")
    yield from _one("pdp_last_success_timestamp_seconds", history.last_success)
    for told in history.attempts:
        labels = (code(told.stage), code(told.node))
        for state, number in told.states.items():
            yield Sample("pdp_node_attempts_total", (*labels, state), number)
        yield Sample("pdp_node_duration_seconds", labels, told.seconds, told.states.get("committed", 0))
        yield Sample("pdp_node_failing", labels, told.failing)


def _step(step: Step) -> Iterator[Sample]:
    labels = (code(step.stage), code(step.node))
    owned = (*labels, step.source)
    yield from _one("pdp_node_last_duration_seconds", step.seconds, *labels)
    yield from _one("pdp_node_memory_peak_bytes", step.peak_bytes, *labels)
    yield Sample("pdp_node_committed_timestamp_seconds", labels, step.committed_at)
    yield from _one("pdp_node_rows", step.rows, *owned)
    yield from _one("pdp_node_usual_rows", step.usual_rows, *owned)
    yield from _one("pdp_node_received_records", step.came, *owned)
    counts: dict[str, int] = {}
    for reason, count in step.rejected.items():
        counts[code(reason)] = counts.get(code(reason), 0) + count
    for reason, count in counts.items():
        yield Sample("pdp_node_rejected_records", (*owned, reason), count)
    if step.stage == "bronze" and step.source:
        for measure in MEASURES:
            yield Sample("pdp_sla_missed", (step.source, measure), measure in step.missed)


def _sources(facts: Facts) -> Iterator[Sample]:
    for told in facts.readings or ():
        for fate, count in told.fates.items():
            yield Sample("pdp_readings", (code(told.source), code(told.kind), fate), count)
        yield from _one("pdp_last_reading_timestamp_seconds", told.last_at, code(told.source), code(told.kind))
    for limit in facts.rate_limits:
        yield Sample("pdp_source_rate_limit_requests", (limit.source,), limit.limit)
        yield Sample("pdp_source_rate_limit_remaining_requests", (limit.source,), limit.remaining)
        yield Sample("pdp_source_rate_limit_timestamp_seconds", (limit.source,), limit.told_at)


def _room(facts: Facts) -> Iterator[Sample]:
    for place, size in facts.storage.places.items():
        yield Sample("pdp_storage_bytes", (place,), size)
    yield from _one("pdp_disk_free_bytes", facts.storage.free)
    yield from _one("pdp_disk_size_bytes", facts.storage.total)


def _bronze(facts: Facts) -> Iterator[Sample]:
    bronze = facts.bronze
    if bronze is None:
        return
    yield Sample("pdp_database_up", (bronze.kind,), bronze.up)
    yield from _one("pdp_database_size_bytes", bronze.size, bronze.kind)
    for source, measures in bronze.quality.items():
        for measure, value in measures.items():
            yield Sample("pdp_quality_ratio", (code(source), measure), value)
    for source, count in bronze.letters.items():
        yield Sample("pdp_dead_letters_open", (code(source),), count)


def merged(found: Sequence[Sample]) -> list[Sample]:
    """Samples with the same labels as one: a scrape in which a series comes twice is refused as a whole."""
    kept: dict[tuple[str, tuple[str, ...]], Sample] = {}
    for sample in found:
        before = kept.setdefault((sample.metric, sample.labels), sample)
        if before is not sample:
            number = None if sample.number is None else sample.number + (before.number or 0)
            kept[sample.metric, sample.labels] = sample._replace(value=sample.value + before.value, number=number)
    return list(kept.values())
