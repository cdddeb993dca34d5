"""The categories of blood pressure as areas to draw: along one component, and in the plane of both."""

from __future__ import annotations

from typing import NamedTuple

from config.bp_schemes import SCHEMES, Grade

TOP = 260.0
"""Above every reading, mmHg; where the highest category ends on a chart."""


def steps(scheme: str) -> tuple[Grade, ...]:
    """Of a scheme, best to worst; of the default one for a name that is none."""
    return SCHEMES.get(scheme, SCHEMES["aha_2017"])


def areas(scheme: str, component: str) -> list[tuple[float, float, Grade]]:
    """(from, to, category) along one component, `systolic` or `diastolic`, the other one being low."""
    begins = [(float(bound), step) for step in steps(scheme) if (bound := getattr(step, component)) is not None]
    ends = [bound for bound, _ in begins[1:]] + [TOP]
    return [(bound, end, step) for (bound, step), end in zip(begins, ends, strict=True)]


class Rectangle(NamedTuple):
    """Part of a category's area in the plane of diastolic and systolic."""

    category: str
    diastolic_from: float
    diastolic_to: float
    systolic_from: float
    systolic_to: float


def rectangles(scheme: str) -> list[Rectangle]:
    """The plane cut into the categories without overlap; the worse component decides, so all but the first are L-shaped."""
    found: list[Rectangle] = []
    wide = high = 0.0
    chain = steps(scheme)
    for at, step in enumerate(chain):
        to_wide = next((float(s.diastolic) for s in chain[at + 1 :] if s.diastolic is not None), TOP)
        to_high = next((float(s.systolic) for s in chain[at + 1 :] if s.systolic is not None), TOP)
        found.append(Rectangle(step.name, 0, to_wide, high, to_high))
        if to_wide > wide and high > 0:
            found.append(Rectangle(step.name, wide, to_wide, 0, high))
        wide, high = to_wide, to_high
    return found
