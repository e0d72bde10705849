"""Every way the exchange says no, with the broker's status, code, words and extra fields.

One place, so that a client under test meets exactly the refusals it will meet in life.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tradingd.instruments.money import plain

PARAMETER = 40010001
BUSINESS = 42210000
FORBIDDEN = 40310000
MISSING = 40410000


class OrderRefusal(Exception):  # noqa: N818 - an answer of the exchange, not an error of ours
    """The exchange will not do it."""

    def __init__(
        self,
        http_status: int,
        code: int,
        message: str,
        extra: Mapping[str, str | list[str]] | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.message = message
        self.extra: dict[str, str | list[str]] = dict(extra or {})


def parameter(message: str) -> OrderRefusal:
    """Refuse a request that is not well formed."""
    return OrderRefusal(422, PARAMETER, message)


def business(message: str) -> OrderRefusal:
    """Refuse a well-formed request that breaks a rule of trading."""
    return OrderRefusal(422, BUSINESS, message)


def forbidden(message: str, extra: Mapping[str, str | list[str]] | None = None) -> OrderRefusal:
    """Refuse what the account may not or cannot do."""
    return OrderRefusal(403, FORBIDDEN, message, extra)


def order_not_found(order_id: str) -> OrderRefusal:
    """Refuse to act on an order that does not exist."""
    return OrderRefusal(404, MISSING, f"order not found for {order_id}")


def position_not_found() -> OrderRefusal:
    """Refuse to act on a position that does not exist."""
    return OrderRefusal(404, MISSING, "position does not exist")


def buying_power(available: Decimal, cost: Decimal) -> OrderRefusal:
    """Refuse what the account cannot pay for."""
    extra = {"buying_power": plain(available), "cost_basis": plain(cost)}
    return forbidden("insufficient buying power", extra)


def quantity_held(
    symbol: str, requested: Decimal, existing: Decimal, held: Decimal, related: Sequence[str]
) -> OrderRefusal:
    """Refuse to sell shares that are not there or stand in other orders."""
    available = existing - held
    message = (
        f"insufficient qty available for order "
        f"(requested: {plain(requested)}, available: {plain(available)})"
    )
    extra: dict[str, str | list[str]] = {
        "available": plain(available),
        "existing_qty": plain(existing),
        "held_for_orders": plain(held),
        "related_orders": list(related),
        "symbol": symbol,
    }
    return forbidden(message, extra)


def coin_balance(asset: str, requested: Decimal, balance: Decimal, held: Decimal) -> OrderRefusal:
    """Refuse to sell coins that are not there or stand in other orders."""
    available = balance - held
    message = (
        f"insufficient balance for {asset} "
        f"(requested: {plain(requested)}, available: {plain(available)})"
    )
    extra = {"available": plain(available), "balance": plain(balance), "symbol": asset}
    return forbidden(message, extra)


def wash_trade(existing_order_id: str, reason: str) -> OrderRefusal:
    """Refuse an order that could trade with one of our own."""
    extra = {"existing_order_id": existing_order_id, "reject_reason": reason}
    return forbidden("potential wash trade detected. use complex orders", extra)
