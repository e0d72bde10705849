"""What the market has said so far, kept for the historical endpoints: bounded per symbol, oldest dropped.

Bars come from the world, which knows the days before, so that warm-up and the day itself agree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import fsum, isfinite

from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.market.spans import bucket_start
from tradingd.simulator.wire.market_data import (
    BarBody,
    CryptoQuote,
    CryptoTrade,
    DailyBar,
    MinuteBar,
    Point,
    StockQuote,
    StockTrade,
)
from tradingd.simulator.wire.notices import CancelError, Correction
from tradingd.simulator.wire.order_books import OrderBooks

MINUTE_NS = 60 * SECOND_NS
_EQUITY_KEPT_MAX = 10_000
_VENUE = "V"

Bars = Callable[[str, int, int, int], Sequence[BarReceived]]
"""(symbol, span in seconds, from, to) -> finished bars that open in [from, to), oldest first."""


def no_bars(symbol: str, span_s: int, start: int, end: int) -> Sequence[BarReceived]:
    """Know no bars."""
    return ()


class MarketRecord:
    """Turns events of the market into points and remembers them."""

    def __init__(self, kept_max: int, bars: Bars = no_bars) -> None:
        self._kept_max = kept_max
        self._bars = bars
        self._kept: dict[tuple[str, str], deque[Point]] = {}
        self._days: dict[str, Point] = {}
        self._trades = 0
        self.books = OrderBooks()
        self.equity: deque[tuple[int, Decimal]] = deque(maxlen=_EQUITY_KEPT_MAX)

    def quote(self, quote: Quote) -> Point:
        """Remember a quote and return its point."""
        if not all(map(isfinite, (quote.bid, quote.bid_size, quote.ask, quote.ask_size))):
            quote = _with_zeros(quote)
        body: StockQuote | CryptoQuote
        if "/" in quote.symbol:
            self.books.apply(quote)
            body = CryptoQuote(
                S=quote.symbol,
                bp=quote.bid,
                bs=quote.bid_size,
                ap=quote.ask,
                as_=quote.ask_size,
                t=None,
            )
        else:
            body = StockQuote(
                S=quote.symbol,
                bx=_VENUE,
                bp=quote.bid,
                bs=int(quote.bid_size),
                ax=_VENUE,
                ap=quote.ask,
                as_=int(quote.ask_size),
                t=None,
            )
        return self._keep(Point("quotes", quote.quoted_at, body))

    def trade(self, trade: Trade) -> Point:
        """Remember a print and return its point."""
        self._trades += 1
        number, symbol, price = self._trades, trade.symbol, trade.price
        body: StockTrade | CryptoTrade
        if "/" in symbol:
            body = CryptoTrade(S=symbol, p=price, s=trade.size, t=None, i=number, tks="B")
        else:
            size = int(trade.size)
            body = StockTrade(S=symbol, i=number, x=_VENUE, p=price, s=size, t=None)
        return self._keep(Point("trades", trade.traded_at, body))

    def bar(self, bar: BarReceived) -> list[Point]:
        """Remember a finished bar; return its point and that of the running day.

        A socket carries minutes only, so a longer bar has no points.
        """
        if bar.span_s != 60:
            return []
        minute = self._keep(bar_point(bar))
        day = self._running_day(minute)
        self._days[bar.symbol] = day
        return [minute, day]

    def restate(self, notice: object) -> None:
        """Let the kept prints follow a correction or a cancel."""
        if not isinstance(notice, Correction | CancelError):
            return
        kept = self._kept.get(("trades", notice.S), deque())
        number = notice.i if isinstance(notice, CancelError) else notice.oi
        for point in tuple(kept):
            body = point.body
            if not isinstance(body, StockTrade) or body.i != number:
                continue
            if isinstance(notice, CancelError):
                kept.remove(point)
            else:
                body.p, body.s = notice.cp, notice.cs

    def points(self, channel: str, symbol: str) -> Sequence[Point]:
        """Return what is kept of one channel of one symbol, oldest first."""
        return self._kept.get((channel, symbol), ())

    def latest(self, channel: str, symbol: str) -> Point | None:
        """Return the newest point of one channel of one symbol."""
        kept = self._kept.get((channel, symbol))
        return kept[-1] if kept else None

    def bars(self, symbol: str, span_s: int, start: int, end: int) -> list[Point]:
        """Return finished bars that open in [start, end), oldest first, earlier days included."""
        return [bar_point(bar) for bar in self._bars(symbol, span_s, start, end)]

    def running_day(self, symbol: str) -> Point | None:
        """Return the bar of the day as far as it went."""
        return self._days.get(symbol)

    def add(self, event: Quote | Trade | BarReceived) -> list[Point]:
        """Remember any event and return its points."""
        if type(event) is Quote:
            point = self.quote(event)
            return [point, *self.books.change(event)] if point.is_crypto else [point]
        if type(event) is Trade:
            return [self.trade(event)]
        assert isinstance(event, BarReceived), "the market says nothing else"
        return self.bar(event)

    def _running_day(self, minute: Point) -> Point:
        opened_at = bucket_start(minute.symbol, DAY_S, minute.at)
        before = self._days.get(minute.symbol)
        body = _body(minute)
        if before is None or before.at != opened_at:
            return Point("dailyBars", opened_at, merged([body], DailyBar))
        return Point("dailyBars", opened_at, merged([_body(before), body], DailyBar))

    def _keep(self, point: Point) -> Point:
        key = (point.channel, point.symbol)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = deque(maxlen=self._kept_max)
        kept.append(point)
        return point


def bar_point(bar: BarReceived) -> Point:
    """Return a bar as a point; the venue tells no count of trades, so one per bar is shown."""
    body = MinuteBar(
        S=bar.symbol,
        o=bar.open,
        h=bar.high,
        l=bar.low,
        c=bar.close,
        v=bar.volume,
        t=None,
        n=1,
        vw=round((bar.high + bar.low + bar.close) / 3, 9),
    )
    return Point("bars", bar.opened_at, body)


def _with_zeros(quote: Quote) -> Quote:
    """Return the quote as the broker spells one with a side missing."""
    bid, ask = _or_zero(quote.bid), _or_zero(quote.ask)
    bid_size, ask_size = _or_zero(quote.bid_size), _or_zero(quote.ask_size)
    return Quote(quote.symbol, bid, bid_size, ask, ask_size, quote.quoted_at)


def _or_zero(number: float) -> float:
    return number if isfinite(number) else 0.0


def merged(bars: Sequence[BarBody], kind: type[BarBody]) -> BarBody:
    """Return one bar that covers several consecutive ones."""
    volume = fsum(
        bar.v for bar in bars
    )  # the same in every Python: `sum` of floats is compensated since 3.12
    weighted = fsum(bar.vw * bar.v for bar in bars)
    return kind(
        S=bars[0].S,
        o=bars[0].o,
        h=max(bar.h for bar in bars),
        l=min(bar.l for bar in bars),
        c=bars[-1].c,
        v=volume,
        t=None,
        n=sum(bar.n for bar in bars),
        vw=round(weighted / volume, 9) if volume else bars[-1].c,
    )


def _body(point: Point) -> BarBody:
    assert isinstance(point.body, BarBody), point.channel
    return point.body
