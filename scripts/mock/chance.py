"""Chance that falls alike on every machine: seeded streams by name, and shapes made of + − × ÷ only.

`random.Random.random()` after a text seed is the one sequence Python promises to keep (`random`, "Notes on Reproducibility"), and
IEEE 754 fixes the four operations to the last bit. `gauss`, `sin` and `exp` are not used: they come from the platform's libm.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

_BELL = 1.7320508075688772  # √3: the sum of four uniform draws has variance 1/3


def stream(seed: int, *names: object) -> Random:
    """The stream of chance of this name; streams of other names do not move it, so any day can be drawn alone."""
    return Random("/".join(str(n) for n in (seed, *names)))


def bell(rng: Random, mean: float, spread: float) -> float:
    """A bell-shaped draw with this mean and standard deviation, never further than 3.5 deviations away."""
    return mean + spread * _BELL * (rng.random() + rng.random() + rng.random() + rng.random() - 2.0)


def between(rng: Random, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return low + int(rng.random() * (high - low + 1))


def pick(rng: Random, options: Sequence[T]) -> T:
    """One of the options."""
    return options[int(rng.random() * len(options))]


def wave(turns: float) -> float:
    """A cosine drawn with parabolas: 1 at whole turns, −1 half way between."""
    t = turns % 1.0
    u = 4.0 * min(t, 1.0 - t) - 1.0
    return -u * (2.0 - abs(u))


def ramp(x: float) -> float:
    """0 up to 0, 1 from 1 on, smooth in between."""
    x = min(1.0, max(0.0, x))
    return x * x * (3.0 - 2.0 * x)
