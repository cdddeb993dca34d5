"""Says in a line each whether Withings' tokens are set, and whether the origins of Withings exports can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """A line for the account, where its tokens are set, and one per origin. Signing in uses a token up, so only a run does."""
    account = ["set: the WITHINGS_ tokens; signing in uses one up, so only a run does it."] if settings["tokens_withings"] else []
    return [*account, *origins.check("withings", settings)]
