"""The reconciler: our book, folded from facts, against the broker's snapshot. Pure.

Every difference is explained or stops entries. Quantities are compared exactly and cash to the cent; the
one thing that may be guessed in between is a crypto fee, and only up to what was charged on an estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradingd.broker.reconcile_book import Book
from tradingd.broker.reconcile_compare import (
    Finding,
    compare_cash,
    compare_orders,
    compare_positions,
)
from tradingd.messages import (
    NOTHING,
    Ask,
    BookAdopted,
    BooksAgreed,
    BrokerSnapshot,
    DifferenceExplained,
    DifferenceUnexplained,
    Message,
    OperatorAsked,
)

ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilerSettings:
    """What counts as equal, and what to make of orders that are not ours."""

    cash_tolerance_usd: Decimal = Decimal("0.01")
    foreign_orders: str = "halt"
    """`halt`: an order we did not send is a difference; `ignore`: it is the owner's business."""


class ReconcilerCore:
    """Station "reconciler"."""

    def __init__(self, settings: ReconcilerSettings | None = None) -> None:
        self._settings = settings or ReconcilerSettings()
        self._book = Book()
        self._handlers: dict[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            BrokerSnapshot: self._snapshot,
            OperatorAsked: self._operator,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Fold a fact; answer a snapshot, or a person who accepts one."""
        self.apply(message, now)
        decide = self._handlers.get(type(message))
        if decide is None:
            return NOTHING
        said = decide(message, now)
        for word in said:
            self.apply(word, now)
        return said

    def handler(self, kind: type[Message]) -> Callable[[Any, int], Sequence[Message] | None] | None:
        """Return what `handle` calls for `kind`."""
        if kind in self._handlers:
            return self.handle
        return self.apply if kind in self._book.concerns else None

    def apply(self, message: Message, now: int) -> None:
        """Fold one fact, heard or said."""
        del now
        self._book.apply(message)

    def save(self) -> bytes:
        """Return the book and the latest snapshot."""
        return self._book.save()

    def load(self, state: bytes) -> None:
        """Take up a saved book."""
        self._book.load(state)

    def _snapshot(self, snapshot: BrokerSnapshot, _: int) -> Sequence[Message]:
        if not self._book.is_adopted:
            adopted = BookAdopted(snapshot.cash, snapshot.positions, "first start")
            return adopted, *self._judge(snapshot, self._order_findings(snapshot))
        findings = [
            *compare_positions(self._book, snapshot),
            *compare_cash(self._book, snapshot, self._settings.cash_tolerance_usd),
            *self._order_findings(snapshot),
        ]
        return self._judge(snapshot, findings)

    def _order_findings(self, snapshot: BrokerSnapshot) -> list[Finding]:
        is_strict = self._settings.foreign_orders == "halt"
        return compare_orders(self._book, snapshot, is_strict=is_strict)

    def _judge(self, snapshot: BrokerSnapshot, findings: Sequence[Finding]) -> Sequence[Message]:
        said: list[Message] = [f for f in findings if isinstance(f, DifferenceExplained)]
        open_findings = [f for f in findings if isinstance(f, DifferenceUnexplained)]
        said += [f for f in open_findings if not self._book.is_standing(f)]
        if not open_findings:
            is_flat = not any(position.quantity for position in snapshot.positions)
            said.append(BooksAgreed(snapshot.why, is_flat, len(snapshot.orders)))
        return said

    def _operator(self, asked: OperatorAsked, _: int) -> Sequence[Message]:
        snapshot = self._book.state.latest
        if asked.ask is not Ask.ACCEPT or snapshot is None:
            return NOTHING
        adopted = self._book.adoption(snapshot, f"accepted by {asked.who}: {asked.reason}")
        is_flat = not any(position.quantity for position in snapshot.positions)
        return adopted, BooksAgreed(ACCEPTED, is_flat, len(snapshot.orders))
