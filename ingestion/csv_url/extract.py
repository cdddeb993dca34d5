"""A CSV comes in from `CSV_URL`, `inbox/csv_url/` and the origins that are set; what it holds is found out when records are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.origins import extraction


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """Changes when the server's `ETag` or `Last-Modified` does; see `ingestion.origins.extraction`. `CSV_URL` is the first origin."""
    return extraction.fingerprint("csv_url", settings)


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox` and the origins → collections `raw`, byte for byte, and `calls`."""
    return extraction.extract("csv_url", inputs, outputs, settings)
