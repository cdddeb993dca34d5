"""The bar above every page: days, source, scheme. What is chosen stands in the address, and the address decides what is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import streamlit as st

from serving.view import CUSTOM, PRESETS, SCHEMES, Choices, View, params_of, view_of

if TYPE_CHECKING:
    from serving.gold import Gold

OWN = ("range", "from", "to", "source", "scheme")
"""The part of the address that is the bar's."""
_KEPT, _PAGE = "filters: address", "filters: page"
_RANGE, _DAYS, _SOURCE, _SCHEME = "filters: range", "filters: days", "filters: source", "filters: scheme"


def choices(gold: Gold) -> Choices:
    """What these tables offer. Tables without a day offer today, and show nothing for it."""
    meta = gold.table("SELECT first_date, last_date, bp_scheme FROM meta").iloc[0]
    sources = gold.table("SELECT DISTINCT source FROM daily_by_source ORDER BY source")["source"]
    days = meta[["first_date", "last_date"]]
    today = date.today()  # noqa: DTZ011 - the calendar on the wall; there is no data to go by
    first, last = (today, today) if days.isna().any() else (day.date() for day in days)
    return Choices(first, last, tuple(sources), str(meta["bp_scheme"]))


def bar(offered: Choices, page: str) -> View:
    """Draw the bar above the page of this name and give what is chosen; the address says the same from now on."""
    view = view_of(_asked(offered, page), offered)
    state: dict[str, Any] = {_RANGE: view.preset, _DAYS: (view.first, view.last), _SOURCE: view.source, _SCHEME: view.scheme}
    for key, value in state.items():
        if st.session_state.get(key) != value and not (key == _DAYS and _half_picked()):
            st.session_state[key] = value
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        labels = {**PRESETS, CUSTOM: "Custom"}
        st.segmented_control("Days shown", list(labels), format_func=labels.__getitem__, key=_RANGE, required=True)
        if view.preset == CUSTOM:
            st.date_input(
                "From and to",
                width=280,
                key=_DAYS,
                format="YYYY-MM-DD",
                min_value=_earliest(view, offered),
                max_value=_latest(view, offered),
            )
        st.selectbox("Source", ["", *offered.sources], format_func=_source, key=_SOURCE, width=180)
        st.selectbox("Blood pressure categories", list(SCHEMES), format_func=SCHEMES.__getitem__, key=_SCHEME, width=180)
    _write(params_of(view, offered), page)
    return view


def address() -> dict[str, str]:
    """The chosen view as query parameters, for links to other pages."""
    return dict(st.session_state.get(_KEPT, {}))


def clear() -> None:
    """Forget what was chosen, here and in the address."""
    st.query_params.clear()


def _asked(offered: Choices, page: str) -> Mapping[str, str]:
    """The address, when it was changed from outside (a link, the back button); else what the widgets say."""
    told = {name: value for name, value in st.query_params.to_dict().items() if name in OWN}
    kept: dict[str, str] | None = st.session_state.get(_KEPT)
    moved = st.session_state.get(_PAGE) != page
    if kept is None or (told != kept and not (moved and not told)):
        return told
    chosen = dict(kept)
    state = st.session_state
    if state.get(_SOURCE) is not None:
        chosen["source"] = state[_SOURCE]
    if state.get(_SCHEME) is not None:
        chosen["scheme"] = state[_SCHEME]
    before = kept.get("range", "")
    chosen["range"] = state.get(_RANGE) or before
    if chosen["range"] == CUSTOM:
        if before == CUSTOM and _DAYS in state and not _half_picked():
            first, last = state[_DAYS]
        else:
            shown = view_of(kept, offered)
            first, last = shown.first, shown.last
        chosen |= {"from": first.isoformat(), "to": last.isoformat()}
    return chosen


def _half_picked() -> bool:
    """Of two days only the first is picked yet: what was shown stays until the second is."""
    days = st.session_state.get(_DAYS)
    return isinstance(days, tuple | list) and len(days) != 2


def _write(params: dict[str, str], page: str) -> None:
    """The address says what is chosen; what is not the bar's stays in it. The first address of a visit is made no second time."""
    told = st.query_params.to_dict()
    rest = {name: value for name, value in told.items() if name not in OWN}
    if {**rest, **params} != told:
        st.query_params.from_dict({**rest, **params})
    st.session_state[_KEPT], st.session_state[_PAGE] = params, page


def _earliest(view: View, offered: Choices) -> date:
    return min(view.first, offered.first)


def _latest(view: View, offered: Choices) -> date:
    return max(view.last, offered.last)


def _source(name: str) -> str:
    return name.replace("_", " ") if name else "All, best of each"
