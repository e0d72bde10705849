"""What is brought before the gate: one intent or one order in the words the rules share.

Rules see this and the book, never a message, so one rule serves strategies, operators and the router.
A case is made for every question, and a Struct is made in a fifth of the time of a dataclass.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tradingd.messages import Role, Side

if TYPE_CHECKING:
    from tradingd.risk.exposure import Exposure
    from tradingd.risk.state import Reservation


class Refusal(NamedTuple):
    """Why not: the value a rule saw, the limit it holds, and a sentence an operator can act on."""

    value: str
    limit: str
    reason: str


Seen = Refusal | tuple[object, object]
"""What a rule says: why not, or else the value it saw and the limit it holds, not yet as text.

The gate is on the way of every order: a rule that lets pass makes no text, and whoever asks afterwards
(`rules.answers`) shows the same numbers that the gate compared.
"""


class Case(msgspec.Struct, kw_only=True, gc=False):
    """One intent (an id of its own) or one order (with `order_id`) to be judged."""

    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    limit_price: Decimal | None
    """The worst price it may trade at; None is a market order."""
    confidence: float
    quoted_at: int
    now: int
    stop_price: Decimal | None = None
    touch: float = 0.0
    """The price it would trade at as its author saw it; 0 where the author names none."""
    order_id: str = ""
    is_operator: bool = False
    is_own_exit: bool = False
    """The router's own way out, which draws on no reservation."""
    reservation: Reservation | None = None
    """The parent's reservation, where the case is an order of an approved intent."""
    exposure: Exposure | None = None
    """The account before this case; measured for entry intents only."""
