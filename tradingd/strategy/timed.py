"""A strategy under a stopwatch: tells when one call took longer than it may, and changes nothing else.

Only a live house has real time to lose, and hands in its clock; a backtest runs the bare strategy. What the
strategy wishes is passed on as it is, so decisions are the same with and without.
"""

from __future__ import annotations

from collections.abc import Callable

from tradingd.messages import Bar, OrderFilled, Quote
from tradingd.strategy.protocol import PositionView, Strategy, Wish

ReadClock = Callable[[], int]
"""Real time, ns from an arbitrary start."""

Tell = Callable[[str, int], None]
"""Hears the strategy's name and how many ns its call took."""


class Timed(Strategy):
    """Stands in for one instance of a strategy. The calls of its warm-up are not held against it."""

    def __init__(
        self, mind: Strategy, name: str, budget_ns: int, read: ReadClock, tell: Tell
    ) -> None:
        self._mind = mind
        self._name = name
        self._budget_ns = budget_ns
        self._read = read
        self._tell = tell
        self._free = mind.warmup

    @property
    def warmup(self) -> int:
        """What the strategy itself says."""
        return self._mind.warmup

    def on_quote(self, quote: Quote, view: PositionView) -> Wish | None:
        """Pass on, and look at the clock."""
        began = self._read()
        wish = self._mind.on_quote(quote, view)
        self._look(began)
        return wish

    def on_bar(self, bar: Bar, view: PositionView) -> Wish | None:
        """Pass on, and look at the clock."""
        began = self._read()
        wish = self._mind.on_bar(bar, view)
        self._look(began)
        return wish

    def on_timer(self, now: int, view: PositionView) -> Wish | None:
        """Pass on, and look at the clock."""
        began = self._read()
        wish = self._mind.on_timer(now, view)
        self._look(began)
        return wish

    def on_fill(self, fill: OrderFilled, view: PositionView) -> None:
        """Pass on, and look at the clock."""
        began = self._read()
        self._mind.on_fill(fill, view)
        self._look(began)

    def _look(self, began: int) -> None:
        if self._free > 0:
            self._free -= 1
            return
        took = self._read() - began
        if took > self._budget_ns:
            self._tell(self._name, took)
