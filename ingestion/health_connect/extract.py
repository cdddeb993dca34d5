"""Health Connect's backups come in: from `inbox/health_connect/` and the origins that are set, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.origins import extraction


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """Changes when a file of an origin does; see `ingestion.origins.extraction`."""
    return extraction.fingerprint("health_connect", settings)


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox` and the origins → collections `raw`, byte for byte, and `calls`."""
    return extraction.extract("health_connect", inputs, outputs, settings)
