"""A mock API's events: people's measurements as they arrive in real life, out of order, late, twice and broken; a seed decides all.

The same plan gives the same messages in the same order; how they are delivered changes none of them.
"""

from __future__ import annotations

import heapq
import json
import math
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

ZONES = ("Europe/Warsaw", "America/New_York", "Asia/Kolkata", "UTC")
"""Whose clocks people live by, one after the other."""
FURTHEST = 200
"""Messages by which one out of order, or told again, comes later at most; so the producer keeps no more than these in mind."""
CUFF = 0.08
"""How often two measurements of a person are one blood pressure: same moment, same device."""
LATEST_DAYS = 3
"""Days before its time among the others that a late event was measured, at most."""


class Plan(NamedTuple):
    """What is sent. Shares lie between 0 and 1."""

    events: int = 1000
    """Different messages, broken ones among them; duplicates come on top."""
    users: int = 1
    start: datetime = datetime(2025, 3, 29, tzinfo=UTC)
    days: float = 3.0
    """The measurements of the plan are spread evenly over as many days from `start` on: with what is preset, over the night in
    which Europe's clocks go forward.
    """
    disorder: float = 0.0
    duplicates: float = 0.0
    late: float = 0.0
    bad: float = 0.0
    seed: int = 7


class Message(NamedTuple):
    """One delivery."""

    body: bytes
    user: str
    kind: str
    """`good`, `bad` or `duplicate`."""
    late: bool
    disordered: bool


def messages(plan: Plan) -> Iterator[Message]:
    """All deliveries in the order they are sent."""
    draw = random.Random(f"{plan.seed}")
    waiting: list[tuple[int, int, Message]] = []
    made = 0
    for n in range(plan.events):
        while waiting and waiting[0][0] <= n:
            yield heapq.heappop(waiting)[2]
        message = _message(plan, n)
        at = n
        if draw.random() < plan.disorder:
            at += draw.randint(2, FURTHEST)
            message = message._replace(disordered=True)
        heapq.heappush(waiting, (at, made, message))
        made += 1
        if message.kind == "good" and draw.random() < plan.duplicates:
            heapq.heappush(waiting, (at + draw.randint(1, FURTHEST), made, message._replace(kind="duplicate")))
            made += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


def _message(plan: Plan, n: int) -> Message:
    user, turn = n % plan.users, n // plan.users
    first = n - plan.users * (turn % 2)  # of two of this person in a row: the halves of one blood pressure, now and then
    draw, shared = random.Random(f"{plan.seed} {n}"), random.Random(f"{plan.seed} {first} shared")
    cuff = shared.random() < CUFF and first + plan.users < plan.events
    metric = ("systolic", "diastolic")[turn % 2] if cuff else draw.choices(list(_OFTEN), list(_OFTEN.values()))[0]
    moment = shared if cuff else draw
    at = _moment(plan, first if cuff else n)
    late = moment.random() < plan.late
    if late:
        at -= timedelta(seconds=moment.randint(3600, LATEST_DAYS * 86_400))
    event = _event(draw, metric, user, at)
    bad = draw.random() < plan.bad
    body = _BROKEN[draw.randrange(len(_BROKEN))](event, n) if bad else _json(event)
    return Message(body, event["user"], "bad" if bad else "good", late, False)


def _moment(plan: Plan, n: int) -> datetime:
    """When the n-th was measured; its milliseconds tell it from its neighbours."""
    at = plan.start + timedelta(days=plan.days * n / plan.events)
    return at.replace(microsecond=n % 1000 * 1000)


def _event(draw: random.Random, metric: str, user: int, at: datetime) -> dict[str, Any]:
    offset = at.astimezone(ZoneInfo(ZONES[user % len(ZONES)])).utcoffset() or timedelta()
    unit, device, value = _MEASURED[metric]
    return {
        "event_id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "source": "mock_api",
        "user": f"user-{user + 1}",
        "metric": metric,
        "ts_utc": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "offset_s": int(offset.total_seconds()),
        "value": value(draw, user, (at + offset).hour),
        "unit": unit,
        "device": device,
    }


def _heart(draw: random.Random, user: int, hour: int) -> int:
    return round(62 + user % 7 + 10 * math.sin((hour - 9) / 24 * 2 * math.pi) + draw.gauss(0, 6))


_MEASURED: dict[str, tuple[str, str, Callable[[random.Random, int, int], float]]] = {
    "heart_rate": ("/min", "band", _heart),
    "steps": ("{steps}", "band", lambda draw, _, hour: draw.randint(0, 900 if 7 <= hour < 22 else 20)),
    "spo2": ("%", "band", lambda draw, *_: min(100, round(draw.gauss(97, 1)))),
    "systolic": ("mm[Hg]", "cuff", lambda draw, user, _: round(draw.gauss(118 + user % 9, 8))),
    "diastolic": ("mm[Hg]", "cuff", lambda draw, user, _: round(draw.gauss(76 + user % 5, 6))),
    "weight": ("kg", "scale", lambda draw, user, _: round(70 + user % 20 + draw.gauss(0, 0.5), 1)),
    "body_temperature": ("Cel", "thermometer", lambda draw, *_: round(draw.gauss(36.6, 0.2), 1)),
}
"""Metric → (UCUM unit, device, value of a user at a local hour)."""
_OFTEN = {"heart_rate": 65, "steps": 16, "spo2": 9, "weight": 5, "body_temperature": 5}
"""How often each is measured alone."""


def _json(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def _with(**changed: Any) -> Callable[[dict[str, Any], int], bytes]:
    return lambda event, _: _json({**event, **changed})


_BROKEN: tuple[Callable[[dict[str, Any], int], bytes], ...] = (
    lambda event, n: _json(event)[: -2 - n % 20],  # cut short
    lambda event, _: _json({("id" if k == "event_id" else k): v for k, v in event.items()}),
    lambda _, n: str(n).encode(),  # no object
    lambda event, _: _json(event)[:-2] + b'\xff"}',  # no UTF-8
    lambda event, _: _json({**event, "value": str(event["value"])}),
    lambda event, _: _json({**event, "ts_utc": event["ts_utc"][:-1]}),  # whose clock?
    _with(value=math.nan),
    _with(offset_s=100_000),
    _with(unit=""),
)
"""How an event gets spoiled; no two spoiled ones are alike."""
