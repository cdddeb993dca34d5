"""Can the Zepp Life exports be read? Their origins are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per finding."""
    return origins.check("zepp_life", settings)
