"""A generated market after a split: the same companies, each share worth less and more of them.

Recorded markets moved by themselves on that day; a generated one knows nothing of its companies.
"""

from __future__ import annotations

from collections.abc import Sequence

from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.market.events import MarketEvent

_CENT = 0.01


class Splits:
    """The splits on a calendar that grows while the market plays."""

    def __init__(self, dated: Sequence[DatedEvent]) -> None:
        self._dated = dated
        self._read = 0
        self._splits: list[DatedEvent] = []

    def restated(self, event: MarketEvent, at: int) -> MarketEvent:
        """Return an event as it is said after the splits that happened up to an instant."""
        if self._read != len(self._dated):
            self._read = len(self._dated)
            self._splits = [each for each in self._dated if each.kind == "split"]
        for split in self._splits:
            if split.symbol == event.symbol and split.at <= at:
                event = _divided(event, float(split.rate))
        return event


def _divided(event: MarketEvent, rate: float) -> MarketEvent:
    if type(event) is Quote:
        bid = _cents(event.bid / rate)
        ask = max(_cents(event.ask / rate), round(bid + _CENT, 2))
        sizes = (_shares(event.bid_size * rate), _shares(event.ask_size * rate))
        return Quote(event.symbol, bid, sizes[0], ask, sizes[1], event.quoted_at)
    if type(event) is Trade:
        price, size = _cents(event.price / rate), _shares(event.size * rate)
        return Trade(event.symbol, price, size, event.traded_at)
    assert isinstance(event, BarReceived), "the union is closed"
    return BarReceived(
        event.symbol,
        event.span_s,
        event.opened_at,
        _cents(event.open / rate),
        _cents(event.high / rate),
        _cents(event.low / rate),
        _cents(event.close / rate),
        _shares(event.volume * rate),
    )


def _cents(price: float) -> float:
    return max(round(price, 2), _CENT)


def _shares(size: float) -> float:
    return max(float(round(size)), 1.0)
