"""Toggl Track, API v9: the time entries of one's own account, deleted ones too.

The first round takes windows of 30 days as far back as the API goes, three months; later rounds ask for what has changed since, which tells
of deletions (`server_deleted_at`). Both quotas are heeded: 30 calls an hour for `/me`, answered by 402 with `X-Toggl-Quota-Resets-In`, and
about one a second, answered by 429. https://engineering.toggl.com/docs/tracking, https://support.toggl.com/api-webhook-limits
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from ingestion.rest import Answer, Basic, Incremental, Limited, RestSource, Stream
from ingestion.rest.paginators import Way

_OLDEST = timedelta(days=88)
"""What `since` and `start_date` may ask for: three months, of which the shortest have 89 days."""
_WINDOW = 30
_FULL = 1000
"""An answer holds no more entries; what else there was is left out without a word."""


class Toggl(RestSource):
    """Stream time_entries."""

    name = "toggl"
    title = "Toggl Track"
    base_url = "https://api.track.toggl.com/api/v9"
    api_version = "v9"
    auth = Basic("TOGGL_API_TOKEN", fixed_password="api_token")  # noqa: S106 - Toggl's word for every account, no secret
    rate = "1/s,30/h"
    streams = (Stream("time_entries", "me/time_entries", id="id", time="start", cursor=Incremental("at", lag="1h")),)

    @classmethod
    def paginator(cls, stream: Stream) -> _Entries:  # noqa: ARG003
        """Windows of days, or what has changed since."""
        return _Entries()

    @classmethod
    def judge(cls, answer: Answer) -> None:
        """402 is the quota of the hour, not a bill."""
        if answer.status == 402:
            left = answer.headers.get("x-toggl-quota-resets-in", "")
            wait = float(left) if left.isascii() and left.isdigit() and len(left) < 7 else 3600.0
            raise Limited("Toggl's quota of calls an hour is used up (HTTP 402).", wait=wait)

    @classmethod
    def faults(cls, stream: Stream, record: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG003
        """An entry that still runs has no length yet: Toggl writes a negative one, and no end."""
        duration = record.get("duration")
        running = isinstance(duration, int) and duration < 0 and not record.get("server_deleted_at")
        return ("running",) if running else ()


class _Entries:
    """Windows, narrowed where an answer is full; or one question for all changes. Tokens are objects of ISO dates and numbers."""

    marches = True
    """Each token is another time: two answers alike are no loop."""

    def first(self, since: datetime | float | None, now: datetime) -> dict[str, Any]:
        oldest = now - _OLDEST
        token: dict[str, Any] = {"from": oldest.date().isoformat(), "until": (now + timedelta(days=1)).date().isoformat()}
        if isinstance(since, datetime) and since > oldest:
            return {**token, "since": math.floor(since.timestamp())}
        return {**token, "days": _WINDOW}

    def ask(self, token: Mapping[str, Any]) -> Way:
        if "since" in token:
            return Way({"since": token["since"]})
        return Way({"start_date": token["from"], "end_date": _end(token)})

    def after(self, token: Mapping[str, Any], answer: Answer, records: Sequence[Any]) -> dict[str, Any] | None:  # noqa: ARG002
        full = len(records) >= _FULL
        if "since" in token:
            return {"from": token["from"], "until": token["until"], "days": _WINDOW} if full else None
        if full and token["days"] > 1:
            return {**token, "days": token["days"] // 2}
        return {**token, "from": _end(token)} if _end(token) < token["until"] else None


def _end(token: Mapping[str, Any]) -> str:
    end = date.fromisoformat(token["from"]) + timedelta(days=token["days"])
    return min(end.isoformat(), str(token["until"]))
