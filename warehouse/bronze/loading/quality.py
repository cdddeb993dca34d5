"""How good the records of a load are, against what the settings want of their source (`quality_sla`; `docs/quality.md`)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from config.stage import File, Finding
from config.tables import read_batches
from warehouse.bronze.loading.arrow import number, text

_NEVER = -(1 << 63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = ["status", "source_timestamp", "quality_score", "quality_metrics"]


class Measured(NamedTuple):
    """What the records of a load are like. None: there are none to say it of."""

    rows: int
    completeness: float | None
    """Mean over the records of the share of expected fields they hold."""
    validity: float | None
    """Share of the records that are not invalid."""
    newest: datetime | None
    """Time of the newest record that is not invalid, UTC."""
    score: float | None
    """Mean of the records' scores."""


class Verdict(NamedTuple):
    """One measure of a load, as the report shows it."""

    measure: str
    """completeness, validity, freshness_hours, score, duplicates, dead_letters"""
    value: float | None
    wanted: float | None
    """Of completeness and validity the least, of freshness the most; None: nothing is wanted."""
    met: bool | None
    """None: not judged."""


def measure(records: File) -> Measured:
    """Reads four columns of the records, a batch at a time."""
    rows = valid = scored = judged = 0
    scores = complete = 0.0
    newest = _NEVER
    for batch in read_batches(records.path, _COLUMNS, threads=False):
        rows += batch.num_rows
        usable = pc.not_equal(batch.column("status"), text("invalid"))
        valid += pc.sum(usable).as_py() or 0
        latest = pc.max(pc.if_else(usable, batch.column("source_timestamp").cast(pa.int64()), number(_NEVER))).as_py()
        newest = max(newest, _NEVER if latest is None else latest)
        score = _column(batch, "quality_score", pa.float64()).drop_null()
        scores, scored = scores + (pc.sum(score).as_py() or 0.0), scored + len(score)
        for profile in pc.value_counts(_column(batch, "quality_metrics", pa.string()).drop_null()).to_pylist():
            share = _completeness(json.loads(profile["values"]))
            if share is not None:
                complete, judged = complete + share * profile["counts"], judged + profile["counts"]
    latest_time = None if newest == _NEVER else _EPOCH + timedelta(microseconds=newest)
    return Measured(rows, _mean(complete, judged), _mean(valid, rows), latest_time, _mean(scores, scored))


def sla_of(quality_sla: Mapping[str, Any], source: str) -> dict[str, float | None]:
    """What the setting wants of one source: `completeness`, `validity`, `freshness_hours` (None: not judged)."""
    general = {name: wanted for name, wanted in quality_sla.items() if name != "sources"}
    return general | dict(quality_sla.get("sources", {}).get(source, {}))


def verdicts(measured: Measured, duplicates: int, dead: int, sla: Mapping[str, float | None], now: datetime) -> list[Verdict]:
    """Every measure of a load. `sla`: of `sla_of`; `now`: when it is loaded, aware. Duplicates and dead letters are counts."""
    age = None if measured.newest is None else max((now - measured.newest).total_seconds() / 3600, 0.0)
    return [
        _at_least("completeness", measured.completeness, sla.get("completeness")),
        _at_least("validity", measured.validity, sla.get("validity")),
        _at_most("freshness_hours", age, sla.get("freshness_hours")),
        Verdict("score", measured.score, None, None),
        Verdict("duplicates", duplicates, None, None),
        Verdict("dead_letters", dead, None, None),
    ]


def findings(source: str, found: Iterable[Verdict]) -> list[Finding]:
    """A sentence and its mend for each miss; codes `below_sla_completeness`, `below_sla_validity`, `below_sla_freshness`."""
    return [
        {"code": f"below_sla_{v.measure.removesuffix('_hours')}", "message": _message(source, v.measure, v.value, v.wanted)}
        for v in found
        if v.met is False and v.value is not None and v.wanted is not None
    ]


def _message(source: str, measure: str, value: float, wanted: float) -> str:
    if measure == "freshness_hours":
        return (
            f"The newest record of {source} is {math.ceil(value):,} hours old; at most {wanted:g} are wanted. "
            "Export or sync it again, or set its freshness_hours in quality_sla (docs/quality.md)."
        )
    what, where = _SHARES[measure]
    share = math.floor(value * 10_000) / 100  # down, so that a miss never reads like what is wanted
    return (
        f"The records of {source} are {share:g} % {what}; at least {wanted * 100:.6g} % is wanted. "
        f"Column {where} of bronze_{source} names the reasons: mend them at the source, or set {measure} in quality_sla (docs/quality.md)."
    )


_SHARES = {"completeness": ("complete", "quality_checks"), "validity": ("valid", "error_message")}


def _at_least(measure: str, value: float | None, wanted: float | None) -> Verdict:
    return Verdict(measure, value, wanted, None if value is None or wanted is None else value >= wanted)


def _at_most(measure: str, value: float | None, wanted: float | None) -> Verdict:
    return Verdict(measure, value, wanted, None if value is None or wanted is None else value <= wanted)


def _column(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> pa.Array:
    """A column; nulls where the records are older than it."""
    return batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows, kind)


def _completeness(metrics: Mapping[str, Any]) -> float | None:
    """From the counts, which are exact; the share beside them is rounded."""
    if metrics.get("expected"):
        return float(metrics["present"]) / float(metrics["expected"])
    share = metrics.get("completeness")
    return None if share is None else float(share)


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None
