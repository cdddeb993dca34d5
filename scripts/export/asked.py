"""What an export was asked for: formats, sources, metrics and days."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from config.errors import UsageError
from config.metrics import METRICS

FORMATS = ("raw", "csv", "parquet", "fhir", "omh")
_PAIR = {"systolic", "diastolic"}


class Asked(NamedTuple):
    """None means all."""

    formats: tuple[str, ...]
    sources: frozenset[str] | None = None
    metrics: frozenset[str] | None = None
    first: date | None = None
    last: date | None = None
    others: bool = False
    """Rows of other people, too."""

    @property
    def cut(self) -> bool:
        """Only some metrics or days: what cannot be cut, such as a raw file, stays out."""
        return self.metrics is not None or self.dated

    @property
    def dated(self) -> bool:
        """Only some days."""
        return self.first is not None or self.last is not None

    def of(self, source: str) -> bool:
        """Whether this source is wanted."""
        return self.sources is None or source in self.sources

    def on(self, day: date) -> bool:
        """Whether this day is wanted."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)

    def told(self) -> dict[str, object]:
        """As the manifest names it."""
        return {
            "formats": list(self.formats),
            "sources": sorted(self.sources) if self.sources is not None else None,
            "metrics": sorted(self.metrics) if self.metrics is not None else None,
            "from": self.first.isoformat() if self.first else None,
            "to": self.last.isoformat() if self.last else None,
            "other_people": self.others,
        }


def asked(options: Namespace, sources: Collection[str]) -> Asked:
    """The options of `export`. `sources`: those there are. Raises UsageError for a source, metric or day that is not."""
    formats = FORMATS if "all" in options.format else tuple(f for f in FORMATS if f in options.format)
    for name in options.source or ():
        if name not in sources:
            raise UsageError(f"There is nothing of a source named {name!r}.", f"There is: {', '.join(sources) or 'nothing yet'}.")
    metrics = _metrics(options.metric) if options.metric else None
    first, last = _day(options.from_day), _day(options.to_day)
    if first and last and first > last:
        raise UsageError("--from lies after --to.", "Exchange them.")
    wanted = Asked(formats, frozenset(options.source) if options.source else None, metrics, first, last, options.with_others)
    if wanted.cut and formats == ("raw",):
        raise UsageError("Raw files are handed out whole.", "Leave out --metric, --from and --to, or choose another --format.")
    return wanted


def _metrics(names: Collection[str]) -> frozenset[str]:
    """Metrics, or kinds of them; a systolic and a diastolic pressure never come without each other."""
    found: set[str] = set()
    for name in names:
        mine = {name} if name in METRICS else {metric for metric, m in METRICS.items() if m.kind == name}
        if not mine:
            kinds = ", ".join(sorted({m.kind for m in METRICS.values()}))
            raise UsageError(f"There is no metric named {name!r}.", f"Metrics are: {', '.join(METRICS)}; or a kind: {kinds}.")
        found |= mine
    return frozenset(found | _PAIR if found & _PAIR else found)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError(f"{text!r} is no date.", "Write it as 2025-03-01.") from None
