"""Two ways into one source, one report."""

from __future__ import annotations

from collections import Counter

from config.stage import Report


def joined(one: Report, other: Report) -> Report:
    """Both reports as one: rows side by side, fates added up. Both count the same unit."""
    fates = Counter(one["balance"]["fates"]) + Counter(other["balance"]["fates"])
    return {
        "rows": one["rows"] | other["rows"],
        "balance": {"unit": one["balance"]["unit"], "came": sum(fates.values()), "fates": dict(sorted(fates.items()))},
        "findings": [*one["findings"], *other["findings"]],
    }
