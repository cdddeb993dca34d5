"""Sleep: the stages of each night, when it began and ended, how regular that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.pages import show

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View


def page(gold: Gold, view: View, tools: Tools) -> None:
    """Nights in the chosen span."""
    from serving.charts import bed_times, sleep

    show.heading("Sleep", "A night belongs to the day of waking.")
    show.panels((sleep.panel, bed_times.panel), gold, view, tools)
    regularity(gold, view, tools)


_REGULARITY = """
SELECT strftime(month, '%Y-%m') AS "Month", nights AS "Nights", sri AS "Sleep Regularity Index", n_sri AS "Pairs of nights",
       midpoint_sd AS "Mid-sleep varies by (min)", duration_sd AS "Duration varies by (min)", social_jetlag AS "Social jetlag (min)"
FROM sleep_regularity
WHERE month BETWEEN date_trunc('month', $first::DATE) AND $last::DATE ORDER BY month
"""


def regularity(gold: Gold, view: View, tools: Tools) -> None:
    """Month by month: how alike the nights are."""
    import streamlit as st

    rows = gold.table(_REGULARITY, {"first": view.first, "last": view.last})
    with st.container(border=True):
        st.subheader("Regularity by month", anchor=False)
        if rows.empty:
            st.info("There are no nights in this range.", icon=":material/info:")
            return
        st.text(
            "The index says how often, on two days that follow each other, one sleeps or wakes at the same clock time: "
            "100 always, 0 by chance. Social jetlag is how much later mid-sleep lies on free days."
        )
        st.dataframe(
            rows,
            hide_index=True,
            width="stretch",
            column_config={name: st.column_config.NumberColumn(format="%.0f") for name in rows.columns[2:]},
        )
        show.csv_button("sleep_regularity", rows, tools)
