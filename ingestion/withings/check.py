"""Says in a line each whether the origins of Withings exports can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per origin; none without origins."""
    return origins.check("withings", settings)
