"""The stream that is always on: FAKEPACA on /v2/test, a quote, a print and every minute a bar.

It goes by the market's clock and not by the market, so a client can be tried at any hour.
"""

from __future__ import annotations

from tradingd.instruments.units import SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.wire.data_stream import TEST_SYMBOL
from tradingd.simulator.wire.market_data import Point
from tradingd.simulator.wire.record import MINUTE_NS, MarketRecord

_KEPT = 10
_BEATS_MAX = 600
"""After a long silence only the latest beats are made up for."""
_BASE, _STEPS = 132.0, 60


class TestFeed:
    """Beats once a second of market time while somebody listens."""

    __test__ = False

    def __init__(self) -> None:
        self._record = MarketRecord(_KEPT)
        self._next_at: int | None = None

    def next_due(self) -> int | None:
        """Return when the next beat is due; None while nobody listens."""
        return self._next_at

    def points(self, now: int, *, is_subscribed: bool) -> list[Point]:
        """Return what is due."""
        if not is_subscribed:
            self._next_at = None
            return []
        at = self._next_at or now - now % SECOND_NS + SECOND_NS
        at = max(at, now - _BEATS_MAX * SECOND_NS)
        points: list[Point] = []
        while at <= now:
            points += self._tick(at)
            at += SECOND_NS
        self._next_at = at
        return points

    def _tick(self, at: int) -> list[Point]:
        price = _BASE + (at // SECOND_NS) % _STEPS / 100
        points = [
            self._record.quote(Quote(TEST_SYMBOL, price, 100.0, price + 0.05, 200.0, at)),
            self._record.trade(Trade(TEST_SYMBOL, price, 10.0, at)),
        ]
        if at % MINUTE_NS == 0:
            top = _BASE + (_STEPS - 1) / 100
            bar = BarReceived(TEST_SYMBOL, 60, at - MINUTE_NS, _BASE, top, _BASE, top, 600.0)
            points += self._record.bar(bar)
        return points
