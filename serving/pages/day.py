"""One day: every number of its row of the daily table, and for the chosen one what made it, down to the raw record."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from config.daily import COLUMNS
from serving.charts.words import on, whole
from serving.pages import show
from serving.pages.labels import GROUPS, LABELS, shown
from serving.pages.words import plain

if TYPE_CHECKING:
    import pandas as pd

    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View

_LIST = """<style>
.st-key-day-numbers button{min-height:2.25rem;padding:.2rem .75rem}
.st-key-day-numbers button > div,.st-key-day-numbers button > div > span{width:100%}
.st-key-day-numbers button [data-testid="stMarkdownContainer"]{width:100%}
.st-key-day-numbers button p{display:flex;justify-content:space-between;gap:1rem;text-align:left}
</style>"""
"""The numbers as a list: what at the left, how much at the right. Rules of ours alone, no data in it."""
_CHOSEN = "day-number"
_DATE = "day-date"


def page(gold: Gold, view: View, tools: Tools) -> None:
    """The day of the address (`?day=2025-03-01`), else the last one of the chosen span that has data."""
    import streamlit as st

    show.heading("Day", "Choose a number to see the readings that made it, those that did not, and where each came from.")
    days = _days(gold)
    if not days:
        st.info("There is no day yet.", icon=":material/info:")
        return
    at = _choose(days, view)
    st.header(f"{at:%A}, {on(at)}", anchor=False)
    cells = cells_of(gold, at)
    if cells is None:
        near = ", ".join(on(day) for day in _around(days, at))
        st.info(f"No data on this day. Nearest days with data: {near}.", icon=":material/info:")
        return
    _glance(cells)
    st.fragment(_numbers)(cells, at, tools)


_GLANCE = (("Blood pressure, mmHg", ("systolic", "diastolic")), ("Resting heart rate", ("resting_hr",)), ("Asleep", ("total_duration",)),
           ("Steps", ("steps",)))  # fmt: skip


def _glance(cells: dict[str, Any]) -> None:
    """The day in four figures."""
    import streamlit as st

    for place, (words, names) in zip(st.columns(len(_GLANCE)), _GLANCE, strict=True):
        values = [cells[name] for name in names]
        if None in values:
            said = "–"
        elif len(values) > 1:
            said = "/".join(map(whole, values))
        else:
            said = shown(names[0], values[0])
        place.metric(words, said, border=True)


def _days(gold: Gold) -> list[date]:
    return [at.date() for at in gold.table("SELECT date FROM daily ORDER BY date")["date"]]


def _around(days: list[date], at: date) -> list[date]:
    """The last day before and the first after that have data."""
    before, after = [day for day in days if day < at], [day for day in days if day > at]
    return [*before[-1:], *after[:1]]


def asked_day(text: str, days: list[date], view: View) -> date:
    """The day an address asks for; what is no date gives the last day with data of the span, or of all."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        within = [day for day in days if view.first <= day <= view.last]
        return (within or days)[-1]


def _choose(days: list[date], view: View) -> date:
    """Previous, date, next; all three write the address, from which the day is read."""
    import streamlit as st

    at = asked_day(st.query_params.get("day", ""), days, view)
    before, after = [day for day in days if day < at], [day for day in days if day > at]
    st.session_state[_DATE] = at
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _step("Previous", ":material/chevron_left:", before[-1:], "day-previous")
        st.date_input(
            "Day",
            key=_DATE,
            min_value=min(days[0], at),
            max_value=max(days[-1], at),
            on_change=_go_to_chosen,
            width=160,
        )
        _step("Next", ":material/chevron_right:", after[:1], "day-next")
    return at


def _step(label: str, icon: str, to: list[date], key: str) -> None:
    import streamlit as st

    where = on(to[0]) if to else "There is none with data."
    st.button(label, icon=icon, key=key, disabled=not to, help=where, on_click=_go, args=tuple(to))


def _go_to_chosen() -> None:
    import streamlit as st

    _go(st.session_state[_DATE])


def _go(to: date | None) -> None:
    import streamlit as st

    if to is not None:
        st.query_params["day"] = to.isoformat()


def cells_of(gold: Gold, at: date) -> dict[str, Any] | None:
    """Column → cell of the day's row; None for a day without one."""
    from serving.evidence.cell import row_of

    return row_of(gold, at)


def _numbers(cells: dict[str, Any], at: date, tools: Tools) -> None:
    import streamlit as st

    from serving.pages import explain

    tools.still_open()
    st.html(_LIST)
    group = st.segmented_control(
        "Group", list(GROUPS), default=next(iter(GROUPS)), required=True, key="day-group", label_visibility="collapsed"
    )
    names = [name for name in GROUPS[group] if name in cells]
    chosen = chosen_of(names, cells, st.session_state.get(_CHOSEN))
    left, right = st.columns([2, 3], gap="medium")
    with left, st.container(key="day-numbers", gap=None):
        for name in names:
            _button(name, cells[name], chosen=name == chosen)
    with right:
        explain.number(at, chosen, tools)
    show.table(f"day_{at}", table_of(cells), tools, "All numbers of the day with their meaning")


def chosen_of(names: list[str], cells: dict[str, Any], asked: object) -> str:
    """The number asked for when it is of these, else the first that is there, else the first."""
    if isinstance(asked, str) and asked in names:
        return asked
    return next((name for name in names if cells[name] is not None), names[0])


def _button(name: str, value: Any, *, chosen: bool) -> None:
    import streamlit as st

    st.button(
        f"{LABELS[name].words} **{plain(shown(name, value))}**",
        key=f"day-cell-{name}",
        type="secondary" if chosen else "tertiary",
        width="stretch",
        help=COLUMNS[name].meaning,
        on_click=_choose_number,
        args=(name,),
    )


def _choose_number(name: str) -> None:
    import streamlit as st

    st.session_state[_CHOSEN] = name


def table_of(cells: dict[str, Any]) -> pd.DataFrame:
    """The day's row as a table: what, value, meaning, column."""
    import pandas as pd

    rows = [
        {"What": label.words, "Value": shown(name, cells[name]), "Meaning": COLUMNS[name].meaning, "Column": name}
        for name, label in LABELS.items()
        if name in cells
    ]
    return pd.DataFrame(rows, columns=["What", "Value", "Meaning", "Column"])
