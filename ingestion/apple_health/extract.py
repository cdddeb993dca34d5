"""Apple Health exports come in: from `inbox/apple_health/` and the origins that are set; what they hold is found out later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.origins import extraction


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """Changes when a file of an origin does; see `ingestion.origins.extraction`."""
    return extraction.fingerprint("apple_health", settings)


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox` and the origins → collections `raw`, byte for byte, and `calls`."""
    return extraction.extract("apple_health", inputs, outputs, settings)
