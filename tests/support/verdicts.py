"""Builders of the gate's verdicts, from the few fields that a test is about."""

from __future__ import annotations

from decimal import Decimal

from tradingd.messages import (
    Intent,
    IntentApproved,
    IntentRefused,
    OrderApproved,
    OrderProposed,
    OrderRefused,
    OrderType,
    Role,
    Side,
    TimeInForce,
)


def intent_approved(
    intent_id: str,
    strategy: str,
    symbol: str,
    side: Side,
    role: Role,
    quantity: Decimal,
    limit_price: Decimal,
    confidence: float,
    quoted_at: int,
    stop_price: Decimal | None = None,
    target_price: Decimal | None = None,
    algorithm: str | None = None,
) -> IntentApproved:
    intent = Intent(
        intent_id, strategy, symbol, side, role, quantity, "test", confidence, 0.0, 0.0, quoted_at,
        stop_price, target_price, algorithm,
    )  # fmt: skip
    return IntentApproved(intent, quantity, limit_price)


def intent_refused(
    intent_id: str, strategy: str, symbol: str, role: Role, rule: str, value: str, limit: str, reason: str
) -> IntentRefused:  # fmt: skip
    side = Side.BUY if role is Role.ENTRY else Side.SELL
    intent = Intent(intent_id, strategy, symbol, side, role, None, "test", 1.0, 0.0, 0.0, 0)
    return IntentRefused(intent, rule, value, limit, reason)


def order_approved(
    order_id: str,
    intent_id: str,
    strategy: str,
    symbol: str,
    side: Side,
    role: Role,
    quantity: Decimal,
    order_type: OrderType,
    limit_price: Decimal | None,
    time_in_force: TimeInForce,
    quoted_at: int,
) -> OrderApproved:
    return OrderApproved(
        OrderProposed(
            order_id, intent_id, strategy, symbol, side, role, quantity, order_type, limit_price,
            time_in_force, quoted_at,
        )
    )  # fmt: skip


def order_refused(
    order_id: str, intent_id: str, strategy: str, symbol: str, role: Role, rule: str, value: str,
    limit: str, reason: str,
) -> OrderRefused:  # fmt: skip
    side = Side.BUY if role is Role.ENTRY else Side.SELL
    order = OrderProposed(
        order_id, intent_id, strategy, symbol, side, role, Decimal(1), OrderType.MARKET, None,
        TimeInForce.DAY, 0,
    )  # fmt: skip
    return OrderRefused(order, rule, value, limit, reason)
