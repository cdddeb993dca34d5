"""The address of a page: whatever it holds, there is a view; and a view comes back from its own address."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.view import PRESETS, SCHEMES, Choices, View, params_of, view_of

DATA = Choices(date(2024, 1, 1), date(2025, 12, 31), ("bp_csv", "mi_fitness"), "esc_2024_home")
TEXT = st.one_of(
    st.sampled_from(
        [*PRESETS, "custom", "2025-03-01", "2025-02-30", "0001-01-01", "9999-12-31", "20250301", "", "bp_csv", *SCHEMES]
    ),
    st.text(max_size=12),
    st.dates().map(date.isoformat),
)


@given(st.dictionaries(st.sampled_from(["range", "from", "to", "source", "scheme", "day", "x"]), TEXT))
def test_any_address_gives_a_view_in_order_and_the_view_gives_its_address_back(params: dict[str, str]) -> None:
    view = view_of(params, DATA)
    assert view.first <= view.last
    assert view.preset in {*PRESETS, "custom"}
    assert view.source in {"", *DATA.sources}
    assert view.scheme in SCHEMES
    assert view_of(params_of(view, DATA), DATA) == view


@pytest.mark.parametrize(("preset", "days"), [("7", 7), ("30", 30), ("90", 90), ("365", 365), ("all", 731)])
def test_a_preset_counts_back_from_the_last_day_of_the_data(preset: str, days: int) -> None:
    view = view_of({"range": preset}, DATA)
    assert (view.last, view.days) == (date(2025, 12, 31), days)


def test_without_a_choice_it_is_the_last_90_days_of_the_data_in_the_persons_own_scheme() -> None:
    view = view_of({}, DATA)
    assert view == View(date(2025, 10, 3), date(2025, 12, 31), "90", "", "esc_2024_home")
    assert params_of(view, DATA) == {}


def test_a_custom_range_may_be_turned_round_half_given_or_outside_the_data() -> None:
    assert view_of({"from": "2025-04-01", "to": "2025-03-01"}, DATA).first == date(2025, 3, 1)
    assert view_of({"range": "custom", "from": "2025-04-01"}, DATA).last == DATA.last
    assert view_of({"range": "custom", "to": "2025-04-01"}, DATA).first == DATA.first
    far = view_of({"range": "custom", "from": "2030-01-01"}, DATA)
    assert (far.first, far.last) == (date(2030, 1, 1), date(2030, 1, 1))
    assert view_of({"range": "custom"}, DATA).preset == "90"


def test_data_that_begins_at_the_beginning_of_time_has_presets() -> None:
    early = Choices(date.min, date.min + timedelta(days=3))
    assert view_of({"range": "365"}, early).first == date.min
