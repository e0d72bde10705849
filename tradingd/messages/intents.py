"""What we would like and whether we may: strategies and operators wish, the gate answers."""

from __future__ import annotations

from decimal import Decimal

from tradingd.messages.values import Message, Role, Side


class Intent(Message, frozen=True, gc=False, tag="Intent"):
    """A strategy wants a trade. `quantity` None lets risk size it."""

    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal | None
    reason: str
    confidence: float
    bid: float
    ask: float
    quoted_at: int
    """The quote the decision was made on (for a bar strategy: its close, at the bar's end)."""
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    algorithm: str | None = None
    """A row of `router/algos`; None lets the router choose by order value."""


class OperatorOrder(Message, frozen=True, gc=False, tag="OperatorOrder"):
    """A person wants a trade; judged by the same gate."""

    intent_id: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    limit_price: Decimal | None
    who: str
    reason: str


class StrategyStarted(Message, frozen=True, gc=False, tag="StrategyStarted"):
    """A strategy is warm, or was started again by an operator."""

    strategy: str
    reason: str


class StrategyStopped(Message, frozen=True, gc=False, tag="StrategyStopped"):
    """A strategy says no more intents; its protection stays. `error` is the traceback if it raised."""

    strategy: str
    reason: str
    error: str = ""


class IntentApproved(Message, frozen=True, gc=False, tag="IntentApproved"):
    """The gate reserved this much for the parent. The router may propose orders against it."""

    intent: Intent
    """What was asked; of an operator's order the intent the gate made of it, with the owner it found."""
    quantity: Decimal
    limit_price: Decimal
    """The worst price an order of this parent may carry (the collar's edge)."""

    @property
    def intent_id(self) -> str:
        """Return the id that every fact about the parent carries."""
        return self.intent.intent_id


class IntentRefused(Message, frozen=True, gc=False, tag="IntentRefused"):
    """The gate said no: which rule, the value it saw, the limit it holds, and a sentence."""

    intent: Intent
    rule: str
    value: str
    limit: str
    reason: str

    @property
    def intent_id(self) -> str:
        """Return the id that every fact about the parent carries."""
        return self.intent.intent_id
