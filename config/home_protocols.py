"""The home blood pressure protocols by name: what a measuring week has to hold, and the thresholds its average is held against.

Sources of every number: `docs/domain.md`, home protocol. Not medical advice.
"""

from __future__ import annotations

from typing import NamedTuple


class Preset(NamedTuple):
    """The parameters in which the protocols differ."""

    days: int = 7
    """Length of a measuring week in calendar days."""
    discard_days: int = 1
    """Calendar days left out at its start."""
    least_readings: int = 12
    """Readings that must remain."""
    least_days: int = 3
    """Days with a morning *and* an evening reading that must remain."""
    drop_first_of: int | None = None
    """In a sitting of at least so many readings the first is left out."""
    scheme: str = "esc_2024_home"
    """The thresholds its average is held against."""


PRESETS: dict[str, Preset] = {
    "esh_2021": Preset(),
    "esc_2024": Preset(),
    "chep_2017": Preset(),
    "aha_2020": Preset(discard_days=0, scheme="aha_2017"),
    "jabfm": Preset(discard_days=2, drop_first_of=3),
}
"""Protocol → parameters."""

SITTING = 15 * 60
"""Seconds between two readings of one sitting, at most."""
