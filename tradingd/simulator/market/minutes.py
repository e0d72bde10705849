"""Minute bars out of trades: open, high, low, close and volume exactly as printed.

A minute without a print has no bar, as on the broker's stream; a bar is known when its minute is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tradingd.messages import BarReceived, Trade
from tradingd.simulator.market.events import MINUTE, MarketEvent, time_of


class _Forming:
    """The bar of one symbol that is not over yet."""

    __slots__ = ("close", "high", "low", "open", "opened_at", "volume")

    def __init__(self, opened_at: int, price: float, size: float) -> None:
        self.opened_at = opened_at
        self.open = self.high = self.low = self.close = price
        self.volume = size

    def add(self, price: float, size: float) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += size

    def bar(self, symbol: str) -> BarReceived:
        return BarReceived(
            symbol, 60, self.opened_at, self.open, self.high, self.low, self.close, self.volume
        )


class MinuteBars:
    """Forms the bars of every symbol; give it each trade, ask it at each moment what is finished."""

    def __init__(self) -> None:
        self._forming: dict[str, _Forming] = {}
        self.due_at: int | None = None
        """When the oldest forming bar is over."""

    def add(self, trade: Trade) -> None:
        """Apply one print; `finished` must have been asked at its time before."""
        if not trade.price > 0 or not trade.size > 0:
            return
        forming = self._forming.get(trade.symbol)
        if forming is not None:
            forming.add(trade.price, trade.size)
            return
        opened_at = trade.traded_at // MINUTE * MINUTE
        self._forming[trade.symbol] = _Forming(opened_at, trade.price, trade.size)
        over = opened_at + MINUTE
        self.due_at = over if self.due_at is None else min(self.due_at, over)

    def finished(self, now: int) -> list[BarReceived]:
        """Return the bars whose minute is over, oldest first."""
        if self.due_at is None or now < self.due_at:
            return []
        over = [s for s, each in self._forming.items() if each.opened_at + MINUTE <= now]
        bars = [self._forming.pop(symbol).bar(symbol) for symbol in over]
        endpoints = [each.opened_at + MINUTE for each in self._forming.values()]
        self.due_at = min(endpoints) if endpoints else None
        return sorted(bars, key=lambda bar: (bar.opened_at, bar.symbol))

    def forming(self, symbol: str) -> BarReceived | None:
        """Return the bar of a symbol as it stands."""
        forming = self._forming.get(symbol)
        return None if forming is None else forming.bar(symbol)


def with_minute_bars(events: Iterable[MarketEvent]) -> Iterator[MarketEvent]:
    """Put the minute bars of the trades between the events, each before anything later than its end."""
    bars = MinuteBars()
    for event in events:
        at = time_of(event)
        if bars.due_at is not None and bars.due_at <= at:
            yield from bars.finished(at)
        if type(event) is Trade:
            bars.add(event)
        yield event
    if bars.due_at is not None:
        yield from bars.finished(bars.due_at)
