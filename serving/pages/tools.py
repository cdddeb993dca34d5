"""What the shell gives every page: where evidence and lineage come from, how a day is opened, how something is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

Told = Mapping[str, Any]


class Download(Protocol):
    """Draws a button that hands over bytes, which are made when it is pressed and not before."""

    def __call__(self, label: str, name: str, kind: str, make: Callable[[], bytes], *, key: str) -> None:
        """`name`: of the file; `kind`: its media type; `key`: of the widget, unique on the page."""


def download(label: str, name: str, kind: str, make: Callable[[], bytes], *, key: str) -> None:
    """The plain button. Streamlit serves what it was given at an open address, so it is given nothing before the click."""
    import streamlit as st

    st.download_button(label, make, name, kind, key=key, on_click="ignore", icon=":material/download:")


def open_day(day: date) -> None:
    """Remember the day in the address; the shell's own version opens the Day page as well."""
    import streamlit as st

    st.query_params["day"] = day.isoformat()


def nothing_to_check() -> None:
    """The shipped example never expires."""


@dataclass(frozen=True)
class Tools:
    """Handed to every page beside its data and what a person has chosen."""

    evidence: Callable[[date, str], Told]
    """(day, column of the daily table) → what made the number, in the JSON of `trace` (`docs/trace.md`). May raise PDPError."""
    lineage: Callable[[], Told | None]
    """The DAG with last states: `{"as_of", "nodes": [{"node", "stage", "state", "rows", "seconds", …}], "edges": [[from, to]]}`."""
    private: bool = False
    """One's own data, not the shipped example."""
    open_day: Callable[[date], None] = open_day
    """Opens the Day page on this day."""
    download: Download = download
    still_open: Callable[[], None] = nothing_to_check
    """Called first in every fragment, which runs without the shell: stops it when the session has expired or was locked."""
