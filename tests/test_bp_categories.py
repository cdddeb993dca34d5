"""Blood pressure categories against tables written out a second time, by range instead of by bound."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import SettingsError
from processing.aggregators.categories import SCHEMES, categories, category, names


def aha(sys: float, dia: float) -> str:
    if sys > 180 or dia > 120:
        return "severe"
    if sys >= 140 or dia >= 90:
        return "stage_2"
    if 130 <= sys < 140 or 80 <= dia < 90:
        return "stage_1"
    return "elevated" if 120 <= sys < 130 and dia < 80 else "normal"


def esc(sys: float, dia: float, high_sys: int, high_dia: int) -> str:
    if sys >= high_sys or dia >= high_dia:
        return "hypertension"
    return "elevated" if sys >= 120 or dia >= 70 else "non_elevated"


TABLES: dict[str, Callable[[float, float], str]] = {
    "aha_2017": aha,
    "esc_2024_office": lambda s, d: esc(s, d, 140, 90),
    "esc_2024_home": lambda s, d: esc(s, d, 135, 85),
}


@pytest.mark.parametrize(
    ("systolic", "diastolic", "aha_2017", "office", "home"),
    [
        (119, 69, "normal", "non_elevated", "non_elevated"),
        (120, 79, "elevated", "elevated", "elevated"),
        (119, 80, "stage_1", "elevated", "elevated"),
        (129, 79, "elevated", "elevated", "elevated"),
        (130, 79, "stage_1", "elevated", "elevated"),
        (134, 84, "stage_1", "elevated", "elevated"),
        (135, 84, "stage_1", "elevated", "hypertension"),
        (134, 85, "stage_1", "elevated", "hypertension"),
        (139, 89, "stage_1", "elevated", "hypertension"),
        (140, 89, "stage_2", "hypertension", "hypertension"),
        (139, 90, "stage_2", "hypertension", "hypertension"),
        (180, 120, "stage_2", "hypertension", "hypertension"),
        (181, 120, "severe", "hypertension", "hypertension"),
        (180, 121, "severe", "hypertension", "hypertension"),
        (119, 79, "normal", "elevated", "elevated"),
        (120, 69, "elevated", "elevated", "elevated"),
        (120, 70, "elevated", "elevated", "elevated"),
        (119, 70, "normal", "elevated", "elevated"),
        (129.67, 79.5, "elevated", "elevated", "elevated"),
        (180.5, 80, "severe", "hypertension", "hypertension"),
    ],
)
def test_boundaries(systolic: float, diastolic: float, aha_2017: str, office: str, home: str) -> None:
    found = [category(systolic, diastolic, name) for name in ("aha_2017", "esc_2024_office", "esc_2024_home")]
    assert found == [aha_2017, office, home]


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_whole_pair_agrees_with_the_independent_table(scheme: str) -> None:
    sys, dia = (grid.ravel().astype(float) for grid in np.meshgrid(np.arange(50, 301), np.arange(20, 201)))
    assert categories(sys, dia, scheme) == [TABLES[scheme](s, d) for s, d in zip(sys, dia, strict=True)]


@given(st.floats(50, 300), st.floats(20, 200), st.sampled_from(sorted(SCHEMES)))
def test_fractions_agree_with_the_independent_table(sys: float, dia: float, scheme: str) -> None:
    assert category(sys, dia, scheme) == TABLES[scheme](sys, dia)


@given(st.floats(50, 300), st.floats(20, 200), st.floats(0, 50), st.floats(0, 50), st.sampled_from(sorted(SCHEMES)))
def test_a_higher_pressure_is_never_in_a_better_category(sys: float, dia: float, up: float, over: float, scheme: str) -> None:
    order = list(names(scheme))
    assert order.index(str(category(sys + up, dia + over, scheme))) >= order.index(str(category(sys, dia, scheme)))


def test_half_a_pair_has_no_category() -> None:
    assert category(float("nan"), 80, "aha_2017") is None
    assert category(120, float("nan"), "aha_2017") is None


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="aha_2017, esc_2024_office, esc_2024_home"):
        category(120, 80, "aha")
