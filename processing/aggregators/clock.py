"""Instants as a person reads them: local clock with its offset."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone


def iso_local(utc_seconds: int, offset: int) -> str:
    """`2025-03-29T23:10:00+01:00`."""
    return datetime.fromtimestamp(utc_seconds, timezone(timedelta(seconds=offset))).isoformat()
