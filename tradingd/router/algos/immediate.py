"""All of it at once: one marketable limit order at the price the gate approved.

A limit instead of a market order, because the collar must hold at the broker too; the order's time-out
cancels what the market did not give, and the parent closes with what it got.
"""

from __future__ import annotations

from decimal import Decimal

from tradingd.messages import Mark
from tradingd.router.algos.steps import Done, PlaceChild, Step, Wait
from tradingd.router.parents import Progress


class Immediate:
    """One child, no second try."""

    is_sliced = False
    may_rest = False

    def next(self, progress: Progress, market: Mark | None, now: int) -> Step:
        """Place everything once; then wait for the child, then be done."""
        if progress.children == 0:
            return PlaceChild(progress.left, progress.limit_price)
        return Wait() if progress.live else Done()

    def expires_at(self, progress: Progress, now: int) -> int:
        """Leave it to the system's time-out."""
        return 0

    def ends_at(self, progress: Progress) -> int:
        """Have no schedule."""
        return 0

    def price(self, progress: Progress, market: Mark) -> Decimal | None:
        """Return the price the gate approved."""
        return progress.limit_price
