"""The pages: each shows itself on the shipped example, says so when there is nothing, and leads from a day to what made its numbers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from config.daily import COLUMNS
from config.errors import StoreError
from serving.charts.pressure import average
from serving.evidence.cell import evidence
from serving.gold import Gold, demo
from serving.pages import PAGES, Entry, quality
from serving.pages.labels import LABELS
from serving.pages.lineage import said, table_of
from serving.pages.overview import FIGURES, freshness, headline
from serving.pages.tools import Tools
from serving.pages.words import plain
from serving.spreadsheet import csv_bytes
from serving.view import View
from tests.gold_bench import changed_year

YEAR = View(date(2025, 10, 3), date(2025, 12, 31))
NOTHING = View(date(2031, 1, 1), date(2031, 1, 7), "custom")


@pytest.fixture(scope="module")
def gold() -> Iterator[Gold]:
    with demo() as opened:
        yield opened


DAG: dict[str, Any] = {
    "as_of": "2026-01-01T12:00:00+00:00",
    "nodes": [
        {"node": "ingestion.a", "stage": "ingestion", "state": "committed", "rows": 3, "seconds": 0.1234, "version": 2, "upstream": []},
        {"node": "merge.b", "stage": "merge", "state": "failed", "rows": None, "seconds": None, "version": None,
         "error": "It broke.", "upstream": ["ingestion.a"]},
    ],
    "edges": [["ingestion.a", "merge.b"]],
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" height="40"></svg>',
}  # fmt: skip


def tools(gold: Gold, **more: Any) -> Tools:
    plain: dict[str, Any] = {"evidence": partial(evidence, gold), "lineage": lambda: DAG}
    return Tools(**plain | more)


def shown(page: Callable[..., None], gold: Gold, view: View, with_tools: Tools, day: str = "") -> AppTest:
    def script(page: "Any", gold: "Any", view: "Any", with_tools: "Any") -> None:  # noqa: UP037  its source runs alone
        page(gold, view, with_tools)

    app = AppTest.from_function(script, default_timeout=120, args=(page, gold, view, with_tools))
    if day:
        app.query_params["day"] = day
    return app.run()


def entry(url_path: str) -> Entry:
    return next(e for e in PAGES if e.url_path == url_path)


def words(app: AppTest) -> str:
    """All that a person reads as text."""
    kinds = ("text", "markdown", "info", "warning", "caption", "header", "subheader")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))


@pytest.mark.parametrize("page", PAGES, ids=[e.title for e in PAGES])
def test_a_page_shows_itself_with_one_heading_and_without_an_error(page: Entry, gold: Gold) -> None:
    app = shown(page.page, gold, YEAR, tools(gold))
    assert not app.exception
    assert not app.error
    assert len(app.title) == 1
    assert not app.warning


@pytest.mark.parametrize(
    ("url_path", "always", "where_told"),
    [
        ("heart", ["Heart rate"], ["Heart rate variability (SDNN)", "Heart rate variability (RMSSD)"]),
        ("activity", ["Steps", "Weight", "Oxygen saturation (SpO₂)"], ["Body fat", "Respiration", "Body temperature"]),
    ],
)
def test_what_few_devices_tell_stands_on_its_page_where_one_does(
    url_path: str, always: list[str], where_told: list[str], gold: Gold, tmp_path: Path
) -> None:
    assert [h.value for h in shown(entry(url_path).page, gold, YEAR, tools(gold)).header] == list(map(plain, always))
    with changed_year(tmp_path / "gold.duckdb") as told:
        app = shown(entry(url_path).page, told, YEAR, tools(told))
    assert not app.exception
    assert sorted(h.value for h in app.header) == sorted(map(plain, (*always, *where_told)))
    assert len(app.expander) == len(app.header)


@pytest.mark.parametrize("page", PAGES, ids=[e.title for e in PAGES])
def test_a_page_without_data_in_its_range_says_so_in_a_sentence(page: Entry, gold: Gold) -> None:
    app = shown(page.page, gold, NOTHING, tools(gold))
    assert not app.exception
    assert not app.error
    assert all(str(info.value).rstrip().endswith(("\\.", ".")) for info in app.info)
    if page.url_path in {"", "blood-pressure", "heart", "sleep", "activity"}:
        assert app.info


@pytest.mark.parametrize("page", PAGES, ids=[e.title for e in PAGES])
def test_a_page_of_a_single_source_shows_itself(page: Entry, gold: Gold) -> None:
    app = shown(page.page, gold, View(date(2025, 10, 3), date(2025, 12, 31), source="mi_fitness"), tools(gold))
    assert not app.exception
    assert not app.error


def test_every_column_of_the_daily_table_has_a_label_and_stands_on_the_day_page() -> None:
    assert set(LABELS) == set(COLUMNS)


def test_every_number_of_a_day_can_be_chosen_and_explains_itself(gold: Gold) -> None:
    def script(at: "Any", with_tools: "Any") -> None:  # noqa: UP037  its source runs alone
        from config.daily import COLUMNS
        from serving.pages import explain

        for column in COLUMNS:
            explain.number(at, column, with_tools)

    at = date(2025, 10, 2)
    app = AppTest.from_function(script, default_timeout=120, args=(at, tools(gold))).run()
    assert not app.exception
    assert not app.warning
    assert len(app.subheader) == len(COLUMNS)
    for column, told in COLUMNS.items():
        assert told.meaning in words(app), column
        assert f"How it is made: {told.rule}" in words(app), column


def test_the_day_page_shows_the_day_of_the_address_and_steps_to_its_neighbours(gold: Gold) -> None:
    app = shown(entry("day").page, gold, YEAR, tools(gold), "2025-10-02")
    assert app.header[0].value == "Thursday, 2 October 2025"
    app.button("day-next").click().run()
    assert app.header[0].value == "Friday, 3 October 2025"
    assert app.query_params["day"] == "2025-10-03"
    app.button("day-previous").click().run().button("day-previous").click().run()
    assert app.header[0].value == "Wednesday, 1 October 2025"
    app.date_input("day-date").set_value(date(2025, 3, 1)).run()
    assert app.header[0].value == "Saturday, 1 March 2025"


def test_a_number_that_is_chosen_shows_its_readings_and_the_record_behind_them(gold: Gold) -> None:
    app = shown(entry("day").page, gold, YEAR, tools(gold), "2025-10-02")
    app.button("day-cell-diastolic").click().run()
    assert app.subheader[0].value == f"Diastolic: {plain('77.0 mmHg')}"
    assert "4 readings used" in words(app)
    assert "2 readings not used" in words(app)
    assert app.dataframe[0].value["Value"].tolist() == [83.0, 82.0, 73.0, 70.0]
    assert "Place in it: row 233" in words(app)
    assert '"diastolic": 83' in app.code[0].value


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("", "Wednesday, 31 December 2025"),
        ("soon", "Wednesday, 31 December 2025"),
        ("2019-01-01", "Tuesday, 1 January 2019"),
        ("0001-01-01", "Monday, 1 January 1"),
    ],
)
def test_a_day_that_is_none_or_has_no_data_is_answered_kindly(asked: str, given: str, gold: Gold) -> None:
    app = shown(entry("day").page, gold, YEAR, tools(gold), asked)
    assert not app.exception
    assert app.header[0].value == given
    if asked.startswith("2019"):
        assert "Nearest days with data: 1 January 2025" in app.info[0].value.replace("\\", "")


def test_evidence_that_cannot_be_had_is_a_sentence(gold: Gold) -> None:
    def gone(_: date, __: str) -> dict[str, Any]:
        raise StoreError("The daily table is gone from the store.", "Run the pipeline again.")

    app = shown(entry("day").page, gold, YEAR, tools(gold, evidence=gone), "2025-10-02")
    assert not app.exception
    assert "The daily table is gone" in app.warning[0].value


def test_a_page_asks_whether_the_session_is_still_open_before_every_part_that_runs_alone(gold: Gold) -> None:
    asked: list[int] = []
    shown(entry("").page, gold, YEAR, tools(gold, still_open=lambda: asked.append(1)))
    assert len(asked) == 2  # the figures, the chart
    asked.clear()
    shown(entry("relations").page, gold, YEAR, tools(gold, still_open=lambda: asked.append(1)))
    assert len(asked) == 3


def test_headline_figures_are_means_and_say_how_they_differ(gold: Gold) -> None:
    pressure = (
        "SELECT avg(systolic) AS systolic, avg(diastolic) AS diastolic FROM bp_readings WHERE used AND date BETWEEN $a AND $b"
    )
    mean = f"FROM ({pressure}), (SELECT avg(steps) AS steps FROM daily WHERE date BETWEEN $a AND $b)"
    now = gold.table(mean, {"a": date(2025, 12, 25), "b": date(2025, 12, 31)}).iloc[0]
    before = gold.table(mean, {"a": date(2025, 12, 18), "b": date(2025, 12, 24)}).iloc[0]
    told = dict(zip([f.words for f in FIGURES], headline(gold, YEAR, 7), strict=True))
    value, against, arrow = told["Blood pressure"]
    assert value == f"{round(now['systolic'])}/{round(now['diastolic'])}"
    assert against.startswith(f"{round(abs(now['systolic'] - before['systolic']))} ")
    assert arrow == ("up" if now["systolic"] > before["systolic"] else "down")
    assert told["Steps"][0].replace("\u202f", "") == str(round(now["steps"]))


def test_the_headline_pressure_is_the_one_of_the_sentence_below_it(gold: Gold) -> None:
    for back in range(0, 300, 7):
        last = date(2025, 12, 31) - timedelta(days=back)
        view = View(last - timedelta(days=6), last, "7")
        now = average(gold, view)
        assert headline(gold, view, 7)[0][0] == (now.pair if now else "–")


def test_headline_figures_of_an_empty_range_are_dashes(gold: Gold) -> None:
    for view in (NOTHING, View(date.min, date.min, "custom"), View(date.max, date.max, "custom")):
        assert {value for value, _, _ in headline(gold, view, 30)} == {"–"}


def test_the_overview_says_which_source_has_gone_silent(gold: Gold) -> None:
    said = freshness(gold, YEAR)
    assert said.startswith("Newest: 31 December 2025")
    assert "Stale: Google Sheet with blood pressure, silent for 78 days." in said
    later = freshness(gold, YEAR, today=date(2026, 1, 10))
    assert "Mi Fitness export, silent for 10 days" in later


def test_the_balance_tells_what_became_of_every_reading(gold: Gold) -> None:
    rows = quality.balance(gold, YEAR)
    came, counted, left, refused = (int(rows[name].sum()) for name in rows.columns[2:])
    assert came == counted + left + refused > 70_000
    assert quality.balance_said(
        rows
    ) == f"Of all time {came:,} readings came: {counted:,} count, {left:,} are left out, {refused:,} were refused.".replace(
        ",", "\u202f"
    ).replace("\u202f ", ", ")
    one = rows.iloc[:1].assign(**{"Readings that came": 3, "Counted": 1, "Left out": 1, "Refused": 1})
    assert quality.balance_said(one) == "Of all time 3 readings came: 1 counts, 1 is left out, 1 was refused."


def test_one_reading_left_out_is_said_of_one() -> None:
    rows = pd.DataFrame({"Readings": [1], "Fate": ["duplicate"]})
    assert quality.unused_said(rows) == "1 valid reading of this range not counted; 1 of them tells what another tells."


def test_the_lineage_names_every_step_its_state_and_what_it_reads() -> None:
    assert said(DAG) == "2 steps: 1 ran, 1 failed. As of 2026-01-01 12:00 UTC."
    rows = table_of(DAG)
    assert rows["Went last"].tolist() == ["✓ ran", "✗ failed: It broke."]
    assert rows["Reads"].tolist() == ["", "ingestion.a"]
    assert rows["Rows"].isna().tolist() == [False, True]
    assert "Seconds" not in table_of(DAG | {"nodes": [node | {"seconds": None} for node in DAG["nodes"]]})


def test_a_lineage_that_is_not_there_is_a_sentence(gold: Gold) -> None:
    app = shown(entry("lineage").page, gold, YEAR, tools(gold, lineage=lambda: None))
    assert "no pipeline" in app.info[0].value


HOSTILE = "<script>alert(1)</script> [x](https://evil.example) **b** $x$ :red[r] :material/home: `c` a@b.example www.evil.example"


def test_plain_text_means_nothing_to_markdown() -> None:
    escaped = plain(HOSTILE)
    for sign in "<>[]*$:`":
        assert f"\\{sign}" in escaped
        assert sign not in escaped.replace(f"\\{sign}", "")
    for address in ("https", "www.", "a@b"):
        assert address not in escaped.replace("\\", "")
    assert plain("") == ""


def test_a_hostile_label_is_shown_as_it_is_written(gold: Gold) -> None:
    def told(day: date, column: str) -> dict[str, Any]:
        fact = {"setting": "events", "value": HOSTILE}
        return evidence(gold, day, column) | {"value": HOSTILE, "made_of": [fact], "notes": [HOSTILE]}

    def script(at: "Any", with_tools: "Any") -> None:  # noqa: UP037  its source runs alone
        from serving.pages import explain

        explain.number(at, "event", with_tools)

    app = AppTest.from_function(script, default_timeout=120, args=(date(2025, 6, 14), tools(gold, evidence=told))).run()
    assert app.subheader[0].value == f"Events: {plain(HOSTILE)}"
    assert any(text.value.endswith(HOSTILE) for text in app.text)  # what is no Markdown needs no escape
    assert app.caption[0].value.endswith(plain(HOSTILE))


def test_counts_stay_whole_beside_empty_cells_in_a_csv() -> None:
    rows = pd.DataFrame({"steps": [7133.0, None], "mean": [1.5, None]})
    assert csv_bytes(rows) == b"steps,mean\r\n7133,1.5\r\n,\r\n"


def test_a_cell_of_a_csv_never_starts_a_formula_and_numbers_stay_numbers() -> None:
    rows = pd.DataFrame({"=what": ["=1+1", "+x", "-x", "@x", "plain"], "n": [-1.5, 2, 3, 4, 5]})
    again = pd.read_csv(io.BytesIO(csv_bytes(rows)))
    assert again["'=what"].tolist() == ["'=1+1", "'+x", "'-x", "'@x", "plain"]
    assert again["n"].tolist() == [-1.5, 2, 3, 4, 5]
