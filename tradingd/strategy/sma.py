"""SMA crossover: hold while the fast average is above the slow one. The plainest trend follower.

Long only. Once the slow window is full: fast above slow and flat -> buy; fast below slow and long -> sell
all; a tie changes nothing. Confidence is the gap of the averages over k standard deviations of the slow
window (`parameters.Confidence`), computed only when there is something to wish.
"""

from __future__ import annotations

from tradingd.messages import Bar, Quote, Side
from tradingd.strategy.indicators import GRID, Crossing, units
from tradingd.strategy.parameters import Confidence, quantity_of, whole
from tradingd.strategy.protocol import PositionView, Signal, Strategy

_HALF_GRID = GRID / 2


class SmaCrossover(Strategy):
    """Mids of quotes, closes of bars, or mids at each timer tick; the rule is the same."""

    def __init__(
        self,
        *,
        fast: object = 5,
        slow: object = 20,
        quantity: object = None,
        confidence: object = "gap",
        k: object = 1,
        confidence_min: object = 0,
    ) -> None:
        self._crossing = Crossing(whole("fast", fast), whole("slow", slow))
        self._quantity = quantity_of(quantity)
        self._confidence = Confidence(confidence, k, confidence_min)

    @property
    def warmup(self) -> int:
        """The slow window."""
        return self._crossing.slow

    def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
        """Decide on the mid."""
        gap = self._crossing.update(int((quote.bid + quote.ask) * _HALF_GRID + 0.5))
        if gap > 0:
            return self._buy(gap) if view.is_flat and not view.is_waiting else None
        if gap < 0 and view.is_long and not view.is_waiting:
            return self._sell(gap)
        return None

    def on_bar(self, bar: Bar, view: PositionView) -> Signal | None:
        """Decide on the close."""
        gap = self._crossing.update(int(bar.close * GRID + 0.5))
        if gap > 0:
            return self._buy(gap) if view.is_flat and not view.is_waiting else None
        if gap < 0 and view.is_long and not view.is_waiting:
            return self._sell(gap)
        return None

    def on_timer(self, now: int, view: PositionView) -> Signal | None:
        """Decide on the mid of the latest quote."""
        quote = view.quote
        if quote is None:
            return None
        mid = (quote.bid + quote.ask) / 2
        return self._decide(self._crossing.update(units(mid)), view)

    def _decide(self, gap: int, view: PositionView) -> Signal | None:
        if view.is_waiting:
            return None
        if gap > 0 and view.is_flat:
            return self._buy(gap)
        return self._sell(gap) if gap < 0 and view.is_long else None

    def _buy(self, gap: int) -> Signal | None:
        confidence = self._sureness(gap)
        if not self._confidence.is_enough(confidence):
            return None
        return Signal(
            side=Side.BUY,
            reason=f"SMA({self._crossing.fast}) rose above SMA({self._crossing.slow})",
            confidence=confidence,
            quantity=self._quantity,
        )

    def _sell(self, gap: int) -> Signal:
        return Signal(
            side=Side.SELL,
            reason=f"SMA({self._crossing.fast}) fell below SMA({self._crossing.slow})",
            confidence=self._sureness(gap),
        )

    def _sureness(self, scaled_gap: int) -> float:
        if self._confidence.is_full:
            return 1.0
        crossing = self._crossing
        return self._confidence.of(crossing.gap(scaled_gap), crossing.stdev())
