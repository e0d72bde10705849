"""From what the broker shows of an order to what has not been said of it yet. Pure.

A fill is keyed by the cumulative quantity, so the same news may come twice, late, in any order, by stream
or by REST: each share is said once. What would go backwards is no news.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from tradingd.broker.alpaca_wire import (
    EVENT_STATUS,
    NUMBER_MAX,
    OPEN_STATUSES,
    ORDER_TYPES,
    SIDES,
    TERMINAL_STATUSES,
    BrokerOrderView,
    Execution,
)
from tradingd.broker.order_store import Record
from tradingd.instruments.money import crypto_fee, signed
from tradingd.instruments.symbols import base_asset, market_of
from tradingd.instruments.units import ZERO
from tradingd.messages import (
    AlertRaised,
    FeeCharged,
    Market,
    Message,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    OrderReplaced,
    Severity,
    Side,
    UnrecognizedValue,
)

_PRICE_STEP = Decimal("0.000000001")


def status_of(view: BrokerOrderView, event: str = "") -> str:
    """Return a status we know: the order's own, else the one its event implies, else nothing."""
    if view.status in TERMINAL_STATUSES or view.status in OPEN_STATUSES:
        return view.status
    return EVENT_STATUS.get(event, "")


def facts_of(
    record: Record,
    view: BrokerOrderView,
    now: int,
    *,
    execution: Execution | None = None,
    event: str = "",
    reason: str = "",
) -> list[Message]:
    """Return what `view` proves about our order and has not been said, in the order to say it."""
    status = status_of(view, event)
    is_over = record.is_terminal and not record.is_presumed
    facts: list[Message] = []
    if not status:
        facts.append(UnrecognizedValue("order.status", view.status[:40], view.order_id))
    if not record.is_accepted and not is_over and status != "rejected":
        facts.append(OrderAccepted(view.order_id, view.broker_order_id))
    if not view.is_whole:
        facts.append(UnrecognizedValue("order.filled_qty", "", view.order_id))
        return facts
    if view.cumulative > record.cumulative:
        facts += _fill(record, view, now, execution)
    is_filled = max(record.cumulative, view.cumulative) >= record.order.order.quantity
    if not is_over and not is_filled and not (record.is_presumed and status == "rejected"):
        facts += _end(view, status, reason)
    return facts


def _fill(
    record: Record, view: BrokerOrderView, now: int, execution: Execution | None
) -> list[Message]:
    order = record.order
    quantity = view.cumulative - record.cumulative
    is_exact = execution is not None and execution.quantity == quantity
    price = execution.price if execution and is_exact else missed_price(record, view, execution)
    fill = OrderFilled(
        order_id=order.order_id,
        broker_order_id=view.broker_order_id,
        execution_id=(execution.execution_id if execution else "")
        or f"{view.broker_order_id}:{view.cumulative}",
        intent_id=order.order.intent_id,
        strategy=order.order.strategy,
        symbol=order.order.symbol,
        side=order.order.side,
        role=order.order.role,
        quantity=quantity,
        price=price,
        cumulative=view.cumulative,
        order_quantity=order.order.quantity,
        filled_at=execution.at if execution else now,
    )
    facts: list[Message] = [fill]
    if view.cumulative > order.order.quantity:
        text = f"{order.order_id}: filled {view.cumulative} of {order.order.quantity}"
        facts.append(AlertRaised("broker", Severity.CRITICAL, "overfill", text))
    if record.is_terminal or record.is_late:
        text = f"{order.order_id}: {quantity} filled after the order had ended for us"
        facts.append(AlertRaised("broker", Severity.CRITICAL, "late_fill", text))
    return facts


def missed_price(
    record: Record, view: BrokerOrderView, execution: Execution | None = None
) -> Decimal:
    """Return the price of what was missed, from the average of all and what was said of the rest."""
    quantity = view.cumulative - record.cumulative
    missed = (view.average * view.cumulative - record.spent) / quantity
    if 0 < missed < NUMBER_MAX:
        return missed.quantize(_PRICE_STEP, ROUND_HALF_EVEN)
    known = execution.price if execution else record.order.order.limit_price
    return view.average or known or _PRICE_STEP


def _end(view: BrokerOrderView, status: str, reason: str) -> list[Message]:
    match status:
        case "canceled":
            return [OrderCanceled(view.order_id, view.cumulative, reason)]
        case "expired":
            return [OrderExpired(view.order_id, view.cumulative)]
        case "replaced":
            return [OrderReplaced(view.order_id, view.replaced_by, view.cumulative)]
        case "rejected":
            text = reason or "rejected after it was taken"
            return [OrderRejected(view.order_id, "rejected", text, view.cumulative)]
        case "filled":  # the broker calls it done short of our quantity: the rest is gone
            return [OrderCanceled(view.order_id, view.cumulative, "filled short")]
        case _:
            return []


def fee_of(
    fill: OrderFilled, held: Decimal | None, position: Decimal | None, rate: Decimal
) -> FeeCharged | None:
    """Return the crypto fee of a fill: coins as the position shows them, else by the dearest rate.

    `held` is the net position before the fill, `position` the broker's net position after it.
    """
    if market_of(fill.symbol) is not Market.CRYPTO:
        return None
    amount = crypto_fee(fill.side, fill.quantity, fill.price, rate)
    if fill.side is Side.BUY and held is not None and position is not None:
        exact = held + signed(fill.side, fill.quantity) - position
        if ZERO <= exact <= 2 * amount:  # beyond that, someone else traded in between
            amount = exact
    if not amount:
        return None
    return FeeCharged(
        fee_id=f"{fill.broker_order_id}:{fill.cumulative}",
        order_id=fill.order_id,
        strategy=fill.strategy,
        symbol=fill.symbol,
        asset=base_asset(fill.symbol) if fill.side is Side.BUY else "USD",
        amount=amount,
        charged_at=fill.filled_at,
    )


def disagreement(record: Record, view: BrokerOrderView, clock_skew_ns: int) -> str:
    """Return why an order with our id cannot be ours, or nothing; what cannot be read is no reason."""
    order = record.order
    if not record.is_sent and not record.is_presumed:
        return "ours has not left"
    if view.symbol and view.symbol.replace("/", "") != order.order.symbol.replace("/", ""):
        return f"symbol {view.symbol}, not {order.order.symbol}"
    if view.side in SIDES and not view.side.startswith(order.order.side.value):
        return f"side {view.side}, not {order.order.side.value}"
    if view.quantity and view.quantity != order.order.quantity:
        return f"quantity {view.quantity}, not {order.order.quantity}"
    if view.order_type in ORDER_TYPES and view.order_type != order.order.order_type.value:
        return f"type {view.order_type}, not {order.order.order_type.value}"
    limit = view.limit_price
    if (
        limit is not None
        and limit != order.order.limit_price
        and order.order.order_type.value == "limit"
    ):
        return f"limit {limit}, not {order.order.limit_price}"
    if view.created_at and view.created_at < record.approved_at - clock_skew_ns:
        return "created before it was approved"
    return ""
