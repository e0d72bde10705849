"""What would work against ourselves: shorts, opposite strategies, crossing orders, too many of them."""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.units import MINUTE_NS, ZERO
from tradingd.messages import Role, Side
from tradingd.risk.case import Case, Refusal, Seen
from tradingd.risk.limits import RiskLimits
from tradingd.risk.state import LiveOrder, RiskState


def long_only(case: Case, _book: RiskState, _limits: RiskLimits) -> Seen:
    """An entry buys; selling what is not held is refused until the system can short."""
    if case.side is Side.SELL:
        return Refusal("sell", "buy", "short positions are not allowed: an entry must buy")
    return case.side, "buy"


def opposite(case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
    """Two strategies may not hold opposite positions in one symbol."""
    sign = 1 if case.side is Side.BUY else -1
    for strategy, quantity in book.positions.get(case.symbol, {}).items():
        if strategy != case.strategy and quantity * sign < 0:
            return Refusal(f"{quantity}", "same side", f"{strategy} holds the opposite position")
    for parent in book.reservations.values():
        if parent.symbol != case.symbol or parent.strategy == case.strategy:
            continue
        if parent.role is Role.ENTRY and parent.side is not case.side:
            return Refusal(parent.side, case.side, f"{parent.strategy} is entering the other side")
    return case.side, "same side"


def orders_open(case: Case, book: RiskState, limits: RiskLimits) -> Seen:
    """How many parents, and how many orders, may be open at once."""
    count = len(book.orders) if case.order_id else len(book.reservations)
    if count >= limits.orders_open_max:
        what = "orders" if case.order_id else "intents"
        return Refusal(f"{count}", f"{limits.orders_open_max}", f"{count} {what} are open already")
    return count, limits.orders_open_max


def order_rate(case: Case, book: RiskState, limits: RiskLimits) -> Seen:
    """Orders in the last minute of market time; exits count too, and are never held back."""
    times = book.approved_at
    if len(times) < limits.orders_per_minute_max or case.now - times[0] >= MINUTE_NS:
        return times, limits.orders_per_minute_max
    limit = f"{limits.orders_per_minute_max} a minute"
    return Refusal(f"{len(times)} a minute", limit, f"the order rate is at its limit of {limit}")


def self_cross(case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
    """An entry may not trade with an order of our own."""
    for order in book.orders.values():
        if order.symbol == case.symbol and order.side is not case.side and _crosses(case, order):
            price = "market" if order.limit_price is None else f"{order.limit_price}"
            return Refusal(f"{case.limit_price}", price, f"would trade with our {order.order_id}")
    return case.limit_price, "no order of ours"


def _crosses(case: Case, order: LiveOrder) -> bool:
    if case.limit_price is None or order.limit_price is None:
        return True
    if case.side is Side.BUY:
        return case.limit_price >= order.limit_price
    return case.limit_price <= order.limit_price


def reservation(case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
    """An order draws on what its parent reserved: same trade, no worse price, never more in sum."""
    parent = case.reservation
    if parent is None or parent.is_closed:
        return Refusal("none", case.intent_id, "no approved intent stands behind this order")
    if case.order_id in book.orders:
        return Refusal(case.order_id, "new id", "this order was approved before")
    local = (case.strategy, case.symbol, case.side, case.role)
    reported = (parent.strategy, parent.symbol, parent.side, parent.role)
    if local != reported:
        return Refusal(" ".join(local), " ".join(reported), "the order is not what was approved")
    worse = _worse_price(case, parent.limit_price)
    if worse is not None:
        return worse
    live = sum((order.remaining for order in book.children(parent.intent_id)), ZERO)
    total = parent.filled + live + case.quantity
    if total > parent.quantity:
        return Refusal(f"{total}", f"{parent.quantity}", "children would exceed their parent")
    return total, parent.quantity


def _worse_price(case: Case, limit: Decimal) -> Refusal | None:
    price = case.limit_price
    if price is None:
        if case.role is not Role.ENTRY:
            return None  # an exit may go to market
        return Refusal("market", f"{limit}", "an entry needs a limit price")
    if case.role is Role.ENTRY and (price > limit if case.side is Side.BUY else price < limit):
        return Refusal(f"{price}", f"{limit}", "the price is worse than was approved")
    return None
