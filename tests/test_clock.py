"""Dates and times out of cells: every style people write is read, what is ambiguous is said to be, nothing is guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.timezones import PersonZones, zone
from ingestion.clock import Clock, read_date, read_epoch, read_format, read_time
from ingestion.date_column import locale_order, read_column
from ingestion.occasions import occasion, ordinals

DAY = date(2025, 3, 29)


@pytest.mark.parametrize(
    "cell",
    [
        *(
            45745,
            45745.0,
            20250329,
            "20250329",
            "2025-03-29",
            "2025/03/29",
            "2025.03.29",
            "2025-3-29",
            "29.03.2025",
            "29.3.25",
            "29.3.2025 r.",
        ),
        *(
            "29/03/2025",
            "03/29/2025",
            "29-03-2025",
            " 29.03.2025\u00a0",
            "Mar 29 2025",
            "March 29, 2025",
            "29 March 2025",
            "29th of March 2025",
        ),
        *(
            "29 marca 2025",
            "29 marca 2025 r.",
            "29. März 2025",
            "29 de marzo de 2025",
            "29 mars 2025",
            "29 marzo 2025",
            "29 de março de 2025",
        ),
        *(
            "29 марта 2025 г.",
            "29 березня 2025",
            "29 maart 2025",
            "29. března 2025",
            "Sat, 29 Mar 2025",
            "sobota 29.03.2025",
            "2025 Mar 29",
        ),
    ],
)
def test_a_date_is_read_in_every_style(cell: object) -> None:
    written = read_date(cell)
    assert written.day("dmy") == DAY
    assert written.clock == Clock()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2025-03-29 07:30", time(7, 30)),
        ("2025-03-29T07:30:15", time(7, 30, 15)),
        ("29.03.2025 7.32", time(7, 32)),
        ("29.03.2025, 7:32", time(7, 32)),
        ("3/29/2025 7:30 PM", time(19, 30)),
        ("3/29/2025 7:30\u202fPM", time(19, 30)),
        (45745.3125, time(7, 30)),
        ("29 marca 2025 o 7:30", time(7, 30)),
    ],
)
def test_a_date_cell_may_hold_the_time(cell: object, expected: time) -> None:
    written = read_date(cell)
    assert (written.day("mdy"), written.clock) == (DAY, Clock(expected))


def test_a_word_for_the_part_of_day_stands_in_for_the_time() -> None:
    assert read_date("29.03.2025 rano").clock == Clock(slot="morning")
    assert [read_time(w).slot for w in ("wieczorem", "PM", "am Abend", "W południe", "нocь", "noche", "po południu")] == [
        *("evening", "evening", "evening", "midday", None, "night", "afternoon")
    ]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *(
            ("07:30", time(7, 30)),
            ("7:30", time(7, 30)),
            ("7.30", time(7, 30)),
            ("7,30", time(7, 30)),
            ("07:30:15", time(7, 30, 15)),
        ),
        *(
            ("7:30 PM", time(19, 30)),
            ("7:30p.m.", time(19, 30)),
            ("12:05 am", time(0, 5)),
            ("12 pm", time(12)),
            ("7h30", time(7, 30)),
        ),
        *(("7 Uhr", time(7)), ("7.30 Uhr", time(7, 30)), ("godz. 7:30", time(7, 30)), ("0730", time(7, 30)), (730, time(7, 30))),
        *((0.3125, time(7, 30)), (7.32, time(7, 32)), (7.3, time(7, 30)), (7, time(7)), (45745.3125, time(7, 30)), (0, time(0))),
    ],
)
def test_a_time_is_read_in_every_style(cell: object, expected: time) -> None:
    assert read_time(cell) == Clock(expected)


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        *(
            ("29.02.2025", "no_such_date"),
            ("31.04.2025", "no_such_date"),
            ("2025-13-01", "no_such_date"),
            ("13/13/2025", "no_such_date"),
        ),
        *(("0001-01-01", "year_out_of_range"), ("1677-09-21", "year_out_of_range"), ("2262-04-12", "year_out_of_range")),
        *(("9999-12-31", "year_out_of_range"), (5.03, "year_out_of_range"), (2_900_000, "year_out_of_range")),
        *(("#REF!", "bad_date"), ("#N/A", "bad_date"), ("Loading…", "bad_date"), ("45292", "bad_date"), ("٣/٤/٢٠٢٥", "bad_date")),
        *(
            ("２０２５-０３-２９", "bad_date"),
            (True, "bad_date"),
            (None, "bad_date"),
            (float("nan"), "bad_date"),
            (float("inf"), "bad_date"),
        ),
        *((1e300, "bad_date"), (-5, "bad_date"), ("x" * 5000, "bad_date"), ("29", "bad_date"), ("March 2025", "bad_date")),
        *(("29.03", "date_without_year"), ("5 marca", "date_without_year"), ("Mon, 5 May", "date_without_year")),
    ],
)
def test_what_is_no_date_says_why(cell: object, code: str) -> None:
    assert read_date(cell).day("dmy") == code


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        *(
            ("24:00", "hour_24"),
            ("24:00:00", "hour_24"),
            ("23:59:60", "leap_second"),
            ("25:00", "bad_time"),
            ("7:60", "bad_time"),
        ),
        *(
            ("13:00 PM", "bad_time"),
            ("7:5", "bad_time"),
            ("later", "bad_time"),
            (7.75, "bad_time"),
            (-1, "bad_time"),
            (True, "bad_time"),
        ),
        *((float("nan"), "bad_time"), (1e300, "bad_time"), ("٠٧:٣٠", "bad_time")),
    ],
)
def test_what_is_no_time_says_why(cell: object, code: str) -> None:
    assert read_time(cell) == Clock(error=code)


def days(cells: list[object], locale: str | None = None, titles: tuple[str, ...] = ()) -> list[object]:
    return [d.day or d.error for d in read_column(cells, locale, titles)]


def test_rows_that_allow_one_order_decide_for_the_column() -> None:
    assert days(["03/04/2025", "25/04/2025"]) == [date(2025, 4, 3), date(2025, 4, 25)]
    assert days(["03/04/2025", "03/25/2025"]) == [date(2025, 3, 4), date(2025, 3, 25)]


def test_the_locale_decides_where_no_row_does() -> None:
    assert days(["03/04/2025"], "pl_PL") == [date(2025, 4, 3)]
    assert days(["03/04/2025"], "en_GB") == [date(2025, 4, 3)]
    assert days(["03/04/2025"], "en_US") == [date(2025, 3, 4)]
    assert [locale_order(name) for name in (None, "", "en", "ja_JP", "en_CA", "pl", "en-US")] == [
        None,
        None,
        None,
        None,
        None,
        "dmy",
        "mdy",
    ]


def test_an_order_nothing_decides_is_not_guessed() -> None:
    assert days(["03/04/2025", "05/05/2025", "2025-01-01"]) == ["ambiguous_date", date(2025, 5, 5), date(2025, 1, 1)]
    assert days(["03/04/2025", "25/04/2025", "04/25/2025"], "pl_PL")[0] == "ambiguous_date"


def test_a_missing_year_comes_from_the_rows_around_it() -> None:
    found = read_column(["28.12.2024", "31.12", "02.01", "05.01.2025"])
    assert [d.day for d in found] == [date(2024, 12, 28), date(2024, 12, 31), date(2025, 1, 2), date(2025, 1, 5)]
    assert [d.warning for d in found] == [None, "year_from_neighbours", "year_from_neighbours", None]


def test_a_missing_year_comes_from_the_title_or_not_at_all() -> None:
    assert days(["1 maja", "2 maja"], None, ("Ciśnienie 2025",)) == [date(2025, 5, 1), date(2025, 5, 2)]
    assert days(["1 maja"], None, ("2024-2025",)) == ["date_without_year"]
    assert days(["1 maja"]) == ["date_without_year"]
    assert days(["29.02", "01.03.2025"]) == ["date_without_year", date(2025, 3, 1)]
    assert days(["01.01.2025", "01.07"])[1] == "date_without_year"


WARSAW = PersonZones("Europe/Warsaw")


def test_a_night_without_its_hour_is_moved_on_and_flagged() -> None:
    spring = occasion(date(2025, 3, 30), Clock(time(2, 30)), None, WARSAW)
    autumn = occasion(date(2025, 10, 26), Clock(time(2, 30)), None, WARSAW)
    assert (spring.utc, spring.warnings) == (datetime(2025, 3, 30, 1, 30, tzinfo=UTC), ("dst_gap",))
    assert (autumn.utc, autumn.warnings) == (datetime(2025, 10, 26, 0, 30, tzinfo=UTC), ("dst_overlap",))


def test_travel_beats_the_sheets_zone_and_the_sheets_zone_beats_home() -> None:
    zones = PersonZones("Europe/Warsaw", [{"from": "2025-09-20", "to": "2025-09-26", "timezone": "America/New_York"}])
    tokyo = zone("Asia/Tokyo")
    assert occasion(date(2025, 9, 21), Clock(time(8)), None, zones, tokyo).utc == datetime(2025, 9, 21, 12, tzinfo=UTC)
    assert occasion(date(2025, 9, 28), Clock(time(8)), None, zones, tokyo).utc == datetime(2025, 9, 27, 23, tzinfo=UTC)


def test_a_missing_time_has_a_place_and_a_flag() -> None:
    slot, none = occasion(DAY, Clock(), "evening", WARSAW), occasion(DAY, Clock(), None, WARSAW)
    assert (slot.label, slot.warnings, slot.utc) == (
        "2025-03-29/evening",
        ("time_from_slot",),
        datetime(2025, 3, 29, 19, tzinfo=UTC),
    )
    assert (none.label, none.warnings, none.utc) == ("2025-03-29", ("time_unknown",), datetime(2025, 3, 29, 11, tzinfo=UTC))
    assert occasion(DAY, Clock(time(7, 30)), "evening", WARSAW).warnings == ("slot_mismatch",)
    assert occasion(DAY, Clock(error="bad_time"), "evening", WARSAW).warnings == ("bad_time", "time_from_slot")
    assert occasion(DAY, Clock(error="bad_time"), None, WARSAW).errors == ("bad_time",)
    assert occasion(DAY, Clock(error="hour_24"), "evening", WARSAW).errors == ("hour_24",)


def test_ordinals_follow_content_not_order() -> None:
    rows = [("a", "y"), ("a", "x"), ("b", "y"), ("a", "y")]
    assert ordinals(rows) == ordinals(rows[::-1]) == {("a", "x"): 1, ("a", "y"): 2, ("b", "y"): 1}


def test_epochs_have_one_unit_and_a_range() -> None:
    assert read_epoch("1703175660000", 1000) == datetime(2023, 12, 21, 16, 21, tzinfo=UTC)
    assert read_epoch("1703175660", 1) == datetime(2023, 12, 21, 16, 21, tzinfo=UTC)
    assert read_epoch("1703175660000", 1) == "year_out_of_range"
    assert [read_epoch(text, 1) for text in ("", "-5", "1e9", "1_000", "١٢٠", "9" * 50)] == ["bad_date"] * 6


def test_declared_formats_are_the_only_ones() -> None:
    assert read_format("03/04/2025", ("%d/%m/%Y",)) == datetime(2025, 4, 3)
    assert read_format("2025-04-03", ("%d/%m/%Y",)) == "bad_date"
    assert read_format("01/01/0001", ("%d/%m/%Y",)) == "year_out_of_range"


CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.from_regex(r"[0-9./: -]{1,20}", fullmatch=True)
)


@given(CELLS)
def test_no_cell_raises(cell: object) -> None:
    written = read_date(cell)
    found = written.day("dmy", 2024)
    assert isinstance(found, date) or found in {"bad_date", "no_such_date", "year_out_of_range"}
    clock = read_time(cell)
    assert clock.error in {None, "bad_time", "hour_24", "leap_second"}
    assert len(read_column([cell, "2025-01-01", cell])) == 3


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 12, 30)))
def test_a_written_moment_is_read_back(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    serial = (moment - datetime(1899, 12, 30)).total_seconds() / 86_400
    for cell in (
        serial,
        f"{moment:%Y-%m-%d %H:%M:%S}",
        f"{moment:%d.%m.%Y %H:%M:%S}",
        f"{moment.day}.{moment.month}.{moment.year} {moment:%H:%M:%S}",
    ):
        written = read_date(cell)
        midnight = isinstance(cell, float) and moment.time() == time()
        assert (written.day("dmy"), written.clock) == (moment.date(), Clock() if midnight else Clock(moment.time()))
