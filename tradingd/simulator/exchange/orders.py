"""Orders as the exchange keeps them: what is asked, what stands, and what is told about it.

Every value is frozen, so an event can carry the order as it was without a copy; the words are the
broker's own, so that the wire shell maps names and nothing else.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec

from tradingd.instruments.units import ZERO
from tradingd.simulator.exchange.refusals import OrderRefusal


class Status(StrEnum):
    """Where an order stands, in the broker's words."""

    ACCEPTED = "accepted"
    PENDING_NEW = "pending_new"
    NEW = "new"
    HELD = "held"
    """A leg whose time has not come."""
    PARTIALLY_FILLED = "partially_filled"
    DONE_FOR_DAY = "done_for_day"
    """It rests until the next open."""
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REPLACED = "replaced"
    REJECTED = "rejected"


_ENDS = frozenset(
    {
        Status.CANCELED,
        Status.EXPIRED,
        Status.REPLACED,
        Status.REJECTED,
    }
)
_FILLS = frozenset({Status.PARTIALLY_FILLED, Status.FILLED})
_REQUESTS = frozenset({Status.PENDING_CANCEL, Status.PENDING_REPLACE})

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.ACCEPTED: frozenset({Status.NEW, Status.PENDING_NEW, Status.PENDING_CANCEL})
    | (_ENDS - {Status.REPLACED}),
    Status.PENDING_NEW: frozenset({Status.NEW, Status.ACCEPTED, Status.PENDING_CANCEL})
    | (_ENDS - {Status.REPLACED}),
    Status.HELD: frozenset({Status.NEW, Status.PENDING_CANCEL})
    | (_ENDS - {Status.REPLACED, Status.REJECTED}),
    Status.NEW: _FILLS | _REQUESTS | _ENDS | {Status.DONE_FOR_DAY},
    Status.PARTIALLY_FILLED: _FILLS | _REQUESTS | _ENDS | {Status.DONE_FOR_DAY},
    Status.DONE_FOR_DAY: frozenset({Status.NEW, Status.PARTIALLY_FILLED}) | _REQUESTS | _ENDS,
    Status.PENDING_CANCEL: frozenset({Status.PENDING_CANCEL, Status.FILLED})
    | (_ENDS - {Status.REPLACED}),
    Status.PENDING_REPLACE: frozenset({
        Status.PENDING_REPLACE, Status.NEW, Status.PARTIALLY_FILLED, Status.PENDING_CANCEL,
        Status.FILLED,
    })
    | _ENDS,
    Status.FILLED: frozenset(),
    Status.CANCELED: frozenset(),
    Status.EXPIRED: frozenset(),
    Status.REPLACED: frozenset(),
    Status.REJECTED: frozenset(),
}  # fmt: skip
"""Status -> what may follow it; a missing pair is our own error."""

TERMINAL: frozenset[Status] = frozenset(s for s, after in TRANSITIONS.items() if not after)


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for, unchecked: words may be wrong and numbers missing."""

    symbol: str
    side: str
    order_type: str
    time_in_force: str
    quantity: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    client_order_id: str | None = None
    """None lets the exchange make one."""
    extended_hours: bool = False
    order_class: str = ""
    take_profit_limit: Decimal | None = None
    stop_loss_stop: Decimal | None = None
    stop_loss_limit: Decimal | None = None
    position_intent: str | None = None


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """What a replace changes; None keeps what the old order has."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    time_in_force: str | None = None
    client_order_id: str | None = None


class ExchangeOrder(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An order as it stands: the broker's order object, `Decimal` and ns UTC in place of strings."""

    id: str
    client_order_id: str
    created_at: int
    updated_at: int
    submitted_at: int
    asset_id: str
    symbol: str
    asset_class: str
    qty: Decimal | None
    notional: Decimal | None
    order_type: str
    side: str
    position_intent: str
    time_in_force: str
    limit_price: Decimal | None
    extended_hours: bool
    status: Status
    order_class: str = ""
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None
    """The best price a trailing stop has seen: the highest of a sale, the lowest of a buy."""
    filled_qty: Decimal = ZERO
    filled_avg_price: Decimal | None = None
    filled_at: int | None = None
    expired_at: int | None = None
    expires_at: int | None = None
    canceled_at: int | None = None
    cancel_requested_at: int | None = None
    failed_at: int | None = None
    replaced_at: int | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    legs: tuple[str, ...] = ()
    """Ids of the orders that hang on this one."""

    @property
    def is_open(self) -> bool:
        """Tell whether anything may still happen to the order."""
        return self.status not in TERMINAL


class TradeUpdate(msgspec.Struct, frozen=True, gc=False):
    """One event of `trade_updates`: what happened, and the order after it."""

    event: str
    order: ExchangeOrder
    at: int
    execution_id: str
    price: Decimal | None = None
    """Of this execution, not the average."""
    qty: Decimal | None = None
    """Of this execution."""
    position_qty: Decimal | None = None
    """The signed position after it, fees taken off."""
    fee: Decimal = ZERO
    """What this execution cost: coins on a crypto buy, US dollars on a crypto sale. Not on the wire."""
    is_maker: bool = False


class CancelResult(msgspec.Struct, frozen=True):
    """One row of cancel-all: 200, or why not."""

    order_id: str
    status: int
    refused: OrderRefusal | None = None


class CloseResult(msgspec.Struct, frozen=True):
    """One row of close-all: the order made for the position, or why none could be made."""

    symbol: str
    status: int
    order: ExchangeOrder | None = None
    refused: OrderRefusal | None = None
