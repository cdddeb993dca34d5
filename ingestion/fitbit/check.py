"""Can Fitbit exports be reached? Their origins are asked; an inbox needs no asking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per finding; see `ingestion.origins.check`."""
    return origins.check("fitbit", settings)
