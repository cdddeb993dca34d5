"""Zepp Life exports come in: from `inbox/zepp_life/` and the origins that are set; encrypted ones stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.origins import extraction


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """Changes when a file of an origin does; see `ingestion.origins.extraction`."""
    return extraction.fingerprint("zepp_life", settings)


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox` and the origins → collections `raw`, byte for byte, and `calls`."""
    return extraction.extract("zepp_life", inputs, outputs, settings)
