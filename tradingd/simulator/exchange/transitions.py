"""What the engine lets its parts do: three narrow faces of it, so that no part imports the engine.

A group or an auction moves orders; an event of the calendar also moves money; an edge of a session moves time.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from tradingd.messages import Session
from tradingd.simulator.exchange.activities import Activities
from tradingd.simulator.exchange.dated import DatedEvent, Payment
from tradingd.simulator.exchange.depth import DepthBook, Working
from tradingd.simulator.exchange.ids import Ids
from tradingd.simulator.exchange.ledger import AccountLedger
from tradingd.simulator.exchange.orders import ExchangeOrder, Status
from tradingd.simulator.exchange.sessions import ExchangeSessions
from tradingd.simulator.exchange.settings import ExchangeSettings


class OrderTransitions(Protocol):
    """Orders, and the ways they change."""

    books: dict[str, DepthBook]
    orders: dict[str, ExchangeOrder]

    def change(
        self, working: Working, status: Status, event: str, now: int, **fields: object
    ) -> None:
        """Move an order to a status and tell of it."""

    def execute(
        self, working: Working, quantity: Decimal, price: Decimal, *, is_maker: bool, now: int
    ) -> None:
        """Book one execution and tell of it."""

    def record(self, event: str, order: ExchangeOrder, now: int) -> None:
        """Tell what happened to an order."""

    def wake(self, leg: Working, now: int) -> None:
        """Begin the life of a leg whose entry is filled."""


class AccountTransitions(OrderTransitions, Protocol):
    """Orders and the account's money, as a dated event changes them."""

    ledger: AccountLedger
    activities: Activities
    ids: Ids

    def add_dated(self, event: DatedEvent | Payment) -> None:
        """Let something happen on a date."""


class SessionTransitions(OrderTransitions, Protocol):
    """Orders and the session, as its edge changes them."""

    settings: ExchangeSettings
    sessions: ExchangeSessions
    session: Session
    ledger: AccountLedger
    working: dict[str, Working]
    on_close: Callable[[int], None] | None

    def enter_session(self, at: int) -> None:
        """Be in the session an instant is in."""

    def next_edge_at(self) -> int:
        """Return when the session changes next."""

    def may_trade(self, working: Working) -> bool:
        """Tell whether the session lets the order trade now."""

    def arrive(self, working: Working, now: int) -> None:
        """Let an order reach the venue."""

    def expire(self, working: Working, at: int) -> None:
        """End an order whose time is over."""

    def schedule(self, at: int, act: Callable[[Working, int], None], working: Working) -> None:
        """Do something with an order at an instant."""
