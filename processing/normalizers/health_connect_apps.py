"""Which app is believed where several wrote the same into Health Connect: one a day and metric, never their sum.

The person's own order of apps (Health Connect's settings, kept in the backup) decides; apps it does not name come after those it
does. Where it names none that has data, the app with the most that day is believed: the largest total, or the most samples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

ACTIVITY, SLEEP, VITALS = 1, 5, 6
"""HealthDataCategory of Android."""
_UNNAMED = 10_000


class Apps:
    """What each app wrote per metric and day, and in which order the person believes them."""

    def __init__(self) -> None:
        self._order: dict[int, list[str]] = {}
        self._amounts: dict[tuple[str, int], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._chosen: dict[tuple[str, int], str] = {}

    def prefer(self, raw: Mapping[str, Any]) -> None:
        """A record of the person's order of apps."""
        category, apps = raw.get("health_data_category"), raw.get("apps")
        if type(category) is int and isinstance(apps, list):
            self._order[category] = [app for app in apps if isinstance(app, str)]

    def note(self, metric: str, day: int, app: str, amount: float) -> None:
        """An app wrote this much of a metric on a day."""
        self._amounts[metric, day][app] += amount

    def rank(self, category: int, app: str) -> int:
        """The app's place in the person's order; apps it does not name share the last."""
        order = self._order.get(category, [])
        return order.index(app) if app in order else _UNNAMED

    def chosen(self, metric: str, category: int, day: int) -> str:
        """The app that is believed for a metric on a day on which some app wrote it."""
        found = self._chosen.get((metric, day))
        if found is None:
            amounts = self._amounts[metric, day]
            found = min(amounts, key=lambda app: (self.rank(category, app), -amounts[app], app))
            self._chosen[metric, day] = found
        return found
