"""The functions inside gold: categories at their bounds, and statistics against tables, textbooks and plain Python."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.aggregators.categories import SCHEMES, category

MACROS = Path(__file__).resolve().parent.parent / "warehouse" / "gold" / "sql" / "macros.sql"


@pytest.fixture(scope="module")
def gold() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(MACROS.read_text())
        yield connection


def ask(gold: duckdb.DuckDBPyConnection, call: str, *values: Any) -> Any:
    return gold.execute(f"SELECT {call}", list(values)).fetchall()[0][0]


# --- blood pressure categories


@pytest.mark.parametrize(
    ("systolic", "diastolic", "aha", "office", "home"),
    [
        (119, 69, "normal", "non_elevated", "non_elevated"),
        (119, 79, "normal", "elevated", "elevated"),
        (120, 79, "elevated", "elevated", "elevated"),
        (120, 69, "elevated", "elevated", "elevated"),
        (119, 70, "normal", "elevated", "elevated"),
        (120, 70, "elevated", "elevated", "elevated"),
        (129, 79, "elevated", "elevated", "elevated"),
        (129.99, 79.99, "elevated", "elevated", "elevated"),
        (130, 79, "stage_1", "elevated", "elevated"),
        (129, 80, "stage_1", "elevated", "elevated"),
        (134, 84, "stage_1", "elevated", "elevated"),
        (135, 84, "stage_1", "elevated", "hypertension"),
        (134, 85, "stage_1", "elevated", "hypertension"),
        (139, 89, "stage_1", "elevated", "hypertension"),
        (140, 89, "stage_2", "hypertension", "hypertension"),
        (139, 90, "stage_2", "hypertension", "hypertension"),
        (140, 90, "stage_2", "hypertension", "hypertension"),
        (180, 120, "stage_2", "hypertension", "hypertension"),
        (181, 120, "severe", "hypertension", "hypertension"),
        (180, 121, "severe", "hypertension", "hypertension"),
    ],
)
def test_categories_begin_where_the_guidelines_say(
    gold: duckdb.DuckDBPyConnection, systolic: float, diastolic: float, aha: str, office: str, home: str
) -> None:
    found = [ask(gold, f"bp_{scheme}(?, ?)", systolic, diastolic) for scheme in ("aha_2017", "esc_2024_office", "esc_2024_home")]
    assert found == [aha, office, home]


@given(st.floats(0, 300), st.floats(0, 200), st.sampled_from(sorted(SCHEMES)))
def test_categories_are_those_of_the_merge(
    gold: duckdb.DuckDBPyConnection, systolic: float, diastolic: float, scheme: str
) -> None:
    assert ask(gold, f"bp_{scheme}(?, ?)", systolic, diastolic) == category(systolic, diastolic, scheme)


@given(st.integers(50, 300), st.integers(20, 200), st.sampled_from(sorted(SCHEMES)))
def test_the_category_of_a_mean_is_that_of_the_chosen_scheme(
    gold: duckdb.DuckDBPyConnection, systolic: int, diastolic: int, scheme: str
) -> None:
    assert ask(gold, "bp_category(?, ?, ?)", scheme, float(systolic), float(diastolic)) == category(systolic, diastolic, scheme)


def test_a_mean_is_judged_as_it_is_written_with_two_decimals(gold: duckdb.DuckDBPyConnection) -> None:
    assert ask(gold, "bp_category('aha_2017', 129.996, 70.0)") == "stage_1"
    assert ask(gold, "bp_category('aha_2017', 129.994, 70.0)") == "elevated"


def test_half_a_pair_has_no_category(gold: duckdb.DuckDBPyConnection) -> None:
    for scheme in SCHEMES:
        assert ask(gold, f"bp_{scheme}(120, NULL)") is None
        assert ask(gold, f"bp_{scheme}(NULL, 80)") is None
    assert ask(gold, "bp_category('unknown', 120, 80)") is None


def test_the_list_of_categories_is_that_of_the_merge(gold: duckdb.DuckDBPyConnection) -> None:
    rows = gold.execute("SELECT scheme, position, category FROM bp_categories()").fetchall()
    assert sorted(rows) == sorted(
        (scheme, at, grade.name) for scheme, grades in SCHEMES.items() for at, grade in enumerate(grades)
    )


# --- Student's t

TABLE_975 = {
    1: 12.7062047362, 2: 4.3026527297, 3: 3.1824463053, 4: 2.7764451052, 5: 2.5705818356, 6: 2.4469118511, 7: 2.3646242516,
    8: 2.3060041352, 9: 2.2621571628, 10: 2.2281388520, 12: 2.1788128297, 15: 2.1314495456, 20: 2.0859634473,
    25: 2.0595385528, 30: 2.0422724563, 40: 2.0210753903, 60: 2.0002978220, 120: 1.9799304051, 1000: 1.9623390808,
}  # fmt: skip
"""97.5 % quantiles as the statistical tables print them (NIST/SEMATECH e-Handbook 1.3.6.7.2, with more digits)."""


@pytest.mark.parametrize("df", TABLE_975)
def test_the_t_quantile_is_that_of_the_tables(gold: duckdb.DuckDBPyConnection, df: int) -> None:
    assert ask(gold, "student_t_quantile(0.975, ?)", df) == pytest.approx(TABLE_975[df], abs=1e-8)
    assert ask(gold, "student_t_quantile(0.025, ?)", df) == pytest.approx(-TABLE_975[df], abs=1e-8)


@pytest.mark.parametrize(
    ("p", "df", "t"), [(0.95, 5, 2.0150483733), (0.995, 10, 3.1692726726), (0.995, 3, 5.8409093097), (0.9, 30, 1.3104150253)]
)
def test_other_levels_too(gold: duckdb.DuckDBPyConnection, p: float, df: int, t: float) -> None:
    assert ask(gold, "student_t_quantile(?, ?)", p, df) == pytest.approx(t, abs=1e-8)


@given(st.floats(1, 2000))
def test_the_quantile_is_right_to_a_millionth_for_any_degrees_of_freedom(gold: duckdb.DuckDBPyConnection, df: float) -> None:
    t = ask(gold, "student_t_quantile(0.975, ?)", df)
    slope = (distribution(t + 1e-4, df) - distribution(t - 1e-4, df)) / 2e-4
    assert abs(distribution(t, df) - 0.975) / slope < 1e-6
    assert ask(gold, "student_t_cdf(?, ?)", t, df) == pytest.approx(0.975, abs=1e-9)


@given(st.floats(0.005, 0.995), st.floats(2, 2000))
def test_it_undoes_the_distribution_at_any_level(gold: duckdb.DuckDBPyConnection, p: float, df: float) -> None:
    assert distribution(ask(gold, "student_t_quantile(?, ?)", p, df), df) == pytest.approx(p, abs=1e-9)


def distribution(t: float, df: float) -> float:
    """Student's distribution function by the continued fraction of the incomplete beta function: another way than the SQL's."""
    x, a, b = df / (df + t * t), df / 2, 0.5
    front = (
        math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
        if 0 < x < 1
        else 0.0
    )
    tail = front * fraction(x, a, b) / a if x < (a + 1) / (a + b + 2) else 1 - front * fraction(1 - x, b, a) / b
    return 1 - tail / 2 if t > 0 else tail / 2


def fraction(x: float, a: float, b: float) -> float:
    """Lentz's method."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, 2000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + term * d)
            c = 1 + term / c
            found *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return found


def test_no_degrees_of_freedom_no_quantile(gold: duckdb.DuckDBPyConnection) -> None:
    assert ask(gold, "student_t_quantile(0.975, 0)") is None
    assert ask(gold, "student_t_quantile(1.0, 5)") is None
    assert ask(gold, "student_t_quantile(0.5, 5)") == 0
    assert ask(gold, "mean_margin(1, NULL)") is None


# --- Welch, Hedges, Fisher

A1 = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
A2 = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]
"""A published worked example of Welch's test: t = -2.46, 25.0 degrees of freedom."""


def of(values: list[float]) -> tuple[int, float]:
    return len(values), statistics.stdev(values)


def test_welch_is_that_of_the_worked_example(gold: duckdb.DuckDBPyConnection) -> None:
    groups = (*of(A1), *of(A2))
    error, df = ask(gold, "welch_error(?, ?, ?, ?)", *groups), ask(gold, "welch_df(?, ?, ?, ?)", *groups)
    assert (statistics.mean(A1) - statistics.mean(A2)) / error == pytest.approx(-2.46, abs=0.005)
    assert df == pytest.approx(25.0, abs=0.05)
    assert ask(gold, "welch_margin(?, ?, ?, ?)", *groups) == pytest.approx(ask(gold, "student_t_quantile(0.975, ?)", df) * error)


def test_equal_groups_have_the_degrees_of_freedom_of_the_plain_test(gold: duckdb.DuckDBPyConnection) -> None:
    assert ask(gold, "welch_df(10, 2.0, 10, 2.0)") == pytest.approx(18)


def test_what_does_not_vary_or_is_alone_has_no_interval_and_no_effect(gold: duckdb.DuckDBPyConnection) -> None:
    for groups in ((1, None, 5, 2.0), (5, 2.0, 1, None), (5, 0.0, 5, 0.0)):
        assert ask(gold, "welch_margin(?, ?, ?, ?)", *groups) is None
        n1, sd1, n2, sd2 = groups
        assert ask(gold, "hedges_g(?, 1.0, ?, ?, 2.0, ?)", n1, sd1, n2, sd2) is None


def test_the_effect_size_is_that_of_the_textbook(gold: duckdb.DuckDBPyConnection) -> None:
    """Borenstein et al. 2009, chapter 4: means 103 and 100, sd 5.5 and 4.5, 50 each: d = 0.5970, g = 0.5924, variance of g 0.0411."""
    g = ask(gold, "hedges_g(50, 100.0, 4.5, 50, 103.0, 5.5)")
    assert g == pytest.approx(0.5924, abs=5e-5)
    assert ask(gold, "hedges_error(50, 50, ?)", g) ** 2 == pytest.approx(0.0411, abs=5e-5)


def test_the_fisher_interval_is_that_of_the_formula(gold: duckdb.DuckDBPyConnection) -> None:
    low, high = (ask(gold, "fisher_bound(0.654, 34, ?)", side) for side in (-1, 1))
    z = math.atanh(0.654)
    assert (low, high) == pytest.approx(
        (math.tanh(z - 1.959963984540054 / math.sqrt(31)), math.tanh(z + 1.959963984540054 / math.sqrt(31)))
    )
    assert (round(low, 2), round(high, 2)) == (0.41, 0.81)
    assert ask(gold, "fisher_bound(0.5, 3, 1)") is None
    assert ask(gold, "fisher_bound(1.0, 30, 1)") is None


def test_local_time_follows_the_offset_and_no_zone_of_the_machine(gold: duckdb.DuckDBPyConnection) -> None:
    said = "CAST(local_time(TIMESTAMPTZ '2025-03-30 00:59:59.5+00', ?) AS VARCHAR)"
    assert ask(gold, said, 3600) == "2025-03-30 01:59:59.5"
    assert ask(gold, said, -14_400) == "2025-03-29 20:59:59.5"
