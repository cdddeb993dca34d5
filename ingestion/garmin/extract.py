"""Garmin comes in: the account itself where its tokens are set, exports from `inbox/garmin/` and the origins; read later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.origins import extraction
from ingestion.reports import joined


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """Changes when a file of an origin does; None with tokens: then it is looked at in every run."""
    return None if settings["tokens_garmin"] else extraction.fingerprint("garmin", settings)


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox`, the origins and the account → collections `raw` (the account page by page, by kind) and `calls`.

    Settings: garmin_since, garmin_api, timezone, timezone_overrides; secret tokens_garmin.
    Raises SourceDenied, SourceUnavailable, SettingsError; pages that were committed stay.
    """
    from ingestion.garmin.live import PAUSE, fetch, given_tokens, need_library

    dropped = extraction.extract("garmin", inputs, outputs, settings)
    if tokens := given_tokens(settings):
        need_library()
    pause = 0.0 if settings["garmin_api"] else PAUSE  # an emulator needs no rest
    return joined(dropped, fetch(outputs, settings, tokens, pause=pause))
