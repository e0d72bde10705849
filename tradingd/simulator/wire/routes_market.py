"""Historical market data over REST, of stocks and of pairs: series by page, the latest, snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.simulator.market.spans import bucket_start
from tradingd.simulator.wire.adjusting import adjuster
from tradingd.simulator.wire.call import Route, Routes, SimulatedCall
from tradingd.simulator.wire.context import RouteContext
from tradingd.simulator.wire.encoding import time_text
from tradingd.simulator.wire.http import ErrorReply, Response, json_response
from tradingd.simulator.wire.market_data import Point
from tradingd.simulator.wire.paging import page_of
from tradingd.simulator.wire.record import MarketRecord
from tradingd.simulator.wire.timeframes import timeframe_of
from tradingd.simulator.wire.views import Json

_STOCKS = "/v2/stocks"
_CRYPTO = "/v1beta3/crypto/us"
_CHANNELS = ("bars", "quotes", "trades")
_LIMIT_MAX = 10_000
_FEEDS = frozenset({"iex", "sip", "delayed_sip", "otc", "boats", "overnight"})
_FREE_AFTER_NS = 15 * 60 * SECOND_NS
"""How old data of a feed outside the plan must be."""
_DAYS_BACK_NS = 7 * DAY_S * SECOND_NS
"""How far a snapshot looks for the day before."""


class MarketRoutes:
    """The routes of the market-data API."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context
        self._record: MarketRecord = context.record

    def routes(self) -> Routes:
        """Return the table of these routes."""
        table: dict[tuple[str, str], Route] = {
            ("GET", f"{_STOCKS}/snapshots"): self._stock_snapshots,
            ("GET", f"{_CRYPTO}/snapshots"): self._crypto_snapshots,
            ("GET", f"{_CRYPTO}/latest/orderbooks"): self._orderbooks,
        }
        for channel in _CHANNELS:
            table["GET", f"{_STOCKS}/{channel}"] = self._series(channel)
            table["GET", f"{_CRYPTO}/{channel}"] = self._series(channel)
            table["GET", f"{_STOCKS}/{channel}/latest"] = self._latest(channel)
            table["GET", f"{_CRYPTO}/latest/{channel}"] = self._latest(channel)
        return table

    def _series(self, channel: str) -> Route:
        def answer(call: SimulatedCall) -> Response:
            _, last = _span(call)
            self._check_feed(call, last)
            limit = call.count("limit", 1000, _LIMIT_MAX, status=400)
            select = self._bars(call) if channel == "bars" else self._ticks(call, channel)
            series = {symbol: select(symbol) for symbol in _symbols(call)}
            is_descending = call.query.get("sort", "asc") == "desc"
            token = call.query.get("page_token") or None
            page = page_of(series, limit, token, is_descending=is_descending)
            return json_response({
                channel: {name: [p.rest() for p in points] for name, points in page.points.items()},
                "next_page_token": page.token,
            })  # fmt: skip

        return answer

    def _ticks(self, call: SimulatedCall, channel: str) -> Callable[[str], Sequence[Point]]:
        first, last = _span(call)
        return lambda symbol: [
            point for point in self._record.points(channel, symbol) if first <= point.at <= last
        ]

    def _bars(self, call: SimulatedCall) -> Callable[[str], Sequence[Point]]:
        first, last = _span(call)
        timeframe = timeframe_of(call.query.get("timeframe", "1Min"))
        adjust = adjuster(call, self._context, timeframe.span_s)
        return lambda symbol: timeframe.merge(
            adjust(self._record.bars(symbol, timeframe.span_s, first, last + 1))
        )

    def _latest(self, channel: str) -> Route:
        def answer(call: SimulatedCall) -> Response:
            self._check_feed(call, call.now)
            found = {symbol: self._record.latest(channel, symbol) for symbol in _symbols(call)}
            known = {symbol: point.rest() for symbol, point in found.items() if point}
            return json_response({channel: known})

        return answer

    def _check_feed(self, call: SimulatedCall, last: int) -> None:
        """Refuse a feed that there is not, and the youngest quarter of an hour of one not paid for."""
        feed = call.query.get("feed", "")
        if feed and feed not in _FEEDS:
            raise ErrorReply(400, None, f"invalid feed: {feed}")
        is_refused = f"/v2/{feed}" in self._context.settings.feed.refused
        if is_refused and last > call.now - _FREE_AFTER_NS:
            message = f"subscription does not permit querying recent {feed.upper()} data"
            raise ErrorReply(403, 42210000, message)

    def _stock_snapshots(self, call: SimulatedCall) -> Response:
        self._check_feed(call, call.now)
        return json_response({name: self._snapshot(name, call.now) for name in _symbols(call)})

    def _crypto_snapshots(self, call: SimulatedCall) -> Response:
        found = {name: self._snapshot(name, call.now) for name in _symbols(call)}
        known = {name: snapshot for name, snapshot in found.items() if snapshot}
        return json_response({"snapshots": known})

    def _snapshot(self, symbol: str, now: int) -> Json | None:
        """Return everything about one symbol at a glance; None for one the market does not know."""
        quote = self._record.latest("quotes", symbol)
        minute = self._record.latest("bars", symbol)
        if quote is None and minute is None:
            return None
        today = bucket_start(symbol, DAY_S, now)
        before = self._record.bars(symbol, DAY_S, today - _DAYS_BACK_NS, today)
        parts = {
            "latestTrade": self._record.latest("trades", symbol),
            "latestQuote": quote,
            "minuteBar": minute,
            "dailyBar": self._record.running_day(symbol),
            "prevDailyBar": before[-1] if before else None,
        }
        return {name: point.rest() if point else None for name, point in parts.items()}

    def _orderbooks(self, call: SimulatedCall) -> Response:
        books: dict[str, Json] = {}
        for symbol in _symbols(call):
            quote, book = self._record.latest("quotes", symbol), self._record.books.latest(symbol)
            if quote is not None and book is not None:
                books[symbol] = {"t": time_text(quote.at), **book}
        return json_response({"orderbooks": books})


def _symbols(call: SimulatedCall) -> list[str]:
    symbols = call.names("symbols")
    if not symbols:
        raise ErrorReply(400, None, "symbols is required")
    is_crypto = call.request.path.startswith(_CRYPTO)
    wrong = [symbol for symbol in symbols if is_crypto != ("/" in symbol)]
    if wrong and is_crypto:
        pattern = "does not match ^[A-Z]+x?/[A-Z]+$"
        raise ErrorReply(400, None, f"invalid symbol: {wrong[0]} {pattern}")
    if wrong:
        raise ErrorReply(400, None, f"Invalid symbol(s): {','.join(wrong)}")
    return symbols


def _span(call: SimulatedCall) -> tuple[int, int]:
    """Return the bounds asked for, both included; the end is never beyond now."""
    default = call.now - call.now % (DAY_S * SECOND_NS)
    first, last = call.time("start"), call.time("end")
    end = call.now if last is None else min(last, call.now)
    return (default if first is None else first), end
