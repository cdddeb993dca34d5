"""What the Withings API answered, saved as JSON: measure groups, daily activity, intraday activity, sleep summaries, sleep states.

Times are epoch seconds, values `value × 10^unit`; both stay in the record as they are. What an answer says once for all it holds (its
`timezone`) is noted in each record that does not say it itself. https://developer.withings.com/api-reference/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from config.epoch import FIRST, LAST
from ingestion.records import DeadLetter, Layout, Parsed, Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ABOUT = frozenset({"timezone", "updatetime", "more", "offset", "model", "model_id", "status", "error", "body"})
"""What an answer says about itself."""


def answer(document: Any, where: str) -> Iterator[Parsed]:
    """The records of one answer, or of its body alone."""
    if not isinstance(document, dict):
        yield _letter(document, "not_an_answer", where)
        return
    body = document.get("body", document)
    if document.get("status", 0) != 0 or not isinstance(body, dict):
        yield _letter(document, "api_error" if document.get("status", 0) != 0 else "not_an_answer", where)
        return
    if not body.keys() & {"measuregrps", "activities", "series"}:
        yield Layout("type_not_read", 1, ", ".join(sorted(map(str, body))[:5]) or "an empty answer")
        return
    yield from _listed(body, "measuregrps", where)
    yield from _listed(body, "activities", where)
    series = body.get("series")
    if isinstance(series, dict):
        for number, (key, value) in enumerate(series.items(), 1):
            entry = {"timestamp": key, **value} if isinstance(value, dict) else value
            yield _record("intraday", entry, {}, f"{where} series {number}")
    else:
        yield from _listed(body, "series", where)
    for name in sorted(body.keys() - _ABOUT - {"measuregrps", "activities", "series"}):
        yield Layout("type_not_read", 1, name)


def _listed(body: Mapping[str, Any], name: str, where: str) -> Iterator[Parsed]:
    found = body.get(name)
    if found is None:
        return
    if not isinstance(found, list):
        yield _letter(found, "not_an_answer", f"{where} {name}")
        return
    about = {"timezone": body["timezone"]} if isinstance(body.get("timezone"), str) and name == "measuregrps" else {}
    for number, entry in enumerate(found, 1):
        yield _record(_table(name, entry), entry, about, f"{where} {name} {number}")


def _table(name: str, entry: Any) -> str:
    if name != "series":
        return {"measuregrps": "measure", "activities": "activity"}[name]
    return "sleep_summary" if isinstance(entry, dict) and "data" in entry else "sleep_state"


def _record(table: str, entry: Any, about: Mapping[str, Any], where: str) -> Record | DeadLetter:
    if not isinstance(entry, dict):
        return _letter(entry, "not_an_object", where)
    raw = {"table": table, **about, **entry}
    stamp = _seconds(raw.get(_STAMP[table])) if table != "activity" else _day_start(raw)
    return Record(
        f"{table}/{_identity(table, raw)}",
        None if stamp is None else _EPOCH + timedelta(seconds=stamp),
        raw,
        where,
        _revision(table, raw),
        ("bad_time",) if stamp is None else (),
    )


_STAMP = {"measure": "date", "intraday": "timestamp", "sleep_summary": "startdate", "sleep_state": "startdate"}


def _identity(table: str, raw: Mapping[str, Any]) -> str:
    """What stays the same when the answer is asked for again."""
    device = str(raw.get("deviceid") or raw.get("hash_deviceid") or "")
    if table == "measure":
        goal = "/goal" if raw.get("category") == 2 else ""  # a goal may have the number of the measurement it was set by
        return f"{raw.get('grpid', raw.get('date'))}{goal}"
    if table == "activity":
        return f"{raw.get('date')}/{device}"
    if table == "sleep_summary":
        return str(raw.get("id", raw.get("startdate")))
    return f"{raw.get(_STAMP[table])}/{device}"


def _revision(table: str, raw: Mapping[str, Any]) -> int:
    """When Withings last changed it; a day's steps where it does not say, for they only grow."""
    modified = _seconds(raw.get("modified"))
    if modified is None and table == "activity":
        steps = raw.get("steps")
        return steps if type(steps) is int and 0 <= steps < 1 << 31 else 0
    end = raw.get("enddate", raw.get("duration")) if table in ("sleep_state", "intraday") else None
    return modified or (end if type(end) is int and 0 <= end < LAST else 0)


def _seconds(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    return value if type(value) is int and FIRST <= value < LAST else None


def _day_start(raw: Mapping[str, Any]) -> int | None:
    """The first moment of the day in the zone the day itself names; UTC where it names none that exists."""
    from config.errors import SettingsError
    from config.timezones import to_utc, zone

    try:
        day = datetime.combine(date.fromisoformat(str(raw.get("date"))), time())
        return _seconds(int(to_utc(day, zone(str(raw.get("timezone", "UTC")))).utc.timestamp()))
    except (ValueError, OverflowError):
        return None
    except SettingsError:
        return _seconds(int(day.replace(tzinfo=UTC).timestamp()))


def _letter(found: Any, reason: str, where: str) -> DeadLetter:
    return DeadLetter(json.dumps(found).encode(), reason, _WHY[reason], where)


_WHY = {
    "not_an_answer": "It is no answer of the Withings API.",
    "api_error": "The API answered with an error instead of data.",
    "not_an_object": "The entry is no object.",
}
