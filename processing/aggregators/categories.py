"""Blood pressure categories by selectable scheme. They sort averages; they are no diagnosis and no medical advice.

Sources: `docs/domain.md`, categories. Bounds are continuous: a mean of 129.67 mmHg is below 130, as it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from config.errors import SettingsError
from processing.readings import Array


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


def scheme(name: str) -> tuple[Grade, ...]:
    """The scheme of this name; a SettingsError lists the names there are."""
    try:
        return SCHEMES[name]
    except KeyError:
        raise SettingsError(f"There is no blood pressure scheme named {name!r}.", f"Use one of: {', '.join(SCHEMES)}.") from None


def categories(systolic: Array, diastolic: Array, scheme_name: str) -> list[str | None]:
    """The category of each pair in mmHg; None where either is missing."""
    grades = scheme(scheme_name)
    worst = np.zeros(len(systolic), dtype=np.int8)
    for position, grade in enumerate(grades):
        for values, bound in ((systolic, grade.systolic), (diastolic, grade.diastolic)):
            if bound is not None:
                worst[(values > bound) if grade.above else (values >= bound)] = position
    missing = np.isnan(systolic) | np.isnan(diastolic)
    return [None if gone else grades[at].name for at, gone in zip(worst, missing, strict=True)]


def category(systolic: float, diastolic: float, scheme_name: str) -> str | None:
    """The category of one pair."""
    return categories(np.array([systolic], dtype=float), np.array([diastolic], dtype=float), scheme_name)[0]


def names(scheme_name: str) -> Sequence[str]:
    """The scheme's categories from best to worst."""
    return [grade.name for grade in scheme(scheme_name)]
