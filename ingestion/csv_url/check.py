"""Says in a line each whether the CSV's address and the other origins can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per origin; `CSV_URL` is the first."""
    return origins.check("csv_url", settings) or ["off: CSV_URL is not set; CSV files are read from the inbox."]
