"""A Garmin account, day by day: a page for each day and kind, committed for itself, so a run that is cut off loses none.

The last days are asked for again in every run, because watches are synchronised late; a page that says nothing new is not kept twice.
Where Garmin wants a pause the round ends there and the next run goes on. Tokens that the server renews are kept sealed with those the
person gave, in the state of the stream `_auth`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from typing import Any

from config.errors import PDPError, SettingsError, SourceUnavailable
from config.sealing import seal, unseal
from config.stage import Finding, Outputs, Pages, Report
from config.timezones import PersonZones
from ingestion.calls import RAW, Calls
from ingestion.garmin.kinds import KINDS

FIRST_DAYS = 30
"""How far back the first round goes where GARMIN_SINCE does not say."""
_AGAIN = 3
"""Days asked for again: what a watch brings late."""
_TRIES = 3
PAUSE = 0.3
"""Seconds between two calls: nobody has said how many Garmin allows."""


def fetch(outputs: Outputs, settings: Mapping[str, Any], tokens: str, *, pause: float = PAUSE) -> Report:
    """All days up to today that are not there → pages of `raw`, by stream. Fates: accepted, duplicate, unused:empty_answer.

    Without tokens the pages there are stay, and none is asked for. Settings: garmin_since, garmin_api, timezone, timezone_overrides.
    Raises SourceDenied, SourceUnavailable; what was committed stays.
    """
    streams = {kind: outputs.pages(RAW, kind) for kind in KINDS}
    if not tokens:
        Calls(outputs).note_pages(streams)
        return {"rows": {}, "balance": {"unit": "file", "came": 0, "fates": {}}, "findings": []}
    from ingestion.garmin.connect import Connect, TooManyError

    auth = outputs.pages(RAW, "_auth")

    def keep(renewed: str) -> None:
        auth.advance({"sealed": base64.b64encode(seal({"tokens": renewed.encode()}, _key(tokens))).decode()})

    fates: Counter[str] = Counter()
    findings: list[Finding] = []
    try:
        account = _patiently(lambda: Connect(_renewed(auth, tokens), settings["garmin_api"] or "", keep), pause)
        for day, kind in _wanted(streams, _first(settings), _today(settings)):
            fates[_one(account, streams[kind], kind, day, pause)] += 1
            time.sleep(pause)
    except TooManyError:
        findings.append({"code": "incomplete", "message": _CUT, "where": "garmin", "count": 1})
    Calls(outputs).note_pages(streams)
    return {
        "rows": {},
        "balance": {"unit": "file", "came": sum(fates.values()), "fates": dict(sorted(fates.items()))},
        "findings": findings,
    }


def _one(account: Any, pages: Pages, kind: str, day: date, pause: float) -> str:
    """The fate of one day of a kind."""
    answer = _patiently(lambda: account.get(kind, day.isoformat()), pause)
    state = {"day": max(day.isoformat(), (pages.state() or {}).get("day", ""))}
    if answer is None:
        pages.advance(state)
        return "unused:empty_answer"
    digest = hashlib.sha256(day.isoformat().encode() + b"\0" + answer.body).hexdigest()
    if pages.known(digest):
        pages.advance(state, repeated=1)
        return "duplicate"
    pages.commit(answer.body, state, facts={"call": answer.call._asdict(), "records": 1}, records=1, digest=digest)
    return "accepted"


def _patiently(ask: Callable[[], Any], pause: float) -> Any:
    """What `ask` gives; tried again while the fault may pass, but never where Garmin wants a pause."""
    from ingestion.garmin.connect import TooManyError

    for tried in range(1, _TRIES):
        try:
            return ask()
        except TooManyError:
            raise
        except SourceUnavailable:
            time.sleep(pause * 4**tried)
    return ask()


def _wanted(streams: Mapping[str, Pages], first: date, today: date) -> Iterator[tuple[date, str]]:
    """Day after day, every kind that lacks it or may have changed."""
    begins = {kind: _begin(pages, first) for kind, pages in streams.items()}
    day = min(begins.values())
    while day <= today:
        yield from ((day, kind) for kind, begin in begins.items() if begin <= day)
        day += timedelta(days=1)


def _begin(pages: Pages, first: date) -> date:
    state = pages.state()
    return first if state is None else max(first, date.fromisoformat(state["day"]) - timedelta(days=_AGAIN - 1))


def _today(settings: Mapping[str, Any]) -> date:
    now = datetime.now(UTC)  # impure: how far to ask, not what comes of it
    return PersonZones(settings["timezone"], settings["timezone_overrides"]).local_date(now.timestamp())


def _first(settings: Mapping[str, Any]) -> date:
    since = settings["garmin_since"]
    return date.fromisoformat(since) if since else _today(settings) - timedelta(days=FIRST_DAYS - 1)


def _renewed(auth: Pages, given: str) -> str:
    """The tokens the server gave last, if they came of those given; else these."""
    sealed = (auth.state() or {}).get("sealed")
    if isinstance(sealed, str):
        with suppress(PDPError, ValueError):  # sealed with tokens that were given before, or damaged
            return unseal(base64.b64decode(sealed), _key(given))["tokens"].decode()
    return given


def _key(tokens: str) -> bytes:
    return hashlib.sha256(b"pdp garmin tokens\0" + tokens.encode()).digest()


def given_tokens(settings: Mapping[str, Any]) -> str:
    """What the person put into GARMIN_TOKENS; empty when nothing. Raises SettingsError for what is no JSON object."""
    tokens = json.loads(settings["tokens_garmin"] or "{}").get("GARMIN_TOKENS", "").strip()
    if tokens and not tokens.startswith("{"):
        raise SettingsError(
            "GARMIN_TOKENS is not what python-garminconnect saved.", "Put the text of garmin_tokens.json there, in single quotes."
        )
    return str(tokens)


def need_library() -> None:
    """Raises SettingsError where python-garminconnect is not installed."""
    if find_spec("garminconnect") is None:
        raise SettingsError(
            "GARMIN_TOKENS is set, but python-garminconnect is not installed.",
            "Install it with: pip install 'personal-data-platform[garmin]'.",
        )


_CUT = "Garmin wants a pause (HTTP 429): the next run goes on where this one stopped."
