"""Google Fit exports come in: from `inbox/google_fit/` and the origins that are set; what they hold is found out when records are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.origins import extraction


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """Changes when a file of an origin does; see `ingestion.origins.extraction`."""
    return extraction.fingerprint("google_fit", settings)


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox` and the origins → collections `raw`, byte for byte, and `calls`."""
    return extraction.extract("google_fit", inputs, outputs, settings)
