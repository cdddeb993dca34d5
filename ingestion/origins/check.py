"""Says in one line per origin whether it can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import PDPError
from ingestion.origins.extraction import count
from ingestion.verdicts import verdict

_PLACES = {"drive": "a Drive folder", "url": "a web address", "s3": "S3", "gs": "Google Cloud Storage", "az": "Azure"}


def check(source: str, settings: Mapping[str, Any]) -> list[str]:
    """One line per origin: ok, empty, denied, unreachable or what is wrong with the settings. Fetches no file."""
    return [_verdict(f"origin {number}", text, settings) for number, text in enumerate(settings[f"origins_{source}"], 1)]


def _verdict(name: str, text: str, settings: Mapping[str, Any]) -> str:
    try:
        kind, files = count(text, settings)
    except PDPError as error:
        return verdict(error, name)
    return f"ok: {name}, {_PLACES[kind]}, holds {files} files." if files else f"empty: {name}, {_PLACES[kind]}, holds no file."
