"""The dashboard's pages, in the order of the navigation; a page's code is loaded when it is first opened."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from serving.gold import Gold
    from serving.pages.tools import Tools
    from serving.view import View


class Entry(NamedTuple):
    """One page of the navigation."""

    url_path: str
    """What stands in the address; empty for the start page."""
    title: str
    icon: str
    """A Material symbol as Streamlit names it; it comes with Streamlit, nothing is fetched."""
    page: Callable[[Gold, View, Tools], None]


def _lazily(module: str) -> Callable[..., None]:
    """The `page` of a module of this package, imported when it is first called."""

    def page(*arguments: Any) -> None:
        import_module(f"serving.pages.{module}").page(*arguments)

    page.__name__ = module
    return page


PAGES: tuple[Entry, ...] = (
    Entry("", "Overview", ":material/space_dashboard:", _lazily("overview")),
    Entry("blood-pressure", "Blood pressure", ":material/blood_pressure:", _lazily("blood_pressure")),
    Entry("heart", "Heart", ":material/cardiology:", _lazily("heart")),
    Entry("sleep", "Sleep", ":material/bedtime:", _lazily("sleep")),
    Entry("activity", "Activity", ":material/directions_walk:", _lazily("activity")),
    Entry("relations", "Relations", ":material/scatter_plot:", _lazily("relations")),
    Entry("day", "Day", ":material/calendar_today:", _lazily("day")),
    Entry("report", "Report", ":material/clinical_notes:", _lazily("report")),
    Entry("quality", "Data quality", ":material/fact_check:", _lazily("quality")),
    Entry("lineage", "Lineage", ":material/account_tree:", _lazily("lineage")),
)
