"""A small venue for the tests of the exchange: one account, one instant, requests by keyword."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tradingd.instruments.calendar import ns_of, session_days
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import ExchangeOrder, NewOrder
from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.exchange.settings import ExchangeSettings

DAY = "2024-03-05"
OPEN = ns_of(DAY, "09:30")
NOON = ns_of(DAY, "12:00")
CLOSE = ns_of(DAY, "16:00")
MS = 1_000_000
SECOND = 1_000_000_000
D = Decimal

PRICES: dict[str, dict[str, Any]] = {
    "market": {},
    "limit": {"limit_price": D(100)},
    "stop": {"stop_price": D(105)},
    "stop_limit": {"stop_price": D(105), "limit_price": D(106)},
    "trailing_stop": {"trail_price": D(1)},
}


def exchange(*, always_open: bool = True, **settings: Any) -> Exchange:
    """Return an exchange, without a calendar unless asked."""
    calendar = () if always_open else session_days("2024-03-04", "2024-03-08")
    return Exchange(ExchangeSettings(**settings), calendar, seed=7)


def new(
    symbol: str = "ACMX", side: str = "buy", quantity: str | None = "10", **more: Any
) -> NewOrder:
    """Return a request: a market day order unless told otherwise."""
    fields: dict[str, Any] = {
        "order_type": "limit" if "limit_price" in more else "market",
        "time_in_force": "gtc" if "/" in symbol else "day",
        "quantity": None if quantity is None else D(quantity),
    } | more
    if isinstance(fields.get("limit_price"), str):
        fields["limit_price"] = D(fields["limit_price"])
    return NewOrder(symbol=symbol, side=side, **fields)


def quote(
    venue: Exchange,
    bid: float = 100.0,
    ask: float = 100.1,
    now: int = NOON,
    *,
    symbol: str = "ACMX",
    sizes: tuple[float, float] = (500.0, 500.0),
) -> None:
    """Show a quote."""
    venue.on_quote(symbol, bid, sizes[0], ask, sizes[1], now)


def bought(venue: Exchange, symbol: str, quantity: str, now: int = NOON) -> ExchangeOrder:
    """Buy at the standing quote, whatever the way of filling, and forget the events."""
    order = venue.submit(new(symbol, "buy", quantity), now)
    venue.stand(now)
    venue.take_events()
    return venue.order(order.id)


def refused(venue: Exchange, order: NewOrder, now: int = NOON) -> OrderRefusal:
    """Return the refusal of a request that must be refused."""
    with pytest.raises(OrderRefusal) as caught:
        venue.submit(order, now)
    return caught.value


def ready(now: int = NOON, *, always_open: bool = True, **settings: Any) -> Exchange:
    venue = exchange(always_open=always_open, **settings)
    quote(venue, now=now)
    quote(venue, 100, 100.1, now, symbol="BTC/USD")
    return venue


def answer(venue: Exchange, order: NewOrder, now: int = NOON) -> tuple[int, int, str] | None:
    try:
        venue.submit(order, now)
    except OrderRefusal as no:
        return no.http_status, no.code, no.message
    return None


def ready_with(asset: Any, **settings: Any) -> Exchange:
    venue = exchange(assets=(asset,), **settings)
    quote(venue)
    return venue
