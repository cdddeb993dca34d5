"""Lineage: the steps that make the data, how each went last, and what it reads."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from config.errors import PDPError
from serving.charts.words import count
from serving.pages import show
from serving.pages.words import moment, plain

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.pages.tools import Told, Tools
    from serving.view import View

STATES: Mapping[str, str] = {
    "committed": "✓ ran",
    "accepted": "≈ accepted, not computed",
    "failed": "✗ failed",
    "aborted": "■ was interrupted",
    "started": "▶ running",
    "never": "– has not run yet",
}
"""State → mark and word; the picture says the same by colour and mark."""

_FRAME = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>The pipeline</title>'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    "<style>:root{{color-scheme:light dark}}body{{margin:0}}</style></head><body>{svg}</body></html>"
)
_HEIGHT = re.compile(r'<svg[^>]* height="(\d+)')
_ROOM_FOR_A_SCROLLBAR = 20


def page(gold: Gold, view: View, tools: Tools) -> None:  # noqa: ARG001  one shape for every page
    """The DAG as a picture and as a table."""
    import streamlit as st

    show.heading(
        "Lineage", "Each step reads what those before it made. A number of any page can be followed back on the Day page."
    )
    try:
        told = tools.lineage()
    except PDPError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
        return
    if not told or not told["nodes"]:
        st.info("There is no pipeline to show here.", icon=":material/info:")
        return
    st.text(said(told))
    if told.get("svg"):
        picture(told["svg"])
        show.note("The picture scrolls sideways; the table says the same.")
    rows = table_of(told)
    st.dataframe(rows, hide_index=True, width="stretch", height="content", placeholder="–")
    show.csv_button("lineage", rows, tools)


def said(told: Told) -> str:
    """How many steps there are, how they went last, and when that was looked up."""
    states = Counter(STATES.get(node["state"], node["state"]).partition(" ")[2] for node in told["nodes"])
    parts = ", ".join(f"{number} {word}" for word, number in states.most_common())
    when = f" As of {moment(told['as_of'])} UTC." if told.get("as_of") else " As it was when the example was made."
    return f"{count(len(told['nodes']), 'step')}: {parts}.{when}"


def picture(svg: str) -> None:
    """The drawing in a frame of its own: a `data:` address has no origin, so nothing in it could reach the app."""
    import streamlit as st

    found = _HEIGHT.search(svg)
    framed = base64.b64encode(_FRAME.format(svg=svg).encode()).decode()
    st.iframe(
        f"data:text/html;base64,{framed}",
        height=(int(found[1]) if found else 600) + _ROOM_FOR_A_SCROLLBAR,
        tab_index=0,
        alt="The steps of the pipeline and what each reads; the table below says the same",
    )


def table_of(told: Told) -> pd.DataFrame:
    """The same as a table, in the order of the DAG."""
    import pandas as pd

    rows = [
        {
            "Stage": node["stage"],
            "Step": node["node"],
            "Went last": STATES.get(node["state"], node["state"]) + (f": {node['error']}" if node.get("error") else ""),
            "Rows": node.get("rows"),
            "Seconds": node.get("seconds"),
            "Version": node.get("version"),
            "Reads": ", ".join(node.get("upstream", ())),
        }
        for node in told["nodes"]
    ]
    return _whole(pd.DataFrame(rows), "Rows", "Version").dropna(axis="columns", how="all")


def _whole(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Counts stay whole numbers beside empty cells."""
    kinds: dict[str, Any] = dict.fromkeys(names, "Int64")
    return rows.astype(kinds | {"Seconds": "Float64"}).round({"Seconds": 2})
