"""How a panel stands on a page: its title, what it says in words, the chart, and the table behind it with a CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from serving.pages.words import plain
from serving.spreadsheet import csv_bytes

if TYPE_CHECKING:
    import pandas as pd

    from serving.charts.panel import Panel
    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View

Make = Callable[["Gold", "View"], "Panel"]


def panels(makers: Iterable[Make], gold: Gold, view: View, tools: Tools) -> None:
    """One panel after the other, each on the page as soon as it is made."""
    for make in makers:
        panel(make(gold, view), tools)


def panel(shown: Panel, tools: Tools) -> None:
    """A panel in its own box. Its chart and table run again by themselves when they are used, the page does not."""
    import streamlit as st

    with st.container(border=True):
        st.fragment(_checked)(shown, tools)


def _checked(shown: Panel, tools: Tools) -> None:
    tools.still_open()
    content(shown, tools)


def content(shown: Panel, tools: Tools) -> None:
    """What is in the box: title, sentence, chart, table; or why there is nothing to draw."""
    import streamlit as st

    st.header(plain(shown.title), anchor=False)
    if shown.chart is None:
        st.info(plain(shown.empty or "There is nothing to show for this choice."), icon=":material/info:")
        return
    st.text(shown.said)
    chart(shown, tools)
    table(shown.name, shown.rows, tools)


def chart(shown: Panel, tools: Tools) -> None:
    """The chart; a click on one of its days opens that day's page."""
    import streamlit as st

    drawn: Any = _Trusted(shown.chart)
    if not shown.day:
        st.altair_chart(drawn, width="stretch", key=f"chart-{shown.name}")
        return
    from serving.charts.base import chosen_day

    state = st.altair_chart(drawn, width="stretch", key=f"chart-{shown.name}", on_select="rerun", selection_mode="day")
    day = chosen_day(state)
    if day is not None:
        tools.open_day(day)


class _Trusted:
    """A chart as Streamlit takes it, not checked against Vega-Lite's schema again: the charts' tests do that, and it takes 0.1 s."""

    def __init__(self, chart: Any) -> None:
        self._chart = chart

    def to_dict(self) -> dict[str, Any]:
        """The specification."""
        spec: dict[str, Any] = self._chart.to_dict(validate=False)
        return spec


def table(name: str, rows: pd.DataFrame, tools: Tools, label: str = "Table") -> None:
    """The rows in an expander, sent only once it is opened, with a button for the CSV."""
    import streamlit as st

    place = st.expander(label, icon=":material/table_rows:", key=f"table-{name}", on_change="rerun")
    with place:
        if place.open:
            st.dataframe(rows, hide_index=True, width="stretch", height="content" if len(rows) <= 10 else "auto")
            csv_button(name, rows, tools)


def csv_button(name: str, rows: pd.DataFrame, tools: Tools) -> None:
    """Takes the rows along as `name`.csv."""
    tools.download("CSV", f"{name}.csv", "text/csv", lambda: csv_bytes(rows), key=f"csv-{name}")


def heading(title: str, said: str = "") -> None:
    """The page's one h1 and, below it, what the page is for."""
    import streamlit as st

    st.title(title, anchor=False)
    if said:
        st.text(said)


def note(text: str) -> None:
    """A quiet line at the end of a page."""
    import streamlit as st

    st.caption(plain(text))
