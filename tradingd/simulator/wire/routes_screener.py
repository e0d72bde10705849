"""The screener over REST: who traded most today, who moved most since the last close."""

from __future__ import annotations

import msgspec

from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.simulator.market.spans import bucket_start
from tradingd.simulator.wire.call import Routes, SimulatedCall
from tradingd.simulator.wire.context import RouteContext
from tradingd.simulator.wire.encoding import time_text
from tradingd.simulator.wire.http import ErrorReply, Response, json_response
from tradingd.simulator.wire.market_data import BarBody, Point
from tradingd.simulator.wire.views import Json

_ACTIVES_MAX, _MOVERS_MAX = 100, 50
_DAYS_BACK_NS = 10 * DAY_S * SECOND_NS
_MARKETS = {"stocks": False, "crypto": True}


class _Move(msgspec.Struct, frozen=True):
    """How far a price is from the last close."""

    symbol: str
    percent_change: float
    change: float
    price: float


class ScreenerRoutes:
    """The routes under /v1beta1/screener."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> Routes:
        """Return the table of these routes."""
        return {
            ("GET", "/v1beta1/screener/stocks/most-actives"): self._actives,
            ("GET", "/v1beta1/screener/stocks/movers"): self._stock_movers,
            ("GET", "/v1beta1/screener/crypto/movers"): self._crypto_movers,
        }

    def _actives(self, call: SimulatedCall) -> Response:
        top = call.count("top", 10, _ACTIVES_MAX, status=400)
        by = call.query.get("by") or "volume"
        if by not in {"volume", "trades"}:
            raise ErrorReply(400, None, f"invalid by: {by}")
        rows = [self._active(symbol) for symbol in self._symbols("stocks")]
        field = "volume" if by == "volume" else "trade_count"
        rows.sort(key=lambda row: (-float(str(row[field])), str(row["symbol"])))
        return json_response({"most_actives": rows[:top], "last_updated": time_text(call.now)})

    def _stock_movers(self, call: SimulatedCall) -> Response:
        return self._movers(call, "stocks")

    def _crypto_movers(self, call: SimulatedCall) -> Response:
        return self._movers(call, "crypto")

    def _movers(self, call: SimulatedCall, market: str) -> Response:
        top = call.count("top", 10, _MOVERS_MAX, status=400)
        found = [self._move(symbol, call.now) for symbol in self._symbols(market)]
        moved = sorted((move for move in found if move), key=lambda move: move.percent_change)
        return json_response({
            "gainers": [move for move in moved[::-1] if move.percent_change > 0][:top],
            "losers": [move for move in moved if move.percent_change < 0][:top],
            "market_type": market,
            "last_updated": time_text(call.now),
        })  # fmt: skip

    def _symbols(self, market: str) -> list[str]:
        wanted = _MARKETS[market]
        return [asset.symbol for asset in self._context.assets() if asset.is_crypto == wanted]

    def _active(self, symbol: str) -> Json:
        day = self._context.record.running_day(symbol)
        count = len(self._context.record.points("trades", symbol))
        return {"symbol": symbol, "volume": _bar(day).v if day else 0, "trade_count": count}

    def _move(self, symbol: str, now: int) -> _Move | None:
        record = self._context.record
        today = bucket_start(symbol, DAY_S, now)
        before = record.bars(symbol, DAY_S, today - _DAYS_BACK_NS, today)
        day = record.running_day(symbol)
        if not before or day is None:
            return None
        closed, price = _bar(before[-1]).c, _bar(day).c
        change = round(price - closed, 6)
        return _Move(symbol, round(100 * change / closed, 2), change, price)


def _bar(point: Point) -> BarBody:
    assert isinstance(point.body, BarBody), point.channel
    return point.body
