"""Stops: which print elects them, how a trailing one follows the price, what a buy stop may pay at most.

Apart from matching, because an unelected stop is no part of the market: it waits beside the book.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tradingd.instruments.money import decimal_of, round_limit, tick_of
from tradingd.messages import Session, Side
from tradingd.simulator.exchange.depth import DepthBook, Working
from tradingd.simulator.exchange.orders import ExchangeOrder

if TYPE_CHECKING:
    from tradingd.simulator.exchange.engine import Engine

STOP_TYPES = frozenset({"stop", "stop_limit", "trailing_stop"})
_CHEAP = Decimal(50)
_CHEAP_CAP, _CAP = Decimal("1.04"), Decimal("1.025")
_HUNDRED = Decimal(100)


def cap_of_buy_stop(symbol: str, stop: Decimal) -> Decimal:
    """Return the limit the broker gives a buy stop: 4 % above it, from fifty dollars up 2.5 %."""
    return round_limit(symbol, stop * (_CHEAP_CAP if stop < _CHEAP else _CAP), Side.BUY)


def trailing_stop_price(order: ExchangeOrder, best: Decimal) -> Decimal:
    """Return where a trailing stop stands when `best` is the best price it has seen."""
    if order.trail_price is not None:
        away = order.trail_price
    else:
        assert order.trail_percent is not None, "a trailing stop has one of the two"
        away = best * order.trail_percent / _HUNDRED
    price = best + away if order.side == "buy" else best - away
    return price.quantize(tick_of(order.symbol, max(price, away)), ROUND_HALF_EVEN)


def elect(engine: Engine, book: DepthBook, low: float, high: float, now: int) -> None:
    """Elect what the market has reached: sales look at `low`, buys at `high` (a print is both)."""
    if book.is_halted or (not book.is_crypto and engine.session is not Session.REGULAR):
        return
    for working in tuple(book.parked):
        if not working.stop_float or not working.has_arrived or not working.order.is_open:
            continue
        price = high if working.is_buy else low
        if working.order.hwm is not None:
            _follow(engine, working, price, now)
        stop = working.stop_float
        if price >= stop if working.is_buy else price <= stop:
            working.is_elected = True
            engine.release(working, now)


def _follow(engine: Engine, working: Working, price: float, now: int) -> None:
    order = working.order
    best, seen = order.hwm, decimal_of(price)
    assert best is not None, "only trailing stops follow"
    if not (seen < best if working.is_buy else seen > best):
        return
    stop = trailing_stop_price(order, seen)
    working.order = replace(order, hwm=seen, stop_price=stop, updated_at=now)
    working.stop_float = float(stop)
    engine.orders[order.id] = working.order
