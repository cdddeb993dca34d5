"""Which of the records of one raw_id counts: the rule of `newest.py`, for a handful of records that lie before us."""

from __future__ import annotations

from collections.abc import Iterable


def newest(rows: Iterable[tuple[int, str, str]]) -> int | None:
    """Which of the records of one raw_id counts, by its place among them; None when all are invalid.

    `rows`: (revision, status, record as JSON) of all of them, in the table's order.
    """
    valid = [(revision, text, at) for at, (revision, status, text) in enumerate(rows) if status != "invalid"]
    return max(valid)[2] if valid else None
