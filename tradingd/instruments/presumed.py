"""Orders that ended for us on nothing but the broker's not knowing them: they may still turn up.

One that does is accepted after its end. From then on it counts again wherever it counted before, until the
broker has proved how it really ended.
"""

from __future__ import annotations

from typing import TypeVar

from tradingd.messages import Message, OrderNotSent, OrderRejected

T = TypeVar("T")

NOT_FOUND = "not_found"
"""The code of `OrderRejected` for an order the broker never came to know."""

RESTART = "restart"
"""The reason of `OrderNotSent` for an order approved before a restart that the broker does not know then."""

PRESUMED_MAX = 256
"""Such orders that a book remembers; the oldest is forgotten."""


def may_be_acknowledged_late(end: Message) -> bool:
    """Tell whether an order ended for us on nothing but the broker's not knowing it."""
    if isinstance(end, OrderNotSent):
        return end.reason == RESTART
    return isinstance(end, OrderRejected) and end.code == NOT_FOUND


def remember(presumed: dict[str, T], order_id: str, order: T) -> None:
    """Keep what is known of such an order, within the bound."""
    presumed[order_id] = order
    if len(presumed) > PRESUMED_MAX:
        del presumed[next(iter(presumed))]
