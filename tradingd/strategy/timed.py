"""A strategy under a stopwatch: tells when one call took longer than it may, and changes nothing else.

Only a live system has real time to lose, and hands in its clock; a backtest runs the bare strategy. What the
strategy wishes is passed on as it is, so decisions are the same with and without.
"""

from __future__ import annotations

from collections.abc import Callable

from tradingd.messages import Bar, OrderFilled, Quote
from tradingd.strategy.protocol import PositionView, Signal, Strategy

ReadClock = Callable[[], int]
"""Real time, ns from an arbitrary start."""

Report = Callable[[str, int], None]
"""Hears the strategy's name and how many ns its call took."""


class Timed(Strategy):
    """Stands in for one instance of a strategy. The calls of its warm-up are not held against it."""

    def __init__(
        self, strategy: Strategy, name: str, budget_ns: int, read: ReadClock, report: Report
    ) -> None:
        self._strategy = strategy
        self._name = name
        self._budget_ns = budget_ns
        self._read = read
        self._report = report
        self._free = strategy.warmup

    @property
    def warmup(self) -> int:
        """What the strategy itself says."""
        return self._strategy.warmup

    def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
        """Pass on, and look at the clock."""
        began = self._read()
        signal = self._strategy.on_quote(quote, view)
        self._look(began)
        return signal

    def on_bar(self, bar: Bar, view: PositionView) -> Signal | None:
        """Pass on, and look at the clock."""
        began = self._read()
        signal = self._strategy.on_bar(bar, view)
        self._look(began)
        return signal

    def on_timer(self, now: int, view: PositionView) -> Signal | None:
        """Pass on, and look at the clock."""
        began = self._read()
        signal = self._strategy.on_timer(now, view)
        self._look(began)
        return signal

    def on_fill(self, fill: OrderFilled, view: PositionView) -> None:
        """Pass on, and look at the clock."""
        began = self._read()
        self._strategy.on_fill(fill, view)
        self._look(began)

    def _look(self, began: int) -> None:
        if self._free > 0:
            self._free -= 1
            return
        took = self._read() - began
        if took > self._budget_ns:
            self._report(self._name, took)
