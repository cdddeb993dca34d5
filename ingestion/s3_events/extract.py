"""Objects of events come in: each of them once, by its name and ETag, a page each; an object that was replaced comes again.

Setting `s3_events_url`: `s3://bucket/prefix` (or `gs://`, `az://`). Only Parquet is taken; what else lies there is counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from config.origins import origin
from config.stage import Finding, Inputs, Outputs, Pages, Report
from ingestion.origins import extraction
from ingestion.reports import joined

STREAM = "objects"
LARGEST = 256 << 20
"""Bytes of an object that is fetched; a function that writes events writes far smaller ones."""
SUFFIX = ".parquet"


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """Changes when an object is added, replaced or removed. Raises SourceDenied, SourceUnavailable, SettingsError."""
    if not settings["s3_events_url"]:
        return extraction.fingerprint("s3_events", settings)
    from ingestion.origins.objects import listed

    seen = hashlib.sha256()
    for thing in listed(origin(settings["s3_events_url"]), settings):
        seen.update(_digest(thing.name, thing.etag, thing.size).encode())
    return extraction.fingerprint("s3_events", settings, seen.hexdigest())


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox`, the origins and the prefix → collection `raw`. Setting: s3_events_url.

    Fates: those of the inbox; accepted, kept (held already), unused:not_parquet, rejected:too_big, unused:moved (replaced or removed
    while it was fetched; the next run sees it anew). Raises SourceDenied, SourceUnavailable, SettingsError.
    """
    report = extraction.extract("s3_events", inputs, outputs, settings)
    if not settings["s3_events_url"]:
        return report
    return joined(report, _fetch(outputs.pages("raw", STREAM), settings))


def _fetch(pages: Pages, settings: Mapping[str, Any]) -> Report:
    from ingestion.origins.objects import Listed, content, listed

    place = origin(settings["s3_events_url"])
    fates: Counter[str] = Counter()

    def fate(thing: Listed) -> str:
        if not thing.name.endswith(SUFFIX):
            return "unused:not_parquet"
        if thing.size > LARGEST:
            return "rejected:too_big"
        digest = _digest(thing.name, thing.etag, thing.size)
        if pages.known(digest):
            return "kept"
        body = content(place, settings, thing)
        if body is None:
            return "unused:moved"
        held = (pages.state() or {}).get("objects", 0)
        pages.commit(body, {"objects": held + 1}, facts={"etag": thing.etag}, records=_rows(body), digest=digest, suffix=SUFFIX)
        return "accepted"

    for thing in listed(place, settings):
        fates[fate(thing)] += 1
    findings: list[Finding] = [{"code": code, "message": message, "count": fates[of]} for of, code, message in _TOLD if fates[of]]
    return {
        "rows": {},
        "balance": {"unit": "file", "came": sum(fates.values()), "fates": dict(sorted(fates.items()))},
        "findings": findings,
    }


def _digest(name: str, etag: str, size: int) -> str:
    """What an object is known by: an ETag alone is the same for equal bytes under two names."""
    return hashlib.sha256(repr((name, etag, size)).encode()).hexdigest()


def _rows(body: bytes) -> int:
    """How many rows an object says it has; 0 for one that is not whole, which is told when records are made."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.ParquetFile(pa.BufferReader(body)).metadata.num_rows)
    except (pa.ArrowException, OSError):
        return 0


_TOLD = (
    ("rejected:too_big", "too_big", f"An object is larger than {LARGEST >> 20} MB; it is not fetched."),
    ("unused:moved", "incomplete", "An object was replaced or removed while it was to be fetched; the next run looks again."),
)
