"""Every message of the system, in the order of an order's life. Read this package first.

    words     the enumerated words, and the base of every message
    market    what the market says          quotes, trades, bars, sessions, staleness
    intents   what we would like            Intent -> IntentApproved | IntentRefused
    orders    how we do it, who does it     OrderProposed -> OrderApproved -> OrderSent -> OrderFilled ...
    books     what we have                  the broker's books and ours
    system     over all                      runs, timers, failures, levels, alerts

A message is a frozen value. Commands are imperative, facts are past tense, and each type is said by
exactly one actor (`wiring.py` says which). Fields are scalars, `Decimal`, enums, bytes, tuples or
messages, so that no two actors can share a mutable object. Money and the quantities of orders are
`Decimal`; what the market says is `float`; every time is integer nanoseconds UTC and ends in `_at`.

A package rather than one file: seventy messages with their meaning are longer than one screen's idea.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from tradingd.messages.accounts import (
    BookAdopted,
    BooksAgreed,
    BreakExplained,
    BreakOpened,
    BrokerOrder,
    BrokerPosition,
    BrokerSnapshot,
    CashMoved,
    CorporateAction,
    DayStarted,
    EquityMarked,
    IntentClosed,
    PositionChanged,
    ProtectionStarted,
)
from tradingd.messages.intents import (
    Intent,
    IntentApproved,
    IntentRefused,
    OperatorOrder,
    StrategyStarted,
    StrategyStopped,
)
from tradingd.messages.market import (
    Bar,
    BarReceived,
    CalendarRead,
    FeedConnected,
    FeedLost,
    FeedRecovered,
    FeedStale,
    HistoryRead,
    Mark,
    Quote,
    SessionChanged,
    SymbolHalted,
    Trade,
    TradingDay,
)
from tradingd.messages.orders import (
    BrokerConnected,
    BrokerLost,
    CancelOrder,
    CancelRejected,
    FeeCharged,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderNotSent,
    OrderProposed,
    OrderRefused,
    OrderRejected,
    OrderReplaced,
    OrderSent,
    OrderUnknown,
    TradeBusted,
    UnrecognizedValue,
)
from tradingd.messages.system import (
    ActorFailed,
    ActorRecovered,
    ActorStalled,
    AlertRaised,
    CancelTimer,
    ClockSkewed,
    ClockStepped,
    EmergencyClose,
    LevelChanged,
    LoopLagged,
    OperatorAsked,
    RunStarted,
    RunStopped,
    SetTimer,
    SnapshotAsked,
    StrategyOverran,
    StrategySuspended,
    TimerFired,
)
from tradingd.messages.values import (
    Ask,
    Level,
    Market,
    Message,
    OrderType,
    Role,
    Session,
    Severity,
    Side,
    TimeInForce,
)

AnyMessage = (
    RunStarted | RunStopped | SetTimer | CancelTimer | TimerFired | ActorFailed | ActorStalled
    | ActorRecovered | LoopLagged | ClockStepped | ClockSkewed | OperatorAsked | SnapshotAsked
    | EmergencyClose | LevelChanged | AlertRaised | Quote | Trade | BarReceived | TradingDay
    | CalendarRead | FeedConnected | FeedLost | HistoryRead | Bar | Mark | SessionChanged
    | SymbolHalted | FeedStale | FeedRecovered | Intent | OperatorOrder | StrategyStarted
    | StrategyStopped | IntentApproved | IntentRefused | OrderProposed | OrderApproved
    | OrderRefused | CancelOrder | BrokerConnected | BrokerLost | OrderSent | OrderNotSent
    | OrderAccepted | OrderFilled | OrderCanceled | OrderExpired | OrderRejected | OrderReplaced
    | OrderUnknown | CancelRejected | TradeBusted | UnrecognizedValue | FeeCharged | CashMoved
    | CorporateAction | BrokerPosition | BrokerOrder | BrokerSnapshot | BookAdopted
    | BreakExplained | BreakOpened | BooksAgreed | IntentClosed | PositionChanged
    | DayStarted | EquityMarked | StrategyOverran | StrategySuspended | ProtectionStarted
)  # fmt: skip
"""The closed union: what the log can hold."""

MARKET_DATA: frozenset[type[Message]] = frozenset({Quote, Trade, BarReceived, Bar, Mark})
"""What goes to the market tape. Everything else goes to the order log."""


class Envelope(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A message with its place in the one order of events."""

    seq: int
    at: int
    """Nanoseconds UTC of market time, never backwards; the `now` of every decision made on it."""
    source: str
    message: AnyMessage


class Core(Protocol):
    """An actor's decisions: a synchronous function of (state, message, now), and nothing else.

    `handle` decides: it applies the message into the state and returns what the actor says, already
    applied too. `apply` only applies: recovery feeds it every journaled fact the actor heard or said,
    and the state must come out as if `handle` had been there, without anything being decided again.
    """

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Return what the actor says to this message."""

    def apply(self, message: Message, now: int) -> None:
        """Apply one journaled message, heard or said by this actor, without deciding."""

    def save(self) -> bytes:
        """Return the durable state: equal states give equal bytes."""

    def load(self, state: bytes) -> None:
        """Replace the state by a saved one."""


NOTHING: tuple[Message, ...] = ()
"""What a core says when it has nothing to say."""

__all__ = [
    "MARKET_DATA",
    "NOTHING",
    "ActorFailed",
    "ActorRecovered",
    "ActorStalled",
    "AlertRaised",
    "AnyMessage",
    "Ask",
    "Bar",
    "BarReceived",
    "BookAdopted",
    "BooksAgreed",
    "BreakExplained",
    "BreakOpened",
    "BrokerConnected",
    "BrokerLost",
    "BrokerOrder",
    "BrokerPosition",
    "BrokerSnapshot",
    "CalendarRead",
    "CancelOrder",
    "CancelRejected",
    "CancelTimer",
    "CashMoved",
    "ClockSkewed",
    "ClockStepped",
    "Core",
    "CorporateAction",
    "DayStarted",
    "EmergencyClose",
    "Envelope",
    "EquityMarked",
    "FeeCharged",
    "FeedConnected",
    "FeedLost",
    "FeedRecovered",
    "FeedStale",
    "HistoryRead",
    "Intent",
    "IntentApproved",
    "IntentClosed",
    "IntentRefused",
    "Level",
    "LevelChanged",
    "LoopLagged",
    "Mark",
    "Market",
    "Message",
    "OperatorAsked",
    "OperatorOrder",
    "OrderAccepted",
    "OrderApproved",
    "OrderCanceled",
    "OrderExpired",
    "OrderFilled",
    "OrderNotSent",
    "OrderProposed",
    "OrderRefused",
    "OrderRejected",
    "OrderReplaced",
    "OrderSent",
    "OrderType",
    "OrderUnknown",
    "PositionChanged",
    "ProtectionStarted",
    "Quote",
    "Role",
    "RunStarted",
    "RunStopped",
    "Session",
    "SessionChanged",
    "SetTimer",
    "Severity",
    "Side",
    "SnapshotAsked",
    "StrategyOverran",
    "StrategyStarted",
    "StrategyStopped",
    "StrategySuspended",
    "SymbolHalted",
    "TimeInForce",
    "TimerFired",
    "Trade",
    "TradeBusted",
    "TradingDay",
    "UnrecognizedValue",
]
