"""The categories of blood pressure by scheme: where each begins. They sort averages; they are no diagnosis and no medical advice.

Sources of every number: `docs/domain.md`, categories.
"""

from __future__ import annotations

from typing import NamedTuple


class Grade(NamedTuple):
    """A category and where it begins; the worse component decides. None: this component never leads here."""

    name: str
    systolic: float | None
    diastolic: float | None
    above: bool = False
    """The category begins above its bounds, not at them."""


SCHEMES: dict[str, tuple[Grade, ...]] = {
    # ACC/AHA 2017; the numbers stand in AHA/ACC 2025
    "aha_2017": (
        Grade("normal", 0, 0),
        Grade("elevated", 120, None),
        Grade("stage_1", 130, 80),
        Grade("stage_2", 140, 90),
        Grade("severe", 180, 120, above=True),
    ),
    # ESC 2024 (doi 10.1093/eurheartj/ehae178)
    "esc_2024_office": (Grade("non_elevated", 0, 0), Grade("elevated", 120, 70), Grade("hypertension", 140, 90)),
    "esc_2024_home": (Grade("non_elevated", 0, 0), Grade("elevated", 120, 70), Grade("hypertension", 135, 85)),
}
"""Scheme → its categories from best to worst."""
