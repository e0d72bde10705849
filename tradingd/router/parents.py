"""Orders and their parents: how far each approved intent, exit and flatten has come.

The router counts its parents on its own, apart from the algorithms and from the gate: a slicer that
miscounts is stopped here by an assertion before the gate refuses it.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tradingd.instruments.units import ZERO
from tradingd.messages import Role, Side
from tradingd.router.lifecycle import OrderState


class ChildOrder(msgspec.Struct):
    """A live order; terminal ones are forgotten."""

    order_id: str
    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    limit_price: Decimal | None = None
    state: OrderState = OrderState.PROPOSED
    filled: Decimal = ZERO

    @property
    def remaining(self) -> Decimal:
        """What may still be filled."""
        return self.quantity - self.filled


class Parent(msgspec.Struct):
    """An approved intent, or one of the router's own exits, until `IntentClosed`."""

    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    limit_price: Decimal | None
    quoted_at: int
    is_approved: bool
    """False for the router's own exits, which have no intent."""
    is_operators: bool = False
    """A person's own order rests as long as the person wants."""
    algorithm: str | None = None
    reason: str = ""
    filled: Decimal = ZERO
    value: Decimal = ZERO
    children: int = 0
    closing: str = ""
    """Why no further child may follow; empty while it may."""
    last_end: str = ""
    """How the latest child ended."""
    started_at: int = 0
    """When it was approved: the beginning of its plan."""
    ended_at: int = 0
    """When the latest child ended."""
    slice_number: int = 0
    """The slice of the plan the latest child was."""
    failures: int = 0
    """Children in a row that were refused, rejected or not sent."""
    unreported: Decimal = ZERO
    """What ended children were filled with, as their end said, and whose executions are still to come."""

    @property
    def average_price(self) -> Decimal:
        """The mean price of the fills, 0 before the first."""
        return self.value / self.filled if self.filled else ZERO

    def end_reason(self) -> str:
        """Say in one word or two how the parent ended."""
        if self.filled >= self.quantity:
            return "filled"
        return self.closing or self.last_end or "done"


class Progress(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an algorithm may know of its parent: facts only, so that it survives a restart."""

    intent_id: str
    symbol: str
    side: Side
    quantity: Decimal
    limit_price: Decimal | None
    filled: Decimal
    live: Decimal
    """What live children may still fill."""
    children: int
    unreported: Decimal = ZERO
    """What ended children were filled with and is still to be told."""
    started_at: int = 0
    ended_at: int = 0
    slice_number: int = 0
    failures: int = 0
    room: Decimal | None = None
    """An exit: what the position has left for it. None: no such bound."""

    @property
    def covered(self) -> Decimal:
        """What is filled, or may be without another child."""
        return self.filled + self.live + self.unreported

    @property
    def left(self) -> Decimal:
        """What another child may still take."""
        open_ = self.quantity - self.covered
        return open_ if self.room is None else min(open_, self.room)


def progress_of(parent: Parent, live: Decimal, room: Decimal | None = None) -> Progress:
    """Return what the algorithm of `parent` may see; `live` is what its live children may still fill."""
    assert live >= 0, f"{parent.intent_id}: live children below zero"
    return Progress(
        intent_id=parent.intent_id,
        symbol=parent.symbol,
        side=parent.side,
        quantity=parent.quantity,
        limit_price=parent.limit_price,
        filled=parent.filled,
        live=live,
        children=parent.children,
        unreported=parent.unreported,
        started_at=parent.started_at,
        ended_at=parent.ended_at,
        slice_number=parent.slice_number,
        failures=parent.failures,
        room=room,
    )
