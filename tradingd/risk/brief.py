"""Turning what is asked into cases: the price an entry may reach, the quantity an exit may have.

Pricing stands here and not in the router, because the edge of the collar is what the gate reserves at.
"""

from __future__ import annotations

import math
from decimal import Decimal

from tradingd.instruments.money import decimal_of, round_limit, tick_of
from tradingd.instruments.units import ZERO
from tradingd.messages import Intent, OperatorOrder, OrderProposed, Role, Side
from tradingd.risk.case import Case
from tradingd.risk.exposure import measure, mid_of
from tradingd.risk.limits import RiskLimits
from tradingd.risk.state import RiskState
from tradingd.state.ids import OrderId

OPERATOR = "operator"


def of_intent(intent: Intent, book: RiskState, limits: RiskLimits, now: int) -> Case:
    """Bring a strategy's intent before the gate; quantity None is 0 until it is sized."""
    touch = intent.ask if intent.side is Side.BUY else intent.bid
    if not 0 < touch < math.inf:
        touch = 0.0
    case = Case(
        intent_id=intent.intent_id,
        strategy=intent.strategy,
        symbol=intent.symbol,
        side=intent.side,
        role=intent.role,
        quantity=ZERO if intent.quantity is None else intent.quantity,
        limit_price=None,
        confidence=intent.confidence,
        quoted_at=intent.quoted_at,
        now=now,
        stop_price=intent.stop_price,
        touch=touch,
    )
    case.limit_price = limit_of(case, book, limits)
    if intent.role is Role.ENTRY:
        case.exposure = measure(book, intent.symbol)
    elif intent.quantity is None:
        leaving = book.exiting(intent.strategy, intent.symbol, with_reserved=True)
        case.quantity = abs(book.held(intent.strategy, intent.symbol)) - leaving
    return case


def of_operator(order: OperatorOrder, book: RiskState, limits: RiskLimits, now: int) -> Case:
    """Bring a person's order before the gate; its exit reduces whoever holds the symbol."""
    mark = book.marks.get(order.symbol)
    case = Case(
        intent_id=order.intent_id,
        strategy=_owner(order, book),
        symbol=order.symbol,
        side=order.side,
        role=order.role,
        quantity=order.quantity,
        limit_price=order.limit_price,
        confidence=1.0,
        quoted_at=now if mark is None else mark.quoted_at,
        now=now,
        is_operator=True,
    )
    if case.limit_price is None:
        case.limit_price = limit_of(case, book, limits)
    if order.role is Role.ENTRY:
        case.exposure = measure(book, order.symbol)
    return case


def as_intent(order: OperatorOrder, strategy: str = OPERATOR, quoted_at: int = 0) -> Intent:
    """Return an operator's order as an intent of its owner; a person names no quote, so there is none."""
    return Intent(
        intent_id=order.intent_id,
        strategy=strategy,
        symbol=order.symbol,
        side=order.side,
        role=order.role,
        quantity=order.quantity,
        reason=order.reason,
        confidence=1.0,
        bid=0.0,
        ask=0.0,
        quoted_at=quoted_at,
    )


def of_order(order: OrderProposed, book: RiskState, now: int) -> Case:
    """Bring an order of the router before the gate."""
    return Case(
        intent_id=order.intent_id,
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side,
        role=order.role,
        quantity=order.quantity,
        limit_price=order.limit_price,
        confidence=1.0,
        quoted_at=order.quoted_at,
        now=now,
        order_id=order.order_id,
        is_own_exit=order.is_own_exit,
        reservation=book.reservations.get(order.intent_id),
    )


def limit_of(case: Case, book: RiskState, limits: RiskLimits) -> Decimal | None:
    """Return the worst price this may trade at; None where nobody knows a price.

    An entry reaches through the touch, never out of the collar around the mark. An exit takes the whole
    collar: being out matters more than the last cent.
    """
    mid = mid_of(book, case.symbol)
    base = decimal_of(case.touch) if case.touch else mid
    if base is None:
        return None
    is_buy = case.side is Side.BUY
    reach = limits.reach_pct if case.role is Role.ENTRY else limits.collar_pct
    price = base * (1 + reach / 100) if is_buy else base * (1 - reach / 100)
    if case.role is Role.ENTRY and mid is not None:
        edge = mid * limits.collar_pct / 100
        price = min(price, mid + edge) if is_buy else max(price, mid - edge)
    return max(round_limit(case.symbol, price, case.side), tick_of(case.symbol, price))


def _owner(order: OperatorOrder, book: RiskState) -> str:
    parts = OrderId.parse(order.intent_id)
    named_strategy = OPERATOR if parts is None else parts.strategy
    if order.role is Role.ENTRY or not order.quantity.is_finite():
        return named_strategy
    holders = sorted(book.positions.get(order.symbol, {}), key=lambda s: (s != named_strategy, s))
    for strategy in holders:
        leaving = book.exiting(strategy, order.symbol, with_reserved=True)
        if abs(book.held(strategy, order.symbol)) - leaving >= order.quantity:
            return strategy
    return holders[0] if holders else named_strategy
