"""A histogram of plain integers: what a hot path can afford to keep, read when somebody asks for it.

A client library's `observe` costs a microsecond and a lock; this costs a bisection.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from tradingd.instruments.units import SECOND_NS


class PlainHistogram:
    """Counts spans by upper bound; the last count is of what was longer than every bound."""

    __slots__ = ("bounds_ns", "bounds_s", "counts", "sum_ns")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        assert list(bounds_s) == sorted(set(bounds_s)), "bounds rise"
        self.bounds_s = tuple(bounds_s)
        self.counts = [0] * (len(self.bounds_s) + 1)
        self.sum_ns = 0
        self.bounds_ns = [round(bound * SECOND_NS) for bound in self.bounds_s]

    def add(self, span_ns: int) -> None:
        """Count one span; a span of exactly a bound is within it."""
        self.counts[bisect_left(self.bounds_ns, span_ns)] += 1
        self.sum_ns += span_ns
