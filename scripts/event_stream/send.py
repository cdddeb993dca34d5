"""`events send`: a plan's messages handed over at a rate, and how many there were of each kind."""

from __future__ import annotations

import itertools
import time
from argparse import Namespace
from collections import Counter
from typing import Any

from config.errors import UsageError
from scripts.answer import Answer
from scripts.event_stream.producer import Plan, messages
from scripts.event_stream.targets import Target, target
from scripts.words import counted, lasted


def send(options: Namespace) -> Answer:
    """Options: to, rate, users, events, start, days, disorder, duplicates, late, bad, seed, batch. UsageError for a share that is
    none, DeliveryError if nobody takes the events: what was handed over stands, and sending again changes nothing of it.
    """
    shares = {name: getattr(options, name) for name in ("disorder", "duplicates", "late", "bad")}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise UsageError(f"--{name} is a share of the events.", "Give a number from 0 to 1, such as 0.05.")
    plan = Plan(options.events, options.users, options.start, options.days, seed=options.seed, **shares)
    counts = deliver(plan, target(options.to, options.batch), options.rate)
    return Answer(counts, _told(counts))


def deliver(plan: Plan, to: Target, rate: float = 0.0) -> dict[str, Any]:
    """Send it all; `rate` in messages a second, 0 as fast as they are taken. The counts: sent = good + duplicates + bad; `events` are
    the different good ones, what a store must hold in the end.
    """
    counts: Counter[str] = Counter()
    began = time.monotonic()
    stream = messages(plan)
    try:
        while batch := list(itertools.islice(stream, to.batch)):
            to.send(batch)
            for message in batch:
                counts.update(["sent", message.kind])
                counts.update(("late",) * message.late + ("disordered",) * message.disordered)
                counts["bytes"] += len(message.body)
            if rate:
                time.sleep(max(began + counts["sent"] / rate - time.monotonic(), 0))
    except BaseException:
        to.close(complete=False)
        raise
    to.close(complete=True)
    kinds = {"events": counts["good"], "duplicates": counts["duplicate"], "bad": counts["bad"]}
    others = {name: counts[name] for name in ("late", "disordered", "bytes")}
    work = {"batches": to.counts["batches"], "retries": to.counts["retries"], "seconds": round(time.monotonic() - began, 3)}
    return {"sent": counts["sent"], **kinds, **others, **work}


def _told(counts: dict[str, Any]) -> str:
    work = f"{counted(counts['batches'], 'batch', 'batches')}, {counted(counts['retries'], 'retry', 'retries')}"
    lines = [
        f"{counted(counts['sent'], 'message')} sent in {lasted(counts['seconds'])}, {work}",
        f"  {counts['events']:>9,} different events",
        f"  {counts['duplicates']:>9,} of them once more",
        f"  {counts['bad']:>9,} broken",
        f"  {counts['late']:>9,} late, {counts['disordered']:,} out of order",
    ]
    return "\n".join(lines)
