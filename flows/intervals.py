"""What a sample tells of the rest: a sum and its 95% interval."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

T_975: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t at 97.5% for 1 to 10 degrees of freedom; beyond, an expansion is good to 0.1%."""

Z_975: Final = 1.959964
"""The normal distribution's 97.5% point."""


def left_over(values: Sequence[float], num_all: int) -> "Interval":
    """What the records that were not drawn come to, from the `values` of those that were.

    Student's t on the mean per record, with the correction for drawing without replacement from
    `num_all`. Not the bootstrap: its percentiles are too narrow for samples as small as a pilot.
    """
    num = len(values)
    num_left = num_all - num
    if num_left <= 0:
        return Interval(0.0, 0.0)
    if num < 2:
        return Interval(num_left * fmean(values) if values else 0.0, math.inf)
    half = student_t(num - 1) * stdev(values) * math.sqrt(num_left * num_all / num)
    return Interval(num_left * fmean(values), half)


def student_t(degrees: int) -> float:
    """The 97.5% point of Student's t distribution (Abramowitz and Stegun 26.7.5 beyond ten degrees)."""
    if degrees <= len(T_975):
        return T_975[degrees - 1]
    z, n = Z_975, degrees
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)


def summed(intervals: "Iterable[Interval]") -> "Interval":
    """The sum of what independent samples tell: half-widths add in squares."""
    each = list(intervals)
    return Interval(sum(one.expected for one in each), math.hypot(*(one.half for one in each)))


@dataclass(frozen=True, slots=True)
class Interval:
    """What is expected of the records that are left, and half the width of the 95% interval around it."""

    expected: float
    half: float

    @property
    def low(self) -> float:
        """The lower end: nothing is asked a negative number of times."""
        return max(0.0, self.expected - self.half)

    @property
    def high(self) -> float:
        """The upper end."""
        return self.expected + self.half

    def as_dict(self) -> dict[str, float]:
        """Plain data."""
        return {"expected": self.expected, "low": self.low, "high": self.high}
