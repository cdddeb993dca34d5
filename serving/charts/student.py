"""What 95 % intervals are made of, without a statistics library."""

from __future__ import annotations

Z_975 = 1.959963984540054
"""The normal distribution's 97.5th percentile."""
_FEW = {1: 12.706205, 2: 4.302653, 3: 3.182446}


def t_975(freedom: float) -> float:
    """Student's t below which 97.5 % lie, to 0.001; `freedom` is at least 1.

    Cornish and Fisher's expansion (Abramowitz and Stegun, 26.7.5), which is too coarse below 4 degrees of freedom.
    """
    if freedom in _FEW:
        return _FEW[int(freedom)]
    z, v = Z_975, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def half_width(deviation: float, n: int) -> float:
    """Half of the 95 % interval of a mean of n values (n at least 2) with this sample standard deviation."""
    return float(t_975(n - 1) * deviation / n**0.5)
