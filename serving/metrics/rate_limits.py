"""What APIs have said of their rate limits, out of the calls kept beside the raw artifacts (`ingestion.calls`)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.registry import Registry

_CALLS = """
SELECT f.path, f.created_at FROM node_state s
JOIN attempt_output o ON o.attempt_id = s.attempt_id JOIN artifact f ON f.id = o.artifact_id
WHERE f.name GLOB ? AND f.removed_at IS NULL ORDER BY f.created_at DESC, f.id DESC LIMIT ?
"""
_NEWEST = 20
_NUMBER = re.compile(r"\d{1,15}(\.\d{1,6})?")
_PARTS = re.compile(r"\b(limit|remaining|q|r)\s*=\s*(\d{1,15})")


class RateLimit(NamedTuple):
    """A source's quota as its API last told it."""

    source: str
    limit: float
    """Requests in a window; above 0."""
    remaining: float
    told_at: float


def read_rate_limits(registry: Registry, data_dir: str, sources: Sequence[str]) -> list[RateLimit]:
    """Of each source the newest call that told a limit. An API that tells none has none here."""
    found = []
    for source in sources:
        for path, at in registry.db.execute(_CALLS, (f"raw/{source}.calls/*", _NEWEST)).fetchall():
            quota = quota_of(_headers(os.path.join(data_dir, path)))
            if quota:
                found.append(RateLimit(source, *quota, at))
                break
    return found


def quota_of(headers: Mapping[str, Any]) -> tuple[float, float] | None:
    """(limit, remaining) out of rate limit headers by their lower-case names; of several windows the one closest to its end."""
    windows = [(limit, remaining) for limit, remaining in _windows(headers) if limit > 0]
    return min(windows, key=lambda window: window[1] / window[0], default=None)


def _windows(headers: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    """`…-limit` with its `…-remaining`, as most APIs have them; else `ratelimit` and `ratelimit-policy` of the IETF draft."""
    for name, value in headers.items():
        limit = _number(headers.get("limit".join(name.rsplit("remaining", 1)))) if "remaining" in name else None
        remaining = _number(value)
        if limit is not None and remaining is not None:
            yield limit, remaining
    parts = dict(_PARTS.findall(f"{headers.get('ratelimit-policy', '')} {headers.get('ratelimit', '')}"))
    limit, remaining = (_number(parts.get(long, parts.get(short))) for long, short in (("limit", "q"), ("remaining", "r")))
    if limit is not None and remaining is not None:
        yield limit, remaining


def _number(value: Any) -> float | None:
    found = _NUMBER.match(str(value)) if value is not None else None
    return float(found[0]) if found else None


def _headers(path: str) -> Mapping[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
    except (OSError, ValueError):
        return {}
    limits = told.get("rate_limit") if isinstance(told, dict) else None
    return limits if isinstance(limits, dict) else {}
