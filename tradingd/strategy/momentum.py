"""Momentum with a threshold: buy what has risen enough over the lookback, sell when it has given it back.

Long only. Change = price / price `lookback` steps ago - 1. Change at or above the threshold and flat ->
buy; change at or below `exit_below` (default: minus the threshold) and long -> sell all. Confidence is the
move in price over k standard deviations of the prices in the lookback.
"""

from __future__ import annotations

import statistics
from collections import deque

from tradingd.messages import Bar, Quote, Side
from tradingd.strategy.parameters import Confidence, quantity_of
from tradingd.strategy.protocol import PositionView, Strategy, Wish


class Momentum(Strategy):
    """Mids of quotes, closes of bars, or mids at each timer tick; the rule is the same."""

    def __init__(
        self,
        *,
        lookback: int = 20,
        threshold_pct: float = 0.5,
        exit_below_pct: float | None = None,
        quantity: object = None,
        confidence: str = "gap",
        k: float = 1.0,
        confidence_min: float = 0.0,
    ) -> None:
        if lookback < 1:
            raise ValueError(f"lookback must be positive, not {lookback}")
        if not threshold_pct > 0:
            raise ValueError(f"threshold_pct must be positive, not {threshold_pct}")
        down_pct = -threshold_pct if exit_below_pct is None else exit_below_pct
        if down_pct >= threshold_pct:
            raise ValueError(f"exit_below_pct ({down_pct}) must lie below the threshold")
        self._up = 1 + threshold_pct / 100
        self._down = 1 + down_pct / 100
        self._prices: deque[float] = deque(maxlen=lookback + 1)
        self._quantity = quantity_of(quantity)
        self._confidence = Confidence(confidence, k, confidence_min)

    @property
    def warmup(self) -> int:
        """The lookback and the price it is compared with."""
        return self._prices.maxlen or 0

    def on_quote(self, quote: Quote, view: PositionView) -> Wish | None:
        """Decide on the mid."""
        return self._decide((quote.bid + quote.ask) / 2, view)

    def on_bar(self, bar: Bar, view: PositionView) -> Wish | None:
        """Decide on the close."""
        return self._decide(bar.close, view)

    def on_timer(self, now: int, view: PositionView) -> Wish | None:
        """Decide on the mid of the latest quote."""
        quote = view.quote
        return None if quote is None else self._decide((quote.bid + quote.ask) / 2, view)

    def _decide(self, price: float, view: PositionView) -> Wish | None:
        prices = self._prices
        prices.append(price)
        if view.is_waiting or len(prices) < self.warmup:
            return None
        if view.is_flat and price >= prices[0] * self._up:
            return self._wish(Side.BUY)
        if view.is_long and price <= prices[0] * self._down:
            return self._wish(Side.SELL)
        return None

    def _wish(self, side: Side) -> Wish | None:
        prices = self._prices
        move = prices[-1] - prices[0]
        stdev = 0.0 if self._confidence.is_full else statistics.pstdev(prices)
        confidence = self._confidence.of(move, stdev)
        is_purchase = side is Side.BUY
        if is_purchase and not self._confidence.is_enough(confidence):
            return None
        return Wish(
            side=side,
            reason=f"{move / prices[0]:+.2%} over {len(prices) - 1} steps",
            confidence=confidence,
            quantity=self._quantity if is_purchase else None,
        )
