"""Says in a line each whether Garmin's tokens are set, and whether the origins of Garmin exports can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import PDPError
from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """A line for the account, where tokens are set, and one per origin. Signing in may use tokens up, so only a run does."""
    return [*([_account(settings)] if settings["tokens_garmin"] else []), *origins.check("garmin", settings)]


def _account(settings: Mapping[str, Any]) -> str:
    from ingestion.garmin.live import given_tokens, need_library

    try:
        need_library()
        given_tokens(settings)
    except PDPError as error:
        return f"wrong settings: {error}"
    return "set: GARMIN_TOKENS; signing in may renew them, so only a run does it."
