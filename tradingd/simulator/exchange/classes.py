"""The advanced classes: what a bracket, an oco and an oto must say, and the legs they become.

An oco is its own take-profit and has its stop as a leg; a bracket's and an oto's legs wait for the entry.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from tradingd.simulator.exchange.orders import NewOrder
from tradingd.simulator.exchange.refusals import OrderRefusal, business, parameter

_CENT = Decimal("0.01")
_PLAIN = frozenset({"", "simple"})


def is_plain(order: NewOrder) -> bool:
    """Tell whether an order stands alone."""
    return order.order_class in _PLAIN


def with_own_limit(order: NewOrder) -> NewOrder:
    """Return an oco with its take-profit's limit as its own."""
    if order.order_class == "oco" and order.limit_price is None:
        return replace(order, limit_price=order.take_profit_limit)
    return order


def check_class(order: NewOrder) -> None:
    """Refuse a group that lacks one of its prices, or prices without a group."""
    has_target, has_stop = order.take_profit_limit is not None, order.stop_loss_stop is not None
    if order.stop_loss_limit is not None and not has_stop:
        raise parameter(f"{order.order_class or 'stop_loss'} orders require stop_loss.stop_price")
    match order.order_class:
        case "" | "simple":
            if has_target or has_stop:
                raise parameter("take_profit and stop_loss require an advanced order_class")
        case "oto":
            if has_target == has_stop:
                raise parameter("oto orders require one of take_profit or stop_loss")
        case name:
            if name == "oco" and order.order_type != "limit":
                raise parameter("invalid order type")
            if not has_target:
                raise parameter(f"{name} orders require take_profit.limit_price")
            if not has_stop:
                raise parameter(f"{name} orders require stop_loss.stop_price")


def check_place(order: NewOrder, position: Decimal) -> None:
    """Refuse an entry that closes and an exit that opens."""
    closes = position < 0 if order.side == "buy" else position > 0
    if order.order_class == "bracket" and closes:
        raise business("bracket orders must be entry orders")
    if order.order_class == "oco" and not closes:
        raise business("oco orders must be exit orders")


def check_sides(order: NewOrder, base: Decimal) -> None:
    """Refuse exits on the wrong side of the price the entry is counted at."""
    target, stop = order.take_profit_limit, order.stop_loss_stop
    if order.order_class == "oco":
        assert target is not None, "check_class wants it"
        assert stop is not None, "check_class wants it"
        if not (target > stop if order.side == "sell" else target < stop):
            raise _wrong_side("take_profit.limit_price", ">" if order.side == "sell" else "<", stop)
        return
    is_buy = order.side == "buy"
    if target is not None and not (target >= base + _CENT if is_buy else target <= base - _CENT):
        raise _wrong_side("take_profit.limit_price", ">= +" if is_buy else "<= -", base)
    if stop is not None and not (stop <= base - _CENT if is_buy else stop >= base + _CENT):
        raise _wrong_side("stop_loss.stop_price", "<= -" if is_buy else ">= +", base)


def _wrong_side(name: str, relation: str, base: Decimal) -> OrderRefusal:
    value, _, sign = relation.partition(" ")
    if not sign:
        return business(f"{name} must be {value} stop_loss.stop_price")
    refused = business(f"{name} must be {value} base_price {sign} 0.01")
    refused.extra["base_price"] = f"{base:f}"
    return refused


def legs(order: NewOrder) -> list[NewOrder]:
    """Return the requests of the legs: the take-profit first; an oco is its own."""
    side = order.side
    if order.order_class != "oco":
        side = "sell" if order.side == "buy" else "buy"
    made = []
    ground = NewOrder(
        symbol=order.symbol,
        side=side,
        order_type="limit",
        time_in_force=order.time_in_force,
        quantity=order.quantity,
        order_class=order.order_class,
    )
    if order.take_profit_limit is not None and order.order_class != "oco":
        made.append(replace(ground, limit_price=order.take_profit_limit))
    if order.stop_loss_stop is not None:
        limit = order.stop_loss_limit
        kind = "stop" if limit is None else "stop_limit"
        made.append(
            replace(ground, order_type=kind, limit_price=limit, stop_price=order.stop_loss_stop)
        )
    return made
