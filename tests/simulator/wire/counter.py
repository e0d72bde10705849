"""A counter with two equities and a pair, quoted, on a regular morning."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tradingd.instruments.calendar import ns_of, session_days
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.settings import ExchangeSettings, default_asset
from tradingd.simulator.market.spans import aggregate
from tradingd.simulator.wire.context import RouteContext
from tradingd.simulator.wire.http import Response, request_of
from tradingd.simulator.wire.record import MINUTE_NS, MarketRecord
from tradingd.simulator.wire.rest import Rest
from tradingd.simulator.wire.settings import SIMULATOR_KEYS, WireSettings

NOW = ns_of("2026-03-04", "10:00")
SYMBOLS = ("AAA", "BBB", "BTC/USD")
KEY_HEADERS = {
    "APCA-API-KEY-ID": SIMULATOR_KEYS.key_id,
    "APCA-API-SECRET-KEY": SIMULATOR_KEYS.secret_key,
}


class Counter:
    """A REST API with its exchange, asked by method and URL."""

    def __init__(self, settings: WireSettings | None = None) -> None:
        assets = tuple(
            default_asset(name, f"00000000-0000-4000-a000-00000000000{n}")
            for n, name in enumerate(SYMBOLS)
        )
        self.exchange = Exchange(
            ExchangeSettings(assets=assets, cash_usd=Decimal(100_000)),
            session_days("2026-03-02", "2026-03-06"),
            seed=1,
        )
        self.bars: list[BarReceived] = []
        self.record = MarketRecord(100, self._finished)
        self.context = RouteContext(self.exchange, self.record, settings or WireSettings())
        self.rest = Rest(self.context)
        self.now = NOW
        for symbol in SYMBOLS:
            self.quote(symbol, 100.0, 100.1)

    def quote(self, symbol: str, bid: float, ask: float, size: float = 500.0) -> None:
        """Move the market."""
        self.exchange.on_quote(symbol, bid, size, ask, size, self.now)
        self.record.quote(Quote(symbol, bid, size, ask, size, self.now))

    def trade(self, symbol: str, price: float) -> None:
        """Print a trade."""
        self.record.trade(Trade(symbol, price, 5.0, self.now))

    def minutes(self, symbol: str, count: int) -> None:
        """Finish some minutes of bars."""
        for n in range(count):
            at = NOW + n * MINUTE_NS
            price = 100.0 + n
            bar = BarReceived(symbol, 60, at, price, price + 1, price - 1, price + 0.5, 10.0)
            self.bars.append(bar)
            self.record.bar(bar)

    def _finished(self, symbol: str, span_s: int, start: int, end: int) -> list[BarReceived]:
        own = [bar for bar in self.bars if bar.symbol == symbol]
        return [
            bar
            for bar in aggregate(own, span_s)
            if start <= bar.opened_at < end and bar.opened_at + 60 * SECOND_NS <= self.now
        ]

    def pass_seconds(self, seconds: float) -> None:
        """Let market time pass."""
        self.now += int(seconds * SECOND_NS)
        self.exchange.advance(self.now)

    def ask(
        self,
        method: str,
        url: str,
        body: object = None,
        headers: Mapping[str, str] = KEY_HEADERS,
    ) -> Response:
        """Do one request."""
        raw = None if body is None else msgspec.json.encode(body)
        return self.rest.handle(request_of(method, url, headers, raw), self.now)


def body_of(response: Response) -> Any:
    """Return the JSON of a response."""
    return msgspec.json.decode(response.body)


MARKET = {"symbol": "AAA", "side": "buy", "type": "market", "time_in_force": "day"}


def submit(counter: Counter, order: dict[str, Any], **fields: object) -> Any:
    response = counter.ask("POST", "/v2/orders", {**order, **fields})
    assert response.status == 200, response.body
    return body_of(response)


def hold(counter: Counter, symbol: str = "AAA", qty: str = "10") -> None:
    submit(counter, MARKET, symbol=symbol, qty=qty, time_in_force="gtc" if "/" in symbol else "day")
    counter.pass_seconds(1)
    counter.quote(symbol, 100.0, 100.1, 501.0)
