"""The order books of pairs: what the exchange would match against, whole on subscription, then changes.

A book is made only while somebody watches it; nobody else pays for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

from tradingd.instruments.money import CENT, decimal_of
from tradingd.messages import Quote
from tradingd.simulator.wire.market_data import Point
from tradingd.simulator.wire.notices import BookLevel, OrderBook, notice_point

LEVELS = 6
"""The touch and the levels behind it."""

_Half = dict[float, float]


class OrderBooks:
    """The books that are watched, as their watchers know them."""

    def __init__(self) -> None:
        self._latest: dict[str, Quote] = {}
        self._sent: dict[str, tuple[_Half, _Half]] = {}

    def apply(self, quote: Quote) -> None:
        """Take a pair's quote."""
        self._latest[quote.symbol] = quote

    def change(self, quote: Quote) -> list[Point]:
        """Return what a quote changes in a watched book."""
        before = self._sent.get(quote.symbol)
        if before is None:
            return []
        after = self._sent[quote.symbol] = _halves(quote)
        bids, asks = (_changes(*pair) for pair in zip(before, after, strict=True))
        if not bids and not asks:
            return []
        return [notice_point(OrderBook(S=quote.symbol, b=bids, a=asks), quote.quoted_at)]

    def whole(self, symbols: Collection[str]) -> list[Point]:
        """Return the whole books of these pairs (`*` is all) and watch them from now on."""
        wanted = self._latest if "*" in symbols else symbols
        points = []
        for symbol in wanted:
            quote = self._latest.get(symbol)
            if quote is not None:
                bids, asks = self._sent[symbol] = _halves(quote)
                body = OrderBook(S=symbol, b=_levels(bids), a=_levels(asks), r=True)
                points.append(notice_point(body, quote.quoted_at))
        return points

    def latest(self, symbol: str) -> dict[str, list[dict[str, float]]] | None:
        """Return a whole book in the words of the REST API."""
        quote = self._latest.get(symbol)
        if quote is None:
            return None
        bids, asks = _halves(quote)
        return {"b": _plain(bids), "a": _plain(asks)}


def _halves(quote: Quote) -> tuple[_Half, _Half]:
    return _half(quote.bid, quote.bid_size, -1), _half(quote.ask, quote.ask_size, 1)


def _half(price: float, size: float, away: int) -> _Half:
    """Return price -> size of one side; the levels behind the touch show its size again."""
    if not price > 0 or not size > 0:
        return {}
    touch = decimal_of(price)
    step = CENT if touch >= 10 else touch / 1000
    prices = (touch + step * away * number for number in range(LEVELS))
    return {float(each): size for each in prices if each > Decimal(0)}


def _changes(before: Mapping[float, float], after: Mapping[float, float]) -> list[BookLevel]:
    gone = [BookLevel(price, 0.0) for price in before if price not in after]
    return gone + [BookLevel(p, s) for p, s in after.items() if before.get(p) != s]


def _levels(half: _Half) -> list[BookLevel]:
    return [BookLevel(price, size) for price, size in half.items()]


def _plain(half: _Half) -> list[dict[str, float]]:
    return [{"p": price, "s": size} for price, size in half.items()]
