"""What a day might have counted and did not: refused or repeated before the merge, each with the stage and the reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from config.daily import REASONS
from config.metrics import METRICS
from config.tables import read_batches
from config.timezones import PersonZones
from processing.aggregators.fates import DUPLICATE
from processing.aggregators.remaking import Choice
from processing.normalizers.subjects import kinds_of, metrics_of
from scripts.tracing.evidence import Asked, Evidence, reading
from scripts.tracing.tables import Row
from scripts.tracing.versions import Made
from warehouse.bronze.lookup import Wanted

_SECOND = 1_000_000
_KEY = ("metric", "start", "end", "scope", "value", "unit", "utc_offset", "source", "device", "raw_id")
_REPEATED = "The same reading of this source and device was there already; of several one stays."
_EPOCH_NUMBER = re.compile(rb"(?<![\d.])\d{10}(?:\d{3})?(?![\d.])")


def refusals(
    evidence: Evidence, day: date, metrics: Collection[str], choices: Collection[Choice], settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Everything of this day and these metrics that never came to the merge, by stage."""
    kinds = sorted({METRICS[m].kind for m in metrics})
    zones = PersonZones(settings["timezone"], settings["timezone_overrides"])
    found = [told for kind in kinds for told in _validation(evidence, kind, day, metrics, choices)]
    looked: set[tuple[str, int]] = set()
    for kind in kinds:
        for source, normalized in sorted(evidence.table.inputs[kind].inputs.items() if kind in evidence.table.inputs else ()):
            if kind in kinds_of(source) and (source, normalized.version.id) not in looked:
                looked.add((source, normalized.version.id))
                found += _normalization(evidence, kind, source, day, metrics, zones)
                found += _letters(evidence, kind, source, day, zones)
    return found


def _validation(
    evidence: Evidence, kind: str, day: date, metrics: Collection[str], choices: Collection[Choice]
) -> Iterator[dict[str, Any]]:
    """Refused readings, and those that only repeat another."""
    validated = evidence.table.inputs.get(kind)
    evidence.rest_on("validated readings", validated)
    wanted: dict[str, Collection[Any]] = {"local_date": {day}, "metric": {m for m in metrics if METRICS[m].kind == kind}}
    refused = evidence.rows("rejected readings", validated, wanted, beside="rejected")
    repeated = _repeated(evidence, validated, kind, wanted, [*map(_key, refused), *(_key(c._asdict()) for c in choices)])
    for source in sorted({row["source"] for row in (*refused, *repeated)}):
        mine = [row for row in (*refused, *repeated) if row["source"] == source]
        records = evidence.records(kind, source, {row["raw_id"] for row in mine})
        for row in mine:
            reason = row.get("reason", DUPLICATE)
            why = _REPEATED if reason == DUPLICATE else _sentence(reason)
            yield {"stage": "validation", "reason": reason, "why": why, **reading(row), "records": records.get(row["raw_id"], [])}


def _sentence(reason: str) -> str:
    return REASONS.get(reason, "")


def _repeated(
    evidence: Evidence, validated: Made | None, kind: str, wanted: Mapping[str, Collection[Any]], known: list[tuple[Any, ...]]
) -> list[Row]:
    """Normalized readings that are neither among the validated nor among the refused."""
    left = Counter(known)
    found = []
    for source in sorted(validated.inputs) if validated else ():
        if kind in kinds_of(source):
            for row in evidence.rows("normalized readings", evidence.chain(kind, source)[0], wanted, ("local_date", *_KEY)):
                left[_key(row)] -= 1
                if left[_key(row)] < 0:
                    found.append(row)
    return found


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _KEY)


def _normalization(
    evidence: Evidence, kind: str, source: str, day: date, metrics: Collection[str], zones: PersonZones
) -> Iterator[dict[str, Any]]:
    """Records, or parts of records, that gave no reading; their day is that of the record's own time."""
    normalized, records = evidence.chain(kind, source)
    around = {"source_timestamp": {day + timedelta(days=n) for n in (-1, 0, 1)}}
    stamped = evidence.rows("records", records, around, ("raw_id", "source_timestamp"))
    ids = {row["raw_id"] for row in stamped if zones.local_date(row["source_timestamp"] / _SECOND) == day}
    refused = evidence.rows("rejected records", normalized, {"raw_id": ids}, beside="rejected")
    told = evidence.records(kind, source, {row["raw_id"] for row in refused})
    for row in refused:
        place = (row["raw_artifact"], row["position"])
        own = [r for r in told.get(row["raw_id"], []) if (r["raw_artifact"], r["position"]) == place]
        if any(metrics_of(source, r["raw"], row["field"]) & set(metrics) for r in own):
            reason = row["reason"]
            facts = {"reason": reason, "why": _in_words(reason, row["field"]), "field": row["field"], "source": source}
            yield {"stage": "normalization", **facts, "raw_id": row["raw_id"], "records": own}


def _in_words(reason: str, field: str | None) -> str:
    words = reason.partition(":")[0].replace("_", " ")
    return f"The record gave no reading of {field}: {words}." if field else f"The record gave no reading: {words}."


def _letters(evidence: Evidence, kind: str, source: str, day: date, zones: PersonZones) -> Iterator[dict[str, Any]]:
    """Dead letters whose bytes name this day: they have no time, for they could not be read."""
    _, records = evidence.chain(kind, source)
    version = evidence.rest_on("dead letters", records, beside="dead_letters")
    if version is None:
        return
    names_day = _names_day(day, zones)
    try:
        for batch in read_batches(evidence.path(version), batch_size=256):
            for row in batch.to_pylist():
                if row["raw"] and names_day(row["raw"]):
                    yield _letter(evidence, source, row)
    except OSError:
        evidence.lost(version)


def _letter(evidence: Evidence, source: str, row: Row) -> dict[str, Any]:
    told = {
        **evidence.artifact(row["raw_artifact"], row["raw_sha256"]),
        "position": row["position"],
        "raw": row["raw"].decode("utf-8", "backslashreplace"),
        "bronze": None,
        "used": False,
        "record_index": row["record_index"],
        "status": "dead_letter",
        "errors": [row["reason"]],
    }
    evidence.asked.append(Asked(source, Wanted("", "", None, row["raw_sha256"], row["record_index"]), told))
    return {
        "stage": "ingestion",
        "reason": row["reason"],
        "why": row["message"],
        "source": source,
        "raw_id": None,
        "records": [told],
    }


def _names_day(day: date, zones: PersonZones) -> Any:
    """Whether bytes hold the day as a date, or a time of it in seconds or milliseconds since 1970."""
    written = [day.strftime(form).encode() for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y")]
    first, last = (zones.to_utc(datetime.combine(day + timedelta(days=n), time())).utc.timestamp() for n in (0, 1))

    def names(raw: bytes) -> bool:
        numbers = (int(n[:10]) for n in _EPOCH_NUMBER.findall(raw))
        return any(text in raw for text in written) or any(first <= n < last for n in numbers)

    return names
