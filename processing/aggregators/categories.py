"""Blood pressure categories by selectable scheme. They sort averages; they are no diagnosis and no medical advice.

Sources: `docs/domain.md`, categories. Bounds are continuous: a mean of 129.67 mmHg is below 130, as it is written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from config.bp_schemes import SCHEMES, Grade
from config.errors import SettingsError
from processing.readings import Array


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
