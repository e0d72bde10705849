"""Orders and their parents: how far each approved intent, exit and flatten has come.

The router counts its parents on its own, apart from the algorithms and from the gate: a slicer that
miscounts is stopped here by an assertion before the gate refuses it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from tradingd.messages import Role, Side
from tradingd.router.lifecycle import OrderState

ZERO = Decimal(0)


class Order(msgspec.Struct):
    """A live order; terminal ones are forgotten."""

    order_id: str
    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
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
    algorithm: str | None = None
    reason: str = ""
    filled: Decimal = ZERO
    value: Decimal = ZERO
    children: int = 0
    closing: str = ""
    """Why no further child may follow; empty while it may."""
    last_end: str = ""
    """How the latest child ended."""

    @property
    def average_price(self) -> Decimal:
        """The mean price of the fills, 0 before the first."""
        return self.value / self.filled if self.filled else ZERO

    @property
    def is_operators(self) -> bool:
        """A person's own order rests as long as the person wants."""
        return self.intent_id.split("-")[1:2] == ["o"]

    def end_reason(self) -> str:
        """Say in one word or two how the parent ended."""
        if self.filled >= self.quantity:
            return "filled"
        return self.closing or self.last_end or "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """What an algorithm may know of its parent: facts only, so that it survives a restart."""

    side: Side
    quantity: Decimal
    limit_price: Decimal | None
    filled: Decimal
    live: Decimal
    """What live children may still fill."""
    children: int

    @property
    def left(self) -> Decimal:
        """What no fill and no live child covers."""
        return self.quantity - self.filled - self.live


def progress_of(parent: Parent, live: Decimal) -> Progress:
    """Return what the algorithm of `parent` may see; the sum of children never exceeds the parent."""
    assert live >= 0, f"{parent.intent_id}: live children below zero"
    return Progress(
        parent.side, parent.quantity, parent.limit_price, parent.filled, live, parent.children
    )
