"""The frame of every page: who is looking, which days, where to go; and the page inside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.errors import FragmentHandledException

from config.errors import AccessError, PDPError
from serving.dashboard import access, filters, public
from serving.dashboard.faults import place
from serving.pages import PAGES, Entry

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View

_LOG = logging.getLogger("pdp.dashboard")
_ICON = Path(__file__).with_name("icon.svg").read_text(encoding="utf-8")
_BROKEN = "This part could not be shown. Reload the page; if it stays, run the pipeline again."


class _Frame:
    """What a page is drawn with; the view is known once the bar above it has been drawn."""

    def __init__(self, gold: Gold, tools: Tools) -> None:
        self.gold, self.tools = gold, tools
        self.view: View | None = None


def run() -> None:
    """One run of the app, for one session."""
    st.set_page_config("Personal Data Platform", _ICON, "wide")
    with _told():
        opened = _who()
        frame = _Frame(opened.gold, opened.tools) if opened else _Frame(public.gold(), public.tools())
        pages = {entry.url_path: _page(entry, frame) for entry in PAGES}
        frame.tools = replace(frame.tools, open_day=partial(_open_day, pages["day"]))
        door = st.Page(_sign_in, title="Sign in", icon=":material/login:", url_path="sign-in")
        chosen = st.navigation([*pages.values(), *([] if opened else [door])], position="hidden")
        _label(frame.gold)
        if chosen is not door:
            frame.view = filters.bar(filters.choices(frame.gold), chosen.url_path)
        with st.sidebar:
            _links(pages, None if opened else door)
            if opened:
                access.watch(opened)
        chosen.run()
    st.caption("Not medical advice: numbers to look at, and to talk about with a doctor.")


def _page(entry: Entry, frame: _Frame) -> StreamlitPage:
    def draw() -> None:
        if frame.view is not None:
            with _told():
                entry.page(frame.gold, frame.view, frame.tools)

    return st.Page(draw, title=entry.title, icon=entry.icon, url_path=entry.url_path, default=not entry.url_path)


def _sign_in() -> None:
    with _told():
        access.door().sign_in()


def _who() -> access.Opened | None:
    """Who is signed in; nobody when that is refused, and then it is said why."""
    try:
        found = access.opened()
    except PDPError as error:
        access.refuse(str(error))
        found = None
    if said := access.notice():
        st.warning(said, icon=":material/lock:")
    return found


def _label(gold: Gold) -> None:
    """Nobody takes invented numbers for measured ones."""
    if gold.synthetic:
        with st.container(horizontal=True, vertical_alignment="center", key="label"):
            st.badge("Synthetic data", icon=":material/science:", color="orange")
            st.caption("An invented person: nothing here was ever measured.", width="content")


def _links(pages: dict[str, StreamlitPage], door: StreamlitPage | None) -> None:
    """The pages, each with the view in its address: a link of its own, to open beside this one or to keep."""
    st.markdown("**Personal Data Platform**")
    for page in pages.values():
        st.page_link(page, query_params=filters.address(), width="stretch")
    st.divider()
    if door:
        st.page_link(door, width="stretch", help="Your own data")


def _open_day(page: StreamlitPage, day: date) -> None:
    st.switch_page(page, query_params={**filters.address(), "day": day.isoformat()})


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong is a sentence in the page, and in the log no more than its kind: its text could hold what was measured."""
    try:
        yield
    except AccessError:  # the session has ended while the page was being drawn: the next run says so
        st.rerun()
    except PDPError as error:
        st.error(str(error))
    except FragmentHandledException:
        pass  # told already, where the part would be
    except Exception as error:  # noqa: BLE001 - a person gets a sentence
        _LOG.error("A page failed: %s", place(error))
        st.error(_BROKEN)
