"""How we do it and who does it: an order from its proposal to its last fact."""

from __future__ import annotations

from decimal import Decimal

from tradingd.messages.values import Message, OrderType, Role, Side, TimeInForce


class OrderProposed(Message, frozen=True, gc=False, tag="OrderProposed"):
    """The router wants this order on the wire."""

    order_id: str
    intent_id: str
    """The parent; a flatten or protective order names itself as its own parent."""
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    time_in_force: TimeInForce
    quoted_at: int
    reason: str = ""
    slice_number: int = 0
    """Which slice of its parent's plan this is, from 1; 0 where there is no plan."""
    is_own_exit: bool = False
    """Protection or a flatten of the router's own: no approved intent stands behind it."""


class OrderApproved(Message, frozen=True, gc=False, tag="OrderApproved"):
    """The only command that may reach the wire. Constructed in `risk/gate.py` and nowhere else."""

    order: OrderProposed

    @property
    def order_id(self) -> str:
        """Return the id that every fact about the order carries."""
        return self.order.order_id


class OrderRefused(Message, frozen=True, gc=False, tag="OrderRefused"):
    """The gate kept an order off the wire."""

    order: OrderProposed
    rule: str
    value: str
    limit: str
    reason: str

    @property
    def order_id(self) -> str:
        """Return the id of the order that was proposed."""
        return self.order.order_id


class CancelOrder(Message, frozen=True, gc=False, tag="CancelOrder"):
    """The router wants a working order gone."""

    order_id: str
    reason: str


class BrokerConnected(Message, frozen=True, gc=False, tag="BrokerConnected"):
    """`trade_updates` is listening, and the gap before it has been read back by REST."""


class BrokerLost(Message, frozen=True, gc=False, tag="BrokerLost"):
    """The order stream is gone, mute or refused; no entries until `BrokerConnected`."""

    reason: str
    is_fatal: bool = False
    """True when waiting will not help: refused keys, blocked account."""


class OrderSent(Message, frozen=True, gc=False, tag="OrderSent"):
    """The bytes of this order are about to leave; from here on it may exist at the broker."""

    order_id: str


class OrderNotSent(Message, frozen=True, gc=False, tag="OrderNotSent"):
    """The edge's last check kept the order back; it never existed at the broker."""

    order_id: str
    reason: str


class OrderAccepted(Message, frozen=True, gc=False, tag="OrderAccepted"):
    """The broker knows the order."""

    order_id: str
    broker_order_id: str


class OrderFilled(Message, frozen=True, gc=False, tag="OrderFilled"):
    """One execution. Keyed by (broker order id, cumulative); the edge says each exactly once."""

    order_id: str
    broker_order_id: str
    execution_id: str
    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    order_quantity: Decimal
    filled_at: int


class OrderCanceled(Message, frozen=True, gc=False, tag="OrderCanceled"):
    """Terminal: the rest of the order is gone."""

    order_id: str
    cumulative: Decimal
    reason: str = ""


class OrderExpired(Message, frozen=True, gc=False, tag="OrderExpired"):
    """Terminal: the time in force ended."""

    order_id: str
    cumulative: Decimal


class OrderRejected(Message, frozen=True, gc=False, tag="OrderRejected"):
    """Terminal: the broker proved that it refused the order."""

    order_id: str
    code: str
    reason: str
    cumulative: Decimal = Decimal(0)


class OrderReplaced(Message, frozen=True, gc=False, tag="OrderReplaced"):
    """Terminal for the old order: the broker works the new one in its place."""

    order_id: str
    replaced_by: str
    cumulative: Decimal


class OrderUnknown(Message, frozen=True, gc=False, tag="OrderUnknown"):
    """We cannot tell whether the order exists; it counts until the broker proves otherwise."""

    order_id: str
    reason: str


class CancelRejected(Message, frozen=True, gc=False, tag="CancelRejected"):
    """The broker would not cancel; the order's own facts tell what became of it."""

    order_id: str
    reason: str


class TradeBusted(Message, frozen=True, gc=False, tag="TradeBusted"):
    """An execution was taken back."""

    order_id: str
    execution_id: str
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal


class UnrecognizedValue(Message, frozen=True, gc=False, tag="UnrecognizedValue"):
    """The broker used a word we do not know; recorded, counted, and the order is asked for."""

    where: str
    value: str
    order_id: str = ""


class FeeCharged(Message, frozen=True, gc=False, tag="FeeCharged"):
    """A cost of trading. `asset` is USD or a coin; coins are taken out of the position."""

    fee_id: str
    order_id: str
    strategy: str
    symbol: str
    asset: str
    amount: Decimal
    charged_at: int
