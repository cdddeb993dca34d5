"""Takes the CSV files dropped in `inbox/bp_csv/` as they are; what they hold is found out when records are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.inbox import copy_inbox


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:  # noqa: ARG001  every stage has the same three
    """Role `inbox` → collection `raw`, byte for byte."""
    return copy_inbox(inputs, outputs)
