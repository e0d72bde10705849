"""All of it at once: one marketable limit order at the price the gate approved.

A limit instead of a market order, because the collar must hold at the broker too; the order's time-out
cancels what the market did not give, and the parent closes with what it got.
"""

from __future__ import annotations

from tradingd.messages import Mark
from tradingd.router.algos.steps import Done, Place, Step, Wait
from tradingd.router.parents import Progress


class Immediate:
    """One child, no second try."""

    def next(self, progress: Progress, _market: Mark | None, _now: int) -> Step:
        """Place everything once; then wait for the child, then be done."""
        if progress.children == 0:
            return Place(progress.left, progress.limit_price)
        return Wait() if progress.live else Done()
