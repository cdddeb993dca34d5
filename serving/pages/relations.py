"""Relations: the week's rhythm, before and after a medication, and what goes together with what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.pages import show

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View


def page(gold: Gold, view: View, tools: Tools) -> None:
    """Comparisons; each says how much it rests on, and each runs again by itself when something else is chosen for it."""
    import streamlit as st

    show.heading("Relations", "What goes together is not yet what causes what.")
    for part in (_week, _medication, _together):
        st.fragment(part)(gold, view, tools)


def _week(gold: Gold, view: View, tools: Tools) -> None:
    import streamlit as st

    from serving.charts import weekdays

    tools.still_open()
    with st.container(border=True):
        words = weekdays.METRICS
        metric = st.selectbox(
            "Day of the week: what of", weekdays.menu(gold), format_func=words.__getitem__, key="relations-week"
        )
        show.content(weekdays.panel(gold, view, metric), tools)


def _medication(gold: Gold, view: View, tools: Tools) -> None:
    import streamlit as st

    from serving.charts import medication

    tools.still_open()
    events, words = medication.events(gold), medication.METRICS
    with st.container(border=True):
        if not events:
            show.content(medication.panel(gold, view), tools)
            return
        labels = {f"{label}, {at:%Y-%m-%d}": at for at, label in events}
        with st.container(horizontal=True):
            event = st.selectbox("Event", list(labels), key="relations-event", width=320)
            metric = st.selectbox("What of", list(words), format_func=words.__getitem__, key="relations-metric", width=240)
            days = st.selectbox("Days before and after", medication.WINDOWS, key="relations-window", width=160)
        show.content(medication.panel(gold, view, metric, days, labels[event]), tools)


def _together(gold: Gold, view: View, tools: Tools) -> None:
    import streamlit as st

    from serving.charts import correlation

    tools.still_open()
    with st.container(border=True):
        words = correlation.NAMES
        name = st.selectbox("What goes together", list(words), format_func=words.__getitem__, key="relations-pair")
        show.content(correlation.panel(gold, view, name), tools)
