"""Can the cuff files be read? Their origins are asked; a person's own presets can be wrong, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.bp_csv.preset import own
from ingestion.origins import check as origins


def check(settings: Mapping[str, Any]) -> list[str]:
    """One line per finding. Raises SettingsError for a preset that cannot work. Settings: bp_csv_presets."""
    presets = own(settings["bp_csv_presets"])
    said = [f"{len(presets)} own preset{'s' * (len(presets) != 1)} understood"] if presets else []
    return said + origins.check("bp_csv", settings)
