"""The Withings API of one's own account: measurements, days and nights that have changed since last time, as the API answers them.

Withings says errors inside HTTP 200, in the answer's `status`; refresh tokens change with every use and are kept sealed (`ingestion.rest`).
The answers are read by `ingestion.withings.api`. https://developer.withings.com/api-reference/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config.errors import SourceDenied
from config.rest import RestDeclaration
from ingestion.rest import Answer, Busy, Cursor, Incremental, Limited, Refresh, RestSource, Stream, Unauthorized
from ingestion.strict_json import BadJSONError

_MORE = Cursor("body.offset", "offset", has_more="body.more")
_CHANGED = Incremental("modified", "lastupdate", initial="2009-01-01", lag="1h", format="unix")
"""Withings' first scale was sold in 2009."""
_SIGN_IN = frozenset({100, 101, 102, 200, 214, 277, 401, 2553, 2554, 2555})
_PASSING = frozenset({522, 524, 2556})
_TOO_MANY = 601
_DAY = "steps,distance,elevation,soft,moderate,intense,active,calories,totalcalories,hr_average,hr_min,hr_max"
_NIGHT = (
    "total_timeinbed,total_sleep_time,asleepduration,deepsleepduration,lightsleepduration,remsleepduration,wakeupduration,wakeupcount,"
    "sleep_score,sleep_efficiency,hr_average,hr_min,hr_max,rr_average,rr_min,rr_max"
)


def _stream(name: str, path: str, records: str, **asked: str) -> Stream:
    return Stream(
        name,
        path,
        records=f"body.{records}",
        pages=_MORE,
        cursor=_CHANGED,
        method="POST",
        body=asked,
        body_as="form",
        absent_is_empty=True,
    )


def _sign_in(base: str) -> dict[str, Any]:
    return {
        "type": "refresh",
        "token_url": f"{base}/v2/oauth2",
        **{name: f"WITHINGS_{name.upper()}" for name in ("client_id", "client_secret", "refresh_token")},
        "extra": {"action": "requesttoken"},
        "answer": "body",
    }


class WithingsApi(RestSource):
    """Streams measures, activity and sleep."""

    name = "withings"
    title = "Withings"
    base_url = "https://wbsapi.withings.net"
    api_version = "v2"
    auth = Refresh(**_sign_in(base_url))
    rate = "120/m"
    streams = (
        _stream("measures", "measure", "measuregrps", action="getmeas"),
        _stream("activity", "v2/measure", "activities", action="getactivity", data_fields=_DAY),
        _stream("sleep", "v2/sleep", "series", action="getsummary", data_fields=_NIGHT),
    )

    @classmethod
    def declaration(cls, settings: Mapping[str, Any]) -> RestDeclaration:
        """As declared; the tokens come from where the data do."""
        said = super().declaration(settings)
        return said.changed({"auth": _sign_in(said.base_url)})

    @classmethod
    def judge(cls, answer: Answer) -> None:
        """The answer's own `status`: 0 is good. https://developer.withings.com/api-reference/#section/Response-status"""
        try:
            document = answer.document
        except BadJSONError:
            return  # what it is instead tells its HTTP status
        status = document.get("status", 0) if isinstance(document, dict) else 0
        if status == 0:
            return
        if status in _SIGN_IN:
            raise Unauthorized(
                "Withings does not accept the sign-in.", "Make WITHINGS_REFRESH_TOKEN anew: docs/connect.md, Withings."
            )
        if status == _TOO_MANY:
            raise Limited("Withings allows no more requests for now (status 601).", wait=60.0)
        if status in _PASSING:
            raise Busy(f"Withings is too busy (status {status}).")
        code = status if type(status) is int else "unknown"
        raise SourceDenied(f"Withings refuses the request (status {code}).", "Look the status up in the API's reference.")
