"""Ends of positions and of trades: the order that closes a position, and the trade that is taken back."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from tradingd.instruments.units import ZERO
from tradingd.simulator.exchange.engine import Engine
from tradingd.simulator.exchange.orders import NewOrder, TradeUpdate
from tradingd.simulator.exchange.refusals import OrderRefusal, business, parameter

_HUNDRED = Decimal(100)


def closing_order(
    symbol: str,
    position: Decimal,
    quantity: Decimal | None,
    percentage: Decimal | None,
    *,
    is_crypto: bool,
) -> NewOrder:
    """Return the market order that closes a position, or a part of it."""
    if quantity is not None and percentage is not None:
        raise parameter("only one of qty or percentage is accepted")
    size = abs(position)
    if quantity is not None:
        size = quantity
    if percentage is not None:
        if not 0 < percentage <= _HUNDRED:
            raise parameter("percentage must be > 0 and <= 100")
        size = abs(position) * percentage / _HUNDRED
    return NewOrder(
        symbol=symbol,
        side="sell" if position > 0 else "buy",
        order_type="market",
        time_in_force="gtc" if is_crypto else "day",
        quantity=size,
    )


def bust(engine: Engine, execution_id: str, now: int) -> TradeUpdate:
    """Take an execution back: cash, position, the order's fill and the activity of it."""
    fill = engine.activities.find(execution_id)
    if fill is None or fill.qty is None or fill.price is None:
        raise OrderRefusal(404, 40410000, f"execution not found for {execution_id}")
    is_buy, symbol = fill.order.side == "buy", fill.order.symbol
    moved = fill.qty - fill.fee if is_buy else fill.qty
    if "/" in symbol and is_buy and engine.ledger.quantity(symbol) < moved:
        raise business("the coins of this execution are sold already")
    engine.activities.take_back(execution_id)
    after = engine.ledger.take_back(symbol, is_buy, fill.qty, fill.price, fill.fee)
    before = engine.orders[fill.order.id]
    filled = before.filled_qty - fill.qty
    value = (before.filled_avg_price or ZERO) * before.filled_qty - fill.qty * fill.price
    average = value / filled if filled else None
    order = replace(before, filled_qty=filled, filled_avg_price=average, updated_at=now)
    engine.orders[order.id] = order
    working = engine.working.get(order.id)
    if working is not None:
        working.order = order
        working.value -= fill.qty * fill.price
    update = TradeUpdate("trade_bust", order, now, execution_id, fill.price, fill.qty, after)
    engine.events.append(update)
    return update
