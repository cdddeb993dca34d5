"""What is not as it should be: the rules of the setting `alerts` over the facts of a moment.

A sentence names steps, sources and shares of counts; never a measured value, a path or the name of a dropped file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from scripts.words import counted, listed, sized
from serving.metrics.facts import Facts
from serving.metrics.samples import code

Limits = Mapping[str, Any]
"""A rule's part of the setting."""
Found = Iterator[tuple[str, str]]
"""(subject, sentence) of each thing that is wrong."""

RULES = ("failed_runs", "error_rate", "freshness", "quality", "storage", "rate_limit", "row_counts")


class Verdict(NamedTuple):
    """What the rules have found."""

    judged: frozenset[str]
    """Rules that could say. Of the others nothing is known: what they found earlier stands."""
    firing: dict[tuple[str, str], str]
    """(rule, subject) → sentence."""


class Watched(NamedTuple):
    """What is judged."""

    facts: Facts
    resting: frozenset[str] = frozenset()
    """Sources with nothing to look at now: nobody expects anything new of them."""
    examples: bool = False
    """The shipped examples: only the platform itself is judged, not their data."""


def judge(watched: Watched, alerts: Mapping[str, Any]) -> Verdict:
    """Every rule that is on. `alerts` is the setting as plain values."""
    judged: set[str] = set()
    firing: dict[tuple[str, str], str] = {}
    for name in RULES:
        if alerts[name]["enabled"]:
            found = _RULES[name](watched, alerts[name])
            if found is None:
                continue
            firing |= {(name, subject): sentence for subject, sentence in found}
        judged.add(name)
    return Verdict(frozenset(judged), firing)


def ended_early(error: str) -> Verdict:
    """The verdict on a run that raised: more is not known. `error` is the name of its class."""
    return Verdict(frozenset({"failed_runs"}), {("failed_runs", ""): f"The last run ended early ({error})."})


def _failed_runs(watched: Watched, _: Limits) -> Found | None:
    history = watched.facts.history
    last = history.last if history else None
    if last is None:
        return None
    if last.status == "interrupted":
        return iter([("", "The last run was interrupted.")])
    if last.status == "failed":
        steps = [code(node) for node in last.failed]
        return iter([("", f"The last run failed at {counted(len(steps), 'step')}: {listed(steps, 5)}.")])
    return iter(())


def _error_rate(watched: Watched, limits: Limits) -> Found | None:
    return None if watched.examples else _refusing(watched.facts, limits)


def _refusing(facts: Facts, limits: Limits) -> Found:
    for step in facts.steps:
        if step.came and step.came >= limits["records"]:
            share = sum(step.rejected.values()) / step.came
            if share > limits["share"]:
                yield (
                    code(step.node),
                    f"{code(step.node)} refused {share:.1%} of what came in; wanted: at most {limits['share']:.1%}.",
                )


def _freshness(watched: Watched, limits: Limits) -> Found | None:
    if watched.examples or watched.facts.readings is None:
        return None
    newest: dict[str, float] = {}
    for told in watched.facts.readings:
        if told.last_at is not None:
            newest[told.source] = max(newest.get(told.source, told.last_at), told.last_at)
    return _stale(newest, watched, limits)


def _stale(newest: Mapping[str, float], watched: Watched, limits: Limits) -> Found:
    for source, at in newest.items():
        hours = limits["sources"].get(source, limits["hours"])
        age = watched.facts.now - at
        if hours is not None and source not in watched.resting and age > hours * 3600:
            yield code(source), f"The newest reading of {code(source)} is {_old(age / 3600)} old; wanted: at most {_old(hours)}."


def _old(hours: float) -> str:
    return f"{hours:,.0f} h" if hours < 100 else f"{hours / 24:,.0f} days"


def _quality(watched: Watched, limits: Limits) -> Found | None:
    return None if watched.examples else _missing(watched.facts, limits)


def _missing(facts: Facts, limits: Limits) -> Found:
    for step in facts.steps:
        missed = [measure for measure in step.missed if measure in limits["measures"]]
        if step.stage == "bronze" and missed:
            yield step.source, f"The last load of {step.source} misses what quality_sla wants: {listed(missed, 3)}."


def _storage(watched: Watched, limits: Limits) -> Found | None:
    room = watched.facts.storage
    return None if room.free is None or not room.total else _short(room.free, room.total, sum(room.places.values()), limits)


def _short(free: int, total: int, used: int, limits: Limits) -> Found:
    if free / total < limits["free_share"]:
        yield "disk", f"{sized(free)} are free on the disk, {free / total:.1%}; wanted: at least {limits['free_share']:.1%}."
    if limits["used_bytes"] is not None and used > limits["used_bytes"]:
        yield "used", f"{sized(used)} are kept; wanted: at most {sized(limits['used_bytes'])}."


def _rate_limit(watched: Watched, limits: Limits) -> Found:
    for told in watched.facts.rate_limits:
        left = told.remaining / told.limit
        if left < limits["remaining_share"] and watched.facts.now - told.told_at <= limits["hours"] * 3600:
            wanted = f"wanted: at least {limits['remaining_share']:.0%}"
            yield told.source, f"{left:.0%} of the requests {told.source} allows were left after the last call; {wanted}."


def _row_counts(watched: Watched, limits: Limits) -> Found | None:
    return None if watched.examples else _unusual(watched.facts, limits)


def _unusual(facts: Facts, limits: Limits) -> Found:
    for step in facts.steps:
        usual, recent = step.usual_rows, facts.now - step.committed_at <= limits["hours"] * 3600
        if step.stage == "bronze" or step.rows is None or usual is None or step.earlier < limits["attempts"] or not recent:
            continue  # a load counts only what is new
        if abs(step.rows - usual) > limits["change"] * usual:
            yield code(step.node), f"{code(step.node)} made {step.rows:,} rows, usually {usual:,.0f}."


_RULES: dict[str, Callable[[Watched, Limits], Found | None]] = {
    "failed_runs": _failed_runs,
    "error_rate": _error_rate,
    "freshness": _freshness,
    "quality": _quality,
    "storage": _storage,
    "rate_limit": _rate_limit,
    "row_counts": _row_counts,
}
