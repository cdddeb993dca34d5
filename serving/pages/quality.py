"""Data quality: how much is covered, what was refused and why, how fresh each source is, and whether the count of readings adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.daily import FATES
from serving.charts.words import count, whole
from serving.pages import show

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View

_BALANCE = """
SELECT source, kind, readings, accepted, unused, rejected FROM freshness
WHERE $source IN ('', source) ORDER BY source, kind
"""
_FATES = """
SELECT fate, source, count(*) AS readings, max(date) AS last FROM readings
WHERE fate <> 'accepted' AND date BETWEEN $first AND $last AND $source IN ('', source)
GROUP BY ALL ORDER BY readings DESC, fate, source
"""


def page(gold: Gold, view: View, tools: Tools) -> None:
    """How far the other pages can be trusted."""
    from serving.charts import quality

    show.heading("Data quality", "What came, what counts, what was refused, and what is missing.")
    show.panels((quality.coverage, quality.freshness, quality.rejections), gold, view, tools)
    _balance(gold, view, tools)
    _unused(gold, view, tools)


def _balance(gold: Gold, view: View, tools: Tools) -> None:
    rows = balance(gold, view)
    _table("balance", "What became of every reading", balance_said(rows), rows, tools, "No reading has come yet.")


def balance(gold: Gold, view: View) -> pd.DataFrame:
    """Per source and kind, over all time: what came, what counts, what was left out, what was refused."""
    rows = gold.table(_BALANCE, {"source": view.source})
    rows["kind"] = rows["kind"].str.replace("_", " ")
    names = ("Source", "Kind", "Readings that came", "Counted", "Left out", "Refused")
    return rows.set_axis(list(names), axis=1)


def balance_said(rows: pd.DataFrame) -> str:
    """`Of all time 73,994 readings came: 71,000 count, 2,900 are left out, 94 were refused.`"""
    came, counted, left, refused = (int(rows[name].sum()) for name in rows.columns[2:])
    parts = [
        f"{whole(counted)} {'counts' if counted == 1 else 'count'}",
        f"{whole(left)} {'is' if left == 1 else 'are'} left out",
        f"{whole(refused)} {'was' if refused == 1 else 'were'} refused",
    ]
    return f"Of all time {count(came, 'reading')} came: {', '.join(parts)}."


def _unused(gold: Gold, view: View, tools: Tools) -> None:
    rows = unused(gold, view)
    _table(
        "left_out",
        "Duplicates and others left out",
        unused_said(rows),
        rows,
        tools,
        "Every valid reading of this range is counted.",
    )


def unused_said(rows: pd.DataFrame) -> str:
    """`70 valid readings of this range not counted; 12 of them tell what another tells.`"""
    twice = int(rows.loc[rows["Fate"] == "duplicate", "Readings"].sum())
    left = count(int(rows["Readings"].sum()), "valid reading")
    return f"{left} of this range not counted; {whole(twice)} of them {'tells' if twice == 1 else 'tell'} what another tells."


def unused(gold: Gold, view: View) -> pd.DataFrame:
    """Valid readings of the span that are not counted, by what became of them."""
    import pandas as pd

    rows = gold.table(_FATES, {"first": view.first, "last": view.last, "source": view.source})
    return pd.DataFrame(
        {
            "Why": [FATES.get(fate, fate) for fate in rows["fate"]],
            "Source": rows["source"],
            "Readings": rows["readings"],
            "Last on": rows["last"].dt.strftime("%Y-%m-%d"),
            "Fate": rows["fate"],
        }
    )


def _table(name: str, title: str, said: str, rows: pd.DataFrame, tools: Tools, empty: str) -> None:
    import streamlit as st

    with st.container(border=True):
        st.header(title, anchor=False)
        if rows.empty:
            st.info(empty, icon=":material/info:")
            return
        st.text(said)
        st.dataframe(rows, hide_index=True, width="stretch", placeholder="–", height="content")
        show.csv_button(name, rows, tools)
