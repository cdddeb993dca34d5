"""Can the cuff files be read? There is no other side to ask; a person's own presets can be wrong, though."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.bp_csv.preset import own


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per finding. Raises SettingsError for a preset that cannot work. Settings: bp_csv_presets."""
    presets = own(settings["bp_csv_presets"])
    return [f"{len(presets)} own preset{'s' * (len(presets) != 1)} understood"] if presets else []
