"""Can Apple Health exports be had from where they are said to be?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per origin."""
    return origins.check("apple_health", settings)
