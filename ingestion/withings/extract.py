"""Withings comes in: the account itself where its tokens are set, exports from `inbox/withings/` and the origins; read later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.stage import Inputs, Outputs, Report
from ingestion.calls import RAW, Calls
from ingestion.origins import extraction
from ingestion.reports import joined

STREAMS = ("measures", "activity", "sleep")
"""What is asked of an account."""


def fingerprint(settings: Mapping[str, Any]) -> str | None:
    """Changes when a file of an origin does; None with tokens: then it is looked at in every run."""
    return None if settings["tokens_withings"] else extraction.fingerprint("withings", settings)


def extract(inputs: Inputs, outputs: Outputs, settings: Mapping[str, Any]) -> Report:
    """Role `inbox`, the origins and the account → collections `raw` (the account page by page, by stream) and `calls`.

    Secret tokens_withings. Raises SourceDenied, SourceUnavailable, SettingsError; pages that were committed stay.
    """
    dropped = extraction.extract("withings", inputs, outputs, settings)
    if not settings["tokens_withings"]:
        Calls(outputs).note_pages({name: outputs.pages(RAW, name) for name in STREAMS})
        return dropped
    from ingestion.withings.live import WithingsApi

    return joined(dropped, WithingsApi.fetch(outputs, settings))
