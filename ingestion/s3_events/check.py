"""Can the events in the bucket be read? Lists them; fetches none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import PDPError
from config.origins import origin
from ingestion.origins import check as origins
from ingestion.verdicts import verdict


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per finding; see `ingestion.origins.check`."""
    lines = origins.check("s3_events", settings)
    return [*lines, _verdict(settings)] if settings["s3_events_url"] else lines


def _verdict(settings: Mapping[str, Any]) -> str:
    from ingestion.origins.objects import listed
    from ingestion.s3_events.extract import SUFFIX

    try:
        found = sum(thing.name.endswith(SUFFIX) for thing in listed(origin(settings["s3_events_url"]), settings))
    except PDPError as error:
        return verdict(error)
    return f"ok: S3_EVENTS_URL holds {found} objects of events." if found else "empty: S3_EVENTS_URL holds no Parquet object yet."
