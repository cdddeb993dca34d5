"""What every chart module answers: the chart, the sentence that reads it out, and the rows behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Panel(NamedTuple):
    """One chart of a page; `chart` is None and `empty` says why when there is nothing to draw."""

    name: str
    """Stable: for keys of widgets and names of files."""
    title: str
    said: str
    """One line in words: what the chart shows, rounded for people."""
    chart: Any | None
    """An Altair chart, for `st.altair_chart(chart, width="stretch", alt=said)`."""
    rows: pd.DataFrame
    """What it shows, for the table beside it and the CSV; readable column names with units."""
    empty: str = ""
    """The sentence for a range without data, with what to do."""
    day: bool = False
    """A click on the chart chooses a day: it carries the selection named `day` (`base.chosen_day` reads it)."""
