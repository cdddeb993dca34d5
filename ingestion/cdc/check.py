"""Can the database's changes be read? Looks at the server, the slot and the publication; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import PDPError
from ingestion.origins import check as origins
from ingestion.verdicts import verdict


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per finding; see `ingestion.origins.check`. A log that is kept in great size is told."""
    lines = origins.check("cdc", settings)
    return [*lines, _verdict(settings)] if settings["cdc_tables"] else lines


def _verdict(settings: Mapping[str, Any]) -> str:
    try:
        return _looked(settings)
    except PDPError as error:
        return verdict(error)


def _looked(settings: Mapping[str, Any]) -> str:
    from ingestion.cdc import slot as slots
    from ingestion.cdc.session import connected

    name = settings["cdc_slot"]
    with connected(settings) as session:
        if problem := slots.trouble(session):
            return f"denied: {problem}"
        slot = slots.require(session, name)
        tables = slots.matching(session, name, settings)
    kept = f"the server keeps {slot.retained / (1 << 20):,.1f} MB of log for it"
    if slot.retained > slots.MUCH or slot.wal_status != "reserved":
        return f"warning: slot {name}: {kept}. Run more often, or drop it: python main.py cdc drop."
    return f"ok: slot {name}, {len(tables)} tables; {kept}."
