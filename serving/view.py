"""What a person has chosen to see: a span of days, a source, a scheme of categories; kept in the address of the page."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

PRESETS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year", "all": "All"}
"""Spans that end on the last day of the data."""
CUSTOM = "custom"
DEFAULT = "90"
SCHEMES = {
    "aha_2017": "AHA/ACC 2017–2025",
    "esc_2024_office": "ESC 2024, office",
    "esc_2024_home": "ESC 2024, home",
}
"""Schemes of blood pressure categories, in words."""


@dataclass(frozen=True)
class View:
    """Days from `first` to `last`, both included; `source` "" is the merged day, else one source's word alone."""

    first: date
    last: date
    preset: str = DEFAULT
    source: str = ""
    scheme: str = "aha_2017"

    @property
    def days(self) -> int:
        """How many calendar days are shown; at least 1."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Choices:
    """What there is to choose from: the days of the data, its sources, and the scheme that holds when none is chosen."""

    first: date
    last: date
    sources: Collection[str] = ()
    scheme: str = "aha_2017"


def view_of(params: Mapping[str, str], choices: Choices) -> View:
    """The view an address asks for: `range`, `from`, `to`, `source`, `scheme`. What is wrong there falls back; nothing raises.

    A preset counts back from the last day of the data, not from today. A custom range may lie outside the data: it is
    then empty, and says so. One that is turned round is turned back; one without a day that can be read is the default.
    """
    source = params.get("source", "")
    scheme = params.get("scheme", "")
    preset = params.get("range", "")
    first, last = _day(params.get("from", "")), _day(params.get("to", ""))
    if preset in PRESETS or not (first or last):
        preset = preset if preset in PRESETS else DEFAULT
        first, last = span(preset, choices)
    else:
        first, last = sorted(
            (first or min(choices.first, last or choices.first), last or max(choices.last, first or choices.last))
        )
        preset = CUSTOM
    return View(
        first,
        last,
        preset,
        source if source in choices.sources else "",
        scheme if scheme in SCHEMES else choices.scheme if choices.scheme in SCHEMES else next(iter(SCHEMES)),
    )


def params_of(view: View, choices: Choices) -> dict[str, str]:
    """The shortest address that gives this view again; the default one needs none."""
    params = {}
    if view.preset == CUSTOM:
        params = {"range": CUSTOM, "from": view.first.isoformat(), "to": view.last.isoformat()}
    elif view.preset != DEFAULT:
        params = {"range": view.preset}
    if view.source:
        params["source"] = view.source
    if view.scheme != choices.scheme:
        params["scheme"] = view.scheme
    return params


def span(preset: str, choices: Choices) -> tuple[date, date]:
    """The days of a preset: so many up to the last one of the data, or all of them."""
    if preset == "all":
        return choices.first, choices.last
    back = timedelta(days=int(preset) - 1)
    return (choices.last - back if choices.last - date.min >= back else date.min), choices.last


def _day(text: str) -> date | None:
    """YYYY-MM-DD; None for anything else."""
    try:
        return date.fromisoformat(text) if len(text) == len("2025-03-01") else None
    except ValueError:
        return None
