"""Rows of a database come in: first a snapshot of the tables, then every change of them, page by page, from a replication slot.

A page is committed with the place in the log behind it before the slot is told that it may forget: killed anywhere in between, the slot
gives again what was committed, and that is passed over. A snapshot that was cut short is taken anew; its repeats are dropped when
records are made. Only SQL functions are needed for the log, so any server will do that has `wal_level = logical`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config.stage import Finding, Inputs, Outputs, Report
from ingestion.origins import extraction
from ingestion.reports import joined

if TYPE_CHECKING:
    from ingestion.cdc.slot import Slot, Table

STREAM = "log"
"""One stream for all tables: the order of the log is theirs."""


def fingerprint(settings: Mapping[str, Any]) -> str | None:  # noqa: ARG001  every source's fingerprint has them
    """None: only the log itself tells whether there are changes."""
    return None


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox`, the origins and the database → collection `raw`. Settings: cdc_tables, cdc_slot; secret tokens_cdc.

    Raises SettingsError, SourceDenied, SourceUnavailable.
    """
    report = extraction.extract("cdc", inputs, outputs, settings)
    if not settings["cdc_tables"]:
        return report
    return joined(report, fetch(outputs, settings))


def fetch(outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """What the database tells by now. Balance unit: file (a page)."""
    from ingestion.cdc import slot as slots
    from ingestion.cdc.log import Log
    from ingestion.cdc.session import connected
    from ingestion.cdc.snapshot import take

    pages, name = outputs.pages("raw", STREAM), settings["cdc_slot"]
    findings: list[Finding] = []
    with connected(settings) as session:
        slot = slots.require(session, name)
        tables = slots.matching(session, name, settings)
        state, taken = pages.state(), 0
        if state is None or "lsn" not in state or (findings := _why_anew(state, slot, tables)):
            state, taken = take(session, pages, tables, settings)
            slots.advance(session, name, str(state["lsn"]))
        log = Log(session, pages, name, tables, state)
        count = taken + log.follow()
    fates = {"accepted": count} if count else {}
    return {"rows": {}, "balance": {"unit": "file", "came": count, "fates": fates}, "findings": findings}


def _why_anew(state: Mapping[str, Any], slot: Slot, tables: list[Table]) -> list[Finding]:
    """Why another snapshot is to be taken; nothing where the log goes on from what is held."""
    from ingestion.cdc.pgoutput import lsn_number

    if slot.confirmed > lsn_number(state["lsn"]):
        return [{"code": "changes_missed", "message": _MISSED, "count": 1}]
    if more := {table.full for table in tables} - set(state["tables"]):
        return [{"code": "new_tables", "message": "Tables were added; a snapshot of all was taken.", "count": len(more)}]
    return []


_MISSED = (
    "The replication slot is newer than what is held: it was made anew. A snapshot was taken; of changes in between only the outcome"
    " is known."
)
