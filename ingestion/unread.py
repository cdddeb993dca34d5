"""What an export holds and nothing here reads: files, tables, types, told by name so that nothing is ignored in silence."""

from __future__ import annotations

from collections import Counter

from config.stage import Finding
from ingestion.drift import MOST_TOLD, printable

CODE = "not_read"
_MOST_KEPT = 10_000


class Unread:
    """Counts named leftovers of one run."""

    def __init__(self) -> None:
        self._times: Counter[tuple[str, str]] = Counter()
        self._beyond = 0

    def note(self, what: str, name: str, times: int) -> None:
        """`times` units of something by its own name; `what` is the word of its fate."""
        key = what, name
        if key in self._times or len(self._times) < _MOST_KEPT:
            self._times[key] += times
        else:
            self._beyond += times

    def names(self) -> list[tuple[str, str, int]]:
        """(word of the fate, name, units), most units first."""
        return [(what, name, n) for (what, name), n in sorted(self._times.items(), key=lambda item: (-item[1], item[0]))]

    def findings(self) -> list[Finding]:
        """One finding a name; what is beyond the first hundred together."""
        names = self.names()
        told: list[Finding] = [
            {
                "code": CODE,
                "message": f"The export holds what is not read here: {printable(name)}.",
                "where": what,
                "count": times,
            }
            for what, name, times in names[:MOST_TOLD]
        ]
        rest = sum(times for _, _, times in names[MOST_TOLD:]) + self._beyond
        if rest:
            told.append({"code": CODE, "message": "The export holds more that is not read here.", "count": rest})
        return told
