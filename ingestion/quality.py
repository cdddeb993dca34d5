"""How good a record is: complete, of the right shape, plausible, of a known time. Judged by its source's JSON Schema.

The formula, the checks and their reason codes: `docs/quality.md`. Records alike in what they hold and lack share one profile, so that
a record like one before costs a look-up, and profiles are few.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jsonschema_rs

from ingestion.expected import MOST_KEPT, RANGE, Path, Place, Plan, Plans

ABSENT, MISSHAPEN, IMPLAUSIBLE, FINE = 0, 1, 2, 3
"""What became of a field; each is worth more than the one before."""
WEIGHTS = {"completeness": 0.4, "conformity": 0.2, "plausibility": 0.2, "timeliness": 0.2}
"""Of the score. A field earns the first by being there, the second by its shape, the third by its value; the record's time the last."""
_MOST_REASONS, _LONGEST_REASON = 20, 200


class Violation(NamedTuple):
    """Something in a record that its schema says otherwise."""

    code: str
    """`schema:<path>:<keyword>`, `below:<path>`, `above:<path>`, `zero:<path>`; never a value."""
    path: Path
    state: int
    """What it makes of the field."""


class Profile(NamedTuple):
    """The quality of a record, as its row says it."""

    score: float
    """0 to 1, four digits."""
    metrics: str
    """JSON object: the shares the score is made of, and counts."""
    checks: str
    """JSON object: check → passed, failed or not_applicable; `why`: the codes of what failed, if anything did."""


class Verdict(NamedTuple):
    """What is made of a record."""

    profile: Profile
    refusals: tuple[str, ...]
    """Codes of what makes it invalid."""


class Judge:
    """Judges the records of one source."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = jsonschema_rs.validator_for(schema)
        self.plans = Plans(schema)
        self._flawless: dict[tuple[int, tuple[str, ...]], Verdict] = {}
        self._others: dict[Any, Verdict] = {}

    def verdict(self, raw: Mapping[str, Any], untimely: tuple[str, ...] = ()) -> Verdict:
        """What is made of a record. `untimely`: codes why its time cannot be used, empty when it can."""
        plan = self.plans.of(raw)
        if not plan.flawless.is_valid(raw):
            return self._flawed(plan, raw, untimely)
        found = self._flawless.get((plan.number, untimely))
        if found is None:
            held = {place: float if place in plan.ranged else str for place in plan.places}
            found = self._flawless[plan.number, untimely] = _judged(plan, held, (), untimely)
        return found

    def _flawed(self, plan: Plan, raw: Mapping[str, Any], untimely: tuple[str, ...]) -> Verdict:
        violations = () if self._schema.is_valid(raw) else tuple(sorted(set(map(_violation, self._schema.iter_errors(raw)))))
        held = tuple([_held(raw, place) for place in plan.places])
        key = plan.number, held, violations, untimely
        found = self._others.get(key)
        if found is None:
            if len(self._others) >= MOST_KEPT:
                self._others.clear()
            found = self._others[key] = _judged(plan, dict(zip(plan.places, held, strict=True)), violations, untimely)
        return found


def _held(raw: Mapping[str, Any], place: Place) -> type | None:
    """The type of what stands at a place; None for nothing: absent, null, blank, an empty list or object."""
    value: Any = raw
    for name in place.path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    if isinstance(value, str):
        return str if re.search(place.pattern or r"\S", value) else None
    if place.pattern:
        return None
    return type(value) if value or value == 0 else None


def _violation(error: Any) -> Violation:
    path = tuple(map(str, error.instance_path))
    keyword = error.schema_path[-1] if error.schema_path else "invalid"
    where = ".".join(path) or "$"
    if keyword not in RANGE:
        return Violation(f"schema:{where}:{keyword}", path, MISSHAPEN)
    if keyword == "minimum" and error.instance == 0:  # how devices write that nothing was measured
        return Violation(f"zero:{where}", path, ABSENT)
    return Violation(f"{'below' if keyword == 'minimum' else 'above'}:{where}", path, IMPLAUSIBLE)


def _judged(plan: Plan, held: Mapping[Place, type | None], violations: Iterable[Violation], untimely: tuple[str, ...]) -> Verdict:
    states, strays, telling = _states(plan, held, violations)
    fields = [max(states[place] for place in field) for field in plan.fields]
    checked = [*fields, *strays.values()]
    there, present = sum(s > ABSENT for s in checked), sum(s > ABSENT for s in fields)
    refusals = tuple(dict.fromkeys(v.code for v in telling if v.state == MISSHAPEN))
    outside = {v.path for v in telling if v.state == IMPLAUSIBLE}
    measured = outside | {p.path for p in plan.ranged if held[p] in (int, float) and states[p] != ABSENT}
    metrics = {
        "completeness": _share(present, len(fields)),
        "conformity": _share(sum(s > MISSHAPEN for s in checked), there),
        "plausibility": _share(len(measured) - len(outside), len(measured)),
        "timeliness": 0.0 if untimely else 1.0,
        "expected": len(fields),
        "present": present,
        "violations": len(refusals),
    }
    checks: dict[str, Any] = {
        "completeness": _outcome(present < len(fields), bool(fields)),
        "conformity": _outcome(bool(refusals), bool(there)),
        "plausibility": _outcome(bool(outside), bool(measured)),
        "timeliness": _outcome(bool(untimely), True),
    }
    if reasons := [*_missing(plan, fields, telling), *dict.fromkeys(v.code for v in telling), *untimely]:
        checks["why"] = [reason.replace("\0", "")[:_LONGEST_REASON] for reason in reasons[:_MOST_REASONS]]
    if not all(held[place] for place in plan.telling):
        checked = [ABSENT] * len(checked)  # what it should hold is anybody's guess
    return Verdict(Profile(_score(checked, not untimely), _json(metrics), _json(checks)), refusals)


def _missing(plan: Plan, fields: Iterable[int], telling: Iterable[Violation]) -> list[str]:
    """A code per expected field that is not there, but for those of which a 0 has been told."""
    absent = [field for field, state in zip(plan.fields, fields, strict=True) if state == ABSENT]
    zeros = {v.path for v in telling if v.state == ABSENT}
    return [f"missing:{'.'.join(field[0].path)}" for field in absent if not zeros & {place.path for place in field}]


def _states(
    plan: Plan, held: Mapping[Place, type | None], violations: Iterable[Violation]
) -> tuple[dict[Place, int], dict[Path, int], list[Violation]]:
    """The state of each place that is looked at, of each other place with a violation, and the violations that say something.

    A violation within an expected field is that field's. A 0 that means "not measured" says something only where a measurement is
    expected.
    """
    states = {place: FINE if kind else ABSENT for place, kind in held.items()}
    expected = {place.path for field in plan.fields for place in field}
    strays: dict[Path, int] = {}
    telling: list[Violation] = []
    for violation in violations:
        path = violation.path
        owner = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in expected), None)
        unmeasured = violation.state == ABSENT
        if not unmeasured and owner is None:
            strays[path] = min(strays.get(path, FINE), violation.state)
        for place in [place for place in states if place.path == (path if unmeasured else owner)]:
            states[place] = min(states[place], violation.state)
        if not unmeasured or owner == path:
            telling.append(violation)
    return states, strays, telling


def _score(checked: list[int], timely: bool) -> float:
    """The weighted sum of the shares of what is checked that is there, of the right shape, plausible; and of the time."""
    levels = {"completeness": MISSHAPEN, "conformity": IMPLAUSIBLE, "plausibility": FINE}
    earned = [WEIGHTS[name] * sum(state >= level for state in checked) for name, level in levels.items()]
    fields = sum(earned) / len(checked) if checked else 1 - WEIGHTS["timeliness"]
    return round(fields + WEIGHTS["timeliness"] * timely, 4)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _outcome(failed: bool, applicable: bool) -> str:
    return "failed" if failed else "passed" if applicable else "not_applicable"


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
