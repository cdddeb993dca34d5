"""Can the places be reached that Gadgetbridge's databases are to come from?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per origin; none when exports are only dropped."""
    return origins.check("gadgetbridge", settings)
