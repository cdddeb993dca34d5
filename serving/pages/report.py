"""The report page: choose a measuring week, see it as the doctor will, take it along as a page to print or as CSV."""

from __future__ import annotations

import base64
from datetime import date
from typing import TYPE_CHECKING

from serving.charts.words import pair
from serving.pages import show

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View

_HEIGHT = 1180
"""Of the preview: about a page of A4."""


def page(gold: Gold, view: View, tools: Tools) -> None:
    """The report of one measuring week."""
    import streamlit as st

    from serving.report import week as report

    show.heading("Report for the doctor", "A measuring week by the home protocol, on one page.")
    weeks = report.weeks(gold)
    if weeks.empty:
        st.info(
            "There is no measuring week yet. Measure for seven days, in the morning and in the evening, twice each.",
            icon=":material/info:",
        )
        return
    labels = _labels(weeks)
    start = st.selectbox(
        "Measuring week", list(labels), index=_first_choice(weeks, view), format_func=labels.__getitem__, key="report-week"
    )
    _week(gold, start, tools)


def _labels(weeks: pd.DataFrame) -> dict[date, str]:
    """Start of the week → how it is offered."""
    from serving.report import week as report

    return {
        row["start"].date(): f"{report.title({n: row[n].date() for n in ('start', 'end')})}: "
        + (f"{pair(row['systolic'], row['diastolic'])} mmHg" if row["valid"] else "not valid")
        for row in weeks.to_dict("records")
    }


def _first_choice(weeks: pd.DataFrame, view: View) -> int:
    """The last valid week of the chosen span, else the last valid one, else the last."""
    valid = [(n, row["start"].date()) for n, row in enumerate(weeks.to_dict("records")) if row["valid"]]
    within = [n for n, start in valid if view.first <= start <= view.last]
    return (within or [n for n, _ in valid] or [0])[0]


def _week(gold: Gold, start: date, tools: Tools) -> None:
    import streamlit as st

    from serving.report import week as report
    from serving.report.page import document
    from serving.spreadsheet import csv_bytes

    told = report.week(gold, start)
    if told is None:
        st.info("This week is gone; choose another.", icon=":material/info:")
        return
    st.text(f"{report.category(told)} {report.verdict(told)}")
    text = document(told)
    name = f"blood_pressure_{start}"
    with st.container(horizontal=True):
        tools.download("Page to print", f"{name}.html", "text/html", text.encode, key="report-html")
        tools.download("Readings as CSV", f"{name}.csv", "text/csv", lambda: csv_bytes(report.rows(told)), key="report-csv")
    show.note("Open the page and print it, or save it as PDF from the print dialogue; name and notes are to be written by hand.")
    preview = base64.b64encode(text.encode()).decode()
    st.iframe(f"data:text/html;base64,{preview}", height=_HEIGHT, tab_index=0, alt="The report as it will be printed")
