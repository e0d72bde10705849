"""What we have: the broker's books, ours, and what lies between them."""

from __future__ import annotations

from decimal import Decimal

from tradingd.messages.values import Message, Role, Side


class CashMoved(Message, frozen=True, gc=False, tag="CashMoved"):
    """Money that is not trading: deposit, withdrawal, dividend, interest. Signed, US dollars."""

    activity_id: str
    kind: str
    amount: Decimal
    moved_at: int


class CorporateAction(Message, frozen=True, gc=False, tag="CorporateAction"):
    """A split: quantity times `ratio`, price over it."""

    action_id: str
    symbol: str
    kind: str
    ratio: Decimal


class BrokerPosition(Message, frozen=True, gc=False, tag="BrokerPosition"):
    """A position as the broker has it; signed quantity."""

    symbol: str
    quantity: Decimal
    average_price: Decimal


class BrokerOrder(Message, frozen=True, gc=False, tag="BrokerOrder"):
    """An open order as the broker has it; `order_id` is the client order id."""

    order_id: str
    broker_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    cumulative: Decimal
    status: str


class BrokerSnapshot(Message, frozen=True, gc=False, tag="BrokerSnapshot"):
    """Account, positions and open orders, read while no order event fell inside."""

    why: str
    """start, reconnect, period, or the text of the `SnapshotAsked` it answers."""
    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    positions: tuple[BrokerPosition, ...]
    orders: tuple[BrokerOrder, ...]
    taken_at: int


class BookAdopted(Message, frozen=True, gc=False, tag="BookAdopted"):
    """The reconciler opens the book with what the broker has (first start, or accepted by a person)."""

    cash: Decimal
    positions: tuple[BrokerPosition, ...]
    reason: str


class BreakExplained(Message, frozen=True, gc=False, tag="BreakExplained"):
    """Ours and the broker's differ, and we know why; `amount` is what the book takes over (USD or coins)."""

    kind: str
    symbol: str
    local: str
    reported: str
    explanation: str
    amount: Decimal = Decimal(0)


class BreakOpened(Message, frozen=True, gc=False, tag="BreakOpened"):
    """Ours and the broker's differ and nothing says why: entries stop until a person accepts."""

    kind: str
    symbol: str
    local: str
    reported: str


class BooksAgreed(Message, frozen=True, gc=False, tag="BooksAgreed"):
    """A snapshot was compared and nothing is left unexplained."""

    why: str
    is_flat: bool
    open_orders: int


class IntentClosed(Message, frozen=True, gc=False, tag="IntentClosed"):
    """The router is done with a parent."""

    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    filled: Decimal
    average_price: Decimal
    reason: str


class ProtectionStarted(Message, frozen=True, gc=False, tag="ProtectionStarted"):
    """From this price on the router measures the loss of an adopted position; what it cost its owner is past."""

    strategy: str
    symbol: str
    price: Decimal
    quoted_at: int


class PositionChanged(Message, frozen=True, gc=False, tag="PositionChanged"):
    """The ledger's position of one strategy in one symbol after a fill, fee or adoption."""

    strategy: str
    symbol: str
    quantity: Decimal
    average_price: Decimal
    realized_usd: Decimal
    fees_usd: Decimal
    reason: str
    """fill, fee, bust, adopted, split, explained."""
    realized_change_usd: Decimal = Decimal(0)
    """What this very fill, fee or bust realized."""
    fees_change_usd: Decimal = Decimal(0)
    """What this very fee cost, coins at the price of their fill."""


class DayStarted(Message, frozen=True, gc=False, tag="DayStarted"):
    """A trading day began (midnight New York) with this equity: the base of the daily loss."""

    date: str
    equity_usd: Decimal
    capital_usd: Decimal = Decimal(0)
    """What was paid in, net, by then: what moves it later is not the day's profit."""


class EquityMarked(Message, frozen=True, gc=False, tag="EquityMarked"):
    """The account at the latest marks: at most once per market second, and on each fill."""

    equity_usd: Decimal
    cash_usd: Decimal
    exposure_usd: Decimal
    day_pnl_usd: Decimal
    realized_usd: Decimal
    unrealized_usd: Decimal
    fees_usd: Decimal
    is_stale: bool
    """True when a held symbol's mark is older than the configured age."""
    unconfirmed_usd: Decimal = Decimal(0)
    """What the equity would be higher by the mark before the latest one of each held symbol, where it would:
    the part of a loss that hangs on marks seen once. All of a position that has no mark is in doubt."""
