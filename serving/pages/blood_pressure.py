"""Blood pressure: the band over time, morning against evening, how readings lie among the categories, weeks by protocol, the calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.pages import show

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View


def page(gold: Gold, view: View, tools: Tools) -> None:
    """All that the cuff measured in the chosen span."""
    import streamlit as st

    from serving.charts import blood_pressure, categories, parts_of_day, protocol, scatter

    show.heading("Blood pressure", "Each day's mean and range against the categories of the chosen scheme.")
    makers = (blood_pressure.panel, parts_of_day.panel, scatter.panel, categories.panel, protocol.panel)
    show.panels(makers, gold, view, tools)
    st.fragment(_calendar)(gold, view, tools)
    show.note("Categories sort averages of readings; a diagnosis is a doctor's.")


def _calendar(gold: Gold, view: View, tools: Tools) -> None:
    import streamlit as st

    from serving.charts import calendar

    tools.still_open()
    with st.container(border=True):
        words = {name: metric.title for name, metric in calendar.METRICS.items()}
        metric = st.selectbox("Calendar of", list(words), format_func=words.__getitem__, key="pressure-calendar", width=280)
        show.content(calendar.panel(gold, view, metric), tools)
