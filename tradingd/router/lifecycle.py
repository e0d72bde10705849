"""The life of one order as a table: state -> message -> state; what is absent is our error.

The table is generous where the world is (a fill outruns its acknowledgement, a crash swallows an
`OrderSent`, a cancel loses its race) and strict where only we could be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from tradingd import messages as m
from tradingd.messages import Message


class ProtocolError(Exception):
    """A message came that cannot come in this state: our bug, and the router must stop."""


class OrderState(StrEnum):
    """Where an order is in its life."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    SENT = "sent"
    WORKING = "working"
    UNKNOWN = "unknown"
    CANCELING = "canceling"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"
    REFUSED = "refused"
    NOT_SENT = "not_sent"


_S = OrderState
_Row = Mapping[type[Message], OrderState]

_ENDS: _Row = {
    m.OrderCanceled: _S.CANCELED,
    m.OrderExpired: _S.EXPIRED,
    m.OrderRejected: _S.REJECTED,
    m.OrderReplaced: _S.REPLACED,
}
_AT_BROKER: _Row = {
    m.OrderAccepted: _S.WORKING,
    m.OrderFilled: _S.WORKING,  # FILLED by quantity, below the table
    m.OrderUnknown: _S.UNKNOWN,
    m.CancelOrder: _S.CANCELING,
    **_ENDS,
}


def _late(state: OrderState) -> _Row:
    # A late fill still moves the position; a late acknowledgement tells nothing new.
    kinds = (m.OrderFilled, m.OrderAccepted, m.OrderUnknown, m.CancelRejected)
    return dict.fromkeys(kinds, state)


TRANSITIONS: Mapping[OrderState, _Row] = {
    _S.PROPOSED: {
        m.OrderApproved: _S.APPROVED,
        m.OrderRefused: _S.REFUSED,
        m.CancelOrder: _S.CANCELING,
    },
    # The broker may know an order whose OrderSent a crash kept from the log.
    _S.APPROVED: {m.OrderSent: _S.SENT, m.OrderNotSent: _S.NOT_SENT, **_AT_BROKER},
    _S.SENT: {m.OrderNotSent: _S.NOT_SENT, m.CancelRejected: _S.SENT, **_AT_BROKER},
    _S.WORKING: {m.CancelRejected: _S.WORKING, **_AT_BROKER},
    _S.UNKNOWN: {
        m.OrderSent: _S.SENT,
        m.OrderNotSent: _S.NOT_SENT,
        m.CancelRejected: _S.UNKNOWN,
        **_AT_BROKER,
    },
    _S.CANCELING: {
        m.OrderApproved: _S.CANCELING,
        m.OrderRefused: _S.REFUSED,
        m.OrderSent: _S.CANCELING,
        m.OrderNotSent: _S.NOT_SENT,
        m.OrderAccepted: _S.CANCELING,
        m.OrderFilled: _S.CANCELING,
        m.OrderUnknown: _S.CANCELING,
        m.CancelOrder: _S.CANCELING,
        m.CancelRejected: _S.CANCELING,  # asked again by timer until the order's own facts tell
        **_ENDS,
    },
    _S.FILLED: _late(_S.FILLED),
    _S.CANCELED: _late(_S.CANCELED),
    _S.EXPIRED: _late(_S.EXPIRED),
    _S.REJECTED: _late(_S.REJECTED),
    _S.REPLACED: _late(_S.REPLACED),
    _S.REFUSED: {},
    _S.NOT_SENT: _late(_S.NOT_SENT),
}

TERMINAL = frozenset({
    _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED, _S.REPLACED, _S.REFUSED, _S.NOT_SENT,
})  # fmt: skip
"""Nothing more will be traded. Every other state counts as live, UNKNOWN most of all."""


def next_state(state: OrderState, message: Message) -> OrderState:
    """Return the state after `message`; raises ProtocolError where the table has no entry."""
    try:
        return TRANSITIONS[state][type(message)]
    except KeyError:
        raise ProtocolError(f"{type(message).__name__} cannot follow {state}") from None
