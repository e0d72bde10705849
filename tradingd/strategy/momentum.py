"""Momentum with a threshold: buy what has risen enough over the lookback, sell when it has given it back.

Long only. Change = price / price `lookback` steps ago - 1. Change at or above the threshold and flat ->
buy; change at or below `exit_below` (default: minus the threshold) and long -> sell all. Confidence is the
move in price over k standard deviations of the prices in the lookback.
"""

from __future__ import annotations

import statistics
from collections import deque

from tradingd.messages import Bar, Quote, Side
from tradingd.strategy.parameters import Confidence, number, quantity_of, whole
from tradingd.strategy.protocol import PositionView, Signal, Strategy


class Momentum(Strategy):
    """Mids of quotes, closes of bars, or mids at each timer tick; the rule is the same. Raises ValueError for impossible parameters."""

    def __init__(
        self,
        *,
        lookback: object = 20,
        threshold_pct: object = 0.5,
        exit_below_pct: object = None,
        quantity: object = None,
        confidence: object = "gap",
        k: object = 1,
        confidence_min: object = 0,
    ) -> None:
        up = number("threshold_pct", threshold_pct)
        down = -up if exit_below_pct is None else number("exit_below_pct", exit_below_pct)
        if not up > 0:
            raise ValueError(f"threshold_pct must be positive, not {up}")
        if down >= up:
            raise ValueError(f"exit_below_pct ({down}) must lie below threshold_pct ({up})")
        self._up = 1 + up / 100
        self._down = 1 + down / 100
        self._prices: deque[float] = deque(maxlen=whole("lookback", lookback) + 1)
        self._quantity = quantity_of(quantity)
        self._confidence = Confidence(confidence, k, confidence_min)

    @property
    def warmup(self) -> int:
        """The lookback and the price it is compared with."""
        return self._prices.maxlen or 0

    def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
        """Decide on the mid."""
        return self._decide((quote.bid + quote.ask) / 2, view)

    def on_bar(self, bar: Bar, view: PositionView) -> Signal | None:
        """Decide on the close."""
        return self._decide(bar.close, view)

    def on_timer(self, now: int, view: PositionView) -> Signal | None:
        """Decide on the mid of the latest quote."""
        quote = view.quote
        return None if quote is None else self._decide((quote.bid + quote.ask) / 2, view)

    def _decide(self, price: float, view: PositionView) -> Signal | None:
        prices = self._prices
        prices.append(price)
        if view.is_waiting or len(prices) < self.warmup:
            return None
        if view.is_flat and price >= prices[0] * self._up:
            return self._signal(Side.BUY)
        if view.is_long and price <= prices[0] * self._down:
            return self._signal(Side.SELL)
        return None

    def _signal(self, side: Side) -> Signal | None:
        prices = self._prices
        move = prices[-1] - prices[0]
        stdev = 0.0 if self._confidence.is_full else statistics.pstdev(prices)
        confidence = self._confidence.of(move, stdev)
        is_purchase = side is Side.BUY
        if is_purchase and not self._confidence.is_enough(confidence):
            return None
        return Signal(
            side=side,
            reason=f"{move / prices[0]:+.2%} over {len(prices) - 1} steps",
            confidence=confidence,
            quantity=self._quantity if is_purchase else None,
        )
