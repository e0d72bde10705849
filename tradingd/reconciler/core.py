"""The reconciler: our book, applied from facts, against the broker's snapshot. Pure.

Every difference is explained or stops entries. Quantities are compared exactly and cash to the cent; the
one thing that may be guessed in between is a crypto fee, and only up to what was charged on an estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, get_args

from tradingd.messages import (
    NOTHING,
    Ask,
    BooksAgreed,
    BreakOpened,
    BrokerSnapshot,
    Message,
    OperatorAsked,
)
from tradingd.reconciler.compare import compare_cash, compare_orders, compare_positions
from tradingd.reconciler.policy import Policy, first_book, settle
from tradingd.reconciler.state import ReconciliationState

ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilerSettings:
    """What counts as equal, and what to make of orders that are not ours; raises ValueError for no such policy."""

    cash_tolerance_usd: Decimal = Decimal("0.01")
    external: Policy = "halt"
    """What to make of orders and trades that are not ours."""

    def __post_init__(self) -> None:
        if self.external not in get_args(Policy):
            raise ValueError(f"external must be one of {get_args(Policy)}, not {self.external!r}")


class ReconcilerCore:
    """Actor "reconciler"."""

    def __init__(self, settings: ReconcilerSettings | None = None) -> None:
        self._settings = settings or ReconcilerSettings()
        self._book = ReconciliationState()
        self._handlers: dict[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            BrokerSnapshot: self._snapshot,
            OperatorAsked: self._operator,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Apply a fact; answer a snapshot, or a person who accepts one."""
        self.apply(message, now)
        decide = self._handlers.get(type(message))
        return NOTHING if decide is None else decide(message, now)

    def handler(self, kind: type[Message]) -> Callable[[Any, int], Sequence[Message] | None] | None:
        """Return what `handle` calls for `kind`."""
        if kind in self._handlers:
            return self.handle
        return self.apply if kind in self._book.concerns else None

    def apply(self, message: Message, now: int) -> None:
        """Apply one fact, heard or said."""
        del now
        self._book.apply(message)

    def save(self) -> bytes:
        """Return the book and the latest snapshot."""
        return self._book.save()

    def load(self, state: bytes) -> None:
        """Take up a saved book."""
        self._book.load(state)

    def _snapshot(self, snapshot: BrokerSnapshot, _: int) -> Sequence[Message]:
        opened: list[Message] = []
        if (
            not self._book.is_adopted
        ):  # what was there before us waits for a person: see the findings
            opened = self._emit(first_book(snapshot, self._settings.external))
        findings = [
            *compare_positions(self._book, snapshot),
            *compare_cash(self._book, snapshot, self._settings.cash_tolerance_usd),
            *compare_orders(self._book, snapshot),
        ]
        values = settle(self._book, snapshot, findings, self._settings.external)
        return [*opened, *self._judge(snapshot, values)]

    def _judge(self, snapshot: BrokerSnapshot, values: Sequence[Message]) -> list[Message]:
        """Say what is new of it, and that the books agree where nothing is left unexplained."""
        unexplained = [value for value in values if isinstance(value, BreakOpened)]
        repeated = [value for value in unexplained if self._book.is_open_break(value)]
        emitted = self._emit([value for value in values if value not in repeated])
        return emitted if unexplained else emitted + self._agree(snapshot, snapshot.why)

    def _operator(self, asked: OperatorAsked, _: int) -> Sequence[Message]:
        snapshot = self._book.state.latest
        if asked.ask is not Ask.ACCEPT or snapshot is None:
            return NOTHING
        reason = f"accepted by {asked.who}: {asked.reason}"
        adopted = self._emit([self._book.adoption(snapshot, reason)])
        return adopted + self._agree(snapshot, ACCEPTED)

    def _agree(self, snapshot: BrokerSnapshot, why: str) -> list[Message]:
        return self._emit([BooksAgreed(why, *self._book.left(snapshot))])

    def _emit(self, values: list[Message]) -> list[Message]:
        """Apply what is about to be said, as the log will."""
        for value in values:
            self._book.apply(value)
        return values
