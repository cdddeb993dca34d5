"""Blood pressure values as people write them become numbers, or say why not; no guess, no number lost."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.normalizers.pressure_values import Number, Pair, read_number, read_pair, read_pulse, split_pair


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *(
            (128, 128),
            (128.5, 128.5),
            ("128", 128),
            (" 128\u00a0", 128),
            ("007", 7),
            ("36,6", 36.6),
            ("36.6", 36.6),
            ("-0", None),
        ),
        *(
            ("141.3571428571", 141.3571428571),
            ("128mmHg", 128),
            ("128 mm Hg", 128),
            ("128 MMHG", 128),
            ("64 bpm", 64),
            ("64/min", 64),
        ),
        *(("64 1/min", 64), ("641/min", 641), ("17,1 kPa", 17.1), ("128 мм рт. ст.", 128), ("64 уд/мин", 64)),
    ],
)
def test_a_number_is_read(cell: Any, expected: float | None) -> None:
    assert read_number(cell).value == expected


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        *(
            ("1,234", "bad_number"),
            ("1.234", "bad_number"),
            ("1 234", "bad_number"),
            ("1_000", "bad_number"),
            ("1_2_0", "bad_number"),
        ),
        *(("١٢٠", "bad_number"), ("１２０", "bad_number"), ("NaN", "bad_number"), ("inf", "bad_number"), ("1e400", "bad_number")),
        *(("9" * 5000, "bad_number"), ("1e3", "bad_number"), ("-5", "bad_number"), ("+5", "bad_number"), ("12:30", "bad_number")),
        *(
            ("=1+1", "bad_number"),
            ("128\x00", "bad_number"),
            ("NA", "bad_number"),
            ("null", "bad_number"),
            ("2025-03-29", "bad_number"),
        ),
        *(
            (math.nan, "bad_number"),
            (math.inf, "bad_number"),
            (-math.inf, "bad_number"),
            (True, "bad_number"),
            (10**30, "bad_number"),
        ),
        *(
            ("HI", "device_error"),
            ("lo", "device_error"),
            ("Err", "device_error"),
            ("E3", "device_error"),
            ("ERROR 2", "device_error"),
        ),
        *(
            ("Błąd", "device_error"),
            ("---", "device_error"),
            ("#VALUE!", "sheet_error"),
            ("#N/A", "sheet_error"),
            ("#ARG!", "sheet_error"),
        ),
        *(("Loading...", "sheet_error"), ("Loading…", "sheet_error"), ("Wczytywanie...", "sheet_error")),
    ],
)
def test_what_is_no_number_says_why(cell: Any, reason: str) -> None:
    assert read_number(cell) == Number(reason=reason)


@pytest.mark.parametrize("cell", [None, "", " ", "-", "–", "\u00a0"])
def test_nothing_written_is_no_error(cell: Any) -> None:
    assert read_number(cell) == Number()


def test_a_declared_decimal_mark_is_the_only_one() -> None:
    assert read_number("36,6", ",").value == 36.6
    assert read_number("36,6", ".").reason == "bad_number"
    assert read_number("36", ".").value == 36


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *(
            ("128/82", ("128", "82", "")),
            ("124 / 80 ", ("124", "80", "")),
            ("131\\84", ("131", "84", "")),
            ("120-80", ("120", "80", "")),
        ),
        *(
            ("120–80", ("120", "80", "")),
            ("129/", ("129", "", "")),
            ("128/82/64", ("128", "82", "64")),
            ("17,1/10,9", ("17,1", "10,9", "")),
        ),
        *(("120x80", ("120", "80", "")), ("120 X 80", ("120", "80", "")), ("120×80/64", ("120", "80", "64"))),
        *(("128|82", ("128", "82", "")), ("128 over 82", ("128", "82", "")), ("130 na 80", ("130", "80", ""))),
        *(("128", None), ("128/82/64/1", None), ("a/b", None), (128.82, None), ("01/02/2025", None), ("１２８/８２", None)),
    ],
)
def test_a_pair_is_taken_apart(cell: Any, expected: tuple[str, str, str] | None) -> None:
    assert split_pair(cell) == expected


@pytest.mark.parametrize(
    ("high", "low", "unit", "expected"),
    [
        (128, 82, None, Pair(128, 82)),
        (80, 120, None, Pair(120, 80, ("swapped",))),
        (312, 315, None, Pair(reason="diastolic_not_below_systolic")),
        (120, 120, None, Pair(reason="diastolic_not_below_systolic")),
        (43, 123, None, Pair(reason="diastolic_not_below_systolic")),
        (0, 0, None, Pair(reason="zero", field="systolic")),
        (120, 0, None, Pair(reason="zero", field="diastolic")),
        ("", 80, None, Pair(reason="half_reading", field="systolic")),
        ("", "", None, Pair()),
        (17.1, 10.9, "mmHg", Pair(reason="unit_conflict")),
        (128, 82, "kPa", Pair(reason="unit_conflict")),
        (128, 82, "mmHg", Pair(128, 82)),
    ],
)
def test_a_pair_is_judged(high: Any, low: Any, unit: str | None, expected: Pair) -> None:
    assert read_pair(high, low, unit) == expected


@pytest.mark.parametrize(("unit", "flags"), [(None, ("converted_kpa", "assumed_kpa")), ("kPa", ("converted_kpa",))])
def test_kilopascals_become_millimetres(unit: str | None, flags: tuple[str, ...]) -> None:
    pair = read_pair("17,1", "10,9", unit)
    assert (round(pair.systolic or 0, 3), round(pair.diastolic or 0, 3), pair.flags) == (128.261, 81.757, flags)
    swapped = read_pair(10.9, 17.1, unit)
    assert swapped.flags == (*flags, "swapped")


@pytest.mark.parametrize(
    ("high", "low"),
    [(16, 10), ("16", "10"), ("12,5", "8"), (12.5, 8.5), ("17.1", "11.0"), (13, 8.2), (10, 16), ("16.05", "10.50")],
)
def test_pressures_that_could_be_cmhg_are_not_guessed(high: Any, low: Any) -> None:
    assert read_pair(high, low, None) == Pair(reason="unit_unknown")
    assert "converted_kpa" in read_pair(high, low, "kPa").flags
    assert read_pair(high, low, "mmHg") == Pair(reason="unit_conflict")


def test_a_unit_beside_one_of_two_values_holds_for_both() -> None:
    assert read_pair("16 kPa", "10", None).flags == ("converted_kpa",)


def test_a_pulse_of_zero_is_none() -> None:
    assert (read_pulse(0).reason, read_pulse("64").value, read_pulse("64 kPa").reason) == ("zero", 64, "bad_number")


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.from_regex(r"[0-9./, kPamHg-]{1,12}", fullmatch=True),
)


@given(CELLS, CELLS, st.sampled_from([None, "kPa", "mmHg"]), st.sampled_from([None, ".", ","]))
def test_any_cells_give_a_whole_pair_or_none(high: Any, low: Any, unit: str | None, decimal: str | None) -> None:
    pair = read_pair(high, low, unit, decimal)
    assert (pair.systolic is None) == (pair.diastolic is None)
    assert pair.reason is None or pair.systolic is None
    if pair.systolic is not None and pair.diastolic is not None:
        assert 0 < pair.diastolic < pair.systolic < math.inf
    split_pair(high)


@given(st.integers(1, 999), st.integers(0, 99))
def test_a_decimal_comma_is_never_a_thousands_separator(whole: int, hundredths: int) -> None:
    assert read_number(f"{whole},{hundredths:02d}").value == pytest.approx(whole + hundredths / 100)
    assert read_number(f"{whole},{hundredths:03d}").reason == "bad_number"


def test_a_negative_number_is_no_pressure() -> None:
    assert read_pair("120", "-80", None).reason == "bad_number"
    assert read_pair(1.0, -1, None) == Pair(reason="bad_number", field="diastolic")
