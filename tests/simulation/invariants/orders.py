"""Each order once, each execution once, children within their parent, and no state that goes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.simulation.invariants.finding import Findings
from tradingd import messages as m
from tradingd.instruments.presumed import may_be_acknowledged_late
from tradingd.messages import Message, Role, Side

ZERO = Decimal(0)


@dataclass(slots=True)
class Record:
    """One order by its facts."""

    approved: m.OrderApproved
    at: int
    cumulative: Decimal = ZERO
    is_terminal: bool = False
    is_presumed: bool = False
    is_accepted: bool = False
    is_cancel_asked: bool = False

    @property
    def remaining(self) -> Decimal:
        """What it may still add."""
        return ZERO if self.is_terminal else self.approved.order.quantity - self.cumulative


@dataclass(slots=True)
class Parent:
    """One approved intent by its facts."""

    approved: m.IntentApproved
    filled: Decimal = ZERO
    is_closed: bool = False


class OrderInvariants:
    """I3, I4, I7, I11 and I12, word by word; the other laws read its records."""

    def __init__(self, findings: Findings) -> None:
        self.records: dict[str, Record] = {}
        self.parents: dict[str, Parent] = {}
        self.children: dict[str, list[Record]] = {}
        self._working: dict[str, dict[str, Record]] = {}
        """Symbol -> orders that may still trade."""
        self._unwanted: set[str] = set()
        """Cancels asked for what risk had not judged yet."""
        self._findings = findings
        self._handlers: Mapping[type[Message], Callable[[Any, int], None]] = {
            m.IntentApproved: self._intent,
            m.IntentClosed: self._closed,
            m.OrderApproved: self._approved,
            m.OrderAccepted: self._accepted,
            m.OrderFilled: self._filled,
            m.OrderNotSent: self._ended,
            m.OrderCanceled: self._ended,
            m.OrderExpired: self._ended,
            m.OrderRejected: self._ended,
            m.OrderReplaced: self._ended,
            m.CancelOrder: self._cancel,
        }

    def handle(self, message: Message, at: int) -> None:
        """Take one word."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, at)

    def live(self, intent_id: str) -> Decimal:
        """Return what the children of a parent may still add."""
        return sum((child.remaining for child in self.children.get(intent_id, ())), ZERO)

    def _intent(self, message: m.IntentApproved, _: int) -> None:
        self._findings.check(
            message.intent_id not in self.parents,
            "I3",
            f"{message.intent_id} approved twice",
        )
        self.parents[message.intent_id] = Parent(message)

    def _closed(self, message: m.IntentClosed, _: int) -> None:
        if parent := self.parents.get(message.intent_id):
            parent.is_closed = True

    def _approved(self, message: m.OrderApproved, at: int) -> None:
        check = self._findings.check
        check(message.order_id not in self.records, "I3", f"{message.order_id} approved twice")
        record = self.records[message.order_id] = Record(message, at)
        record.is_cancel_asked = message.order_id in self._unwanted
        self._unwanted.discard(message.order_id)
        self.children.setdefault(message.order.intent_id, []).append(record)
        self._meet(record)
        parent = self.parents.get(message.order.intent_id)
        if parent is not None:
            total = parent.filled + self.live(message.order.intent_id)
            most = parent.approved.quantity
            check(total <= most, "I7", f"{message.order_id}: children {total} of {most}")
        else:
            check(
                message.order.role is not Role.ENTRY,
                "I7",
                f"{message.order_id} opens without a parent",
            )

    def _meet(self, record: Record) -> None:
        """Judge whether an order would trade with one of ours.

        An exit may, once that one is being canceled. Two exits that face each other, after a busted trade left one
        strategy short, are let go by the system and told apart by the broker: no rule of ours traps a position.
        """
        order, working = record.approved, self._working.setdefault(record.approved.order.symbol, {})
        for order_id, other in working.items():
            may_go = other.is_cancel_asked or other.approved.order.role is not Role.ENTRY
            is_leaving = order.order.role is not Role.ENTRY and may_go
            meets = other.approved.order.side is not order.order.side and _crosses(
                order, other.approved
            )
            text = f"{order.order_id} would trade with {order_id}"
            self._findings.check(is_leaving or not meets, "I12", text)
        working[order.order_id] = record

    def _cancel(self, message: m.CancelOrder, _: int) -> None:
        if record := self.records.get(message.order_id):
            record.is_cancel_asked = True
        else:
            self._unwanted.add(message.order_id)

    def _over(self, record: Record) -> None:
        record.is_terminal = True
        self._working.get(record.approved.order.symbol, {}).pop(record.approved.order_id, None)

    def _accepted(self, message: m.OrderAccepted, _: int) -> None:
        record = self._known(message.order_id, "OrderAccepted")
        if record is None:
            return
        is_late = record.is_terminal and not record.is_presumed
        self._findings.check(not is_late, "I11", f"{message.order_id} accepted after its end")
        if record.is_presumed:
            record.is_terminal = record.is_presumed = False
            record.is_cancel_asked = True  # by the edge itself
            self._working[record.approved.order.symbol][message.order_id] = record
        record.is_accepted = True

    def _filled(self, message: m.OrderFilled, _: int) -> None:
        record = self._known(message.order_id, "OrderFilled")
        if record is None:
            return
        check = self._findings.check
        after = record.cumulative + message.quantity
        check(
            after == message.cumulative,
            "I4",
            f"{message.order_id}: {after} said {message.cumulative}",
        )
        check(message.cumulative > record.cumulative, "I11", f"{message.order_id} fills backwards")
        check(
            message.cumulative <= record.approved.order.quantity,
            "I7",
            f"{message.order_id} overfilled",
        )
        is_late = record.is_terminal and not record.is_presumed
        check(not is_late, "I11", f"{message.order_id} filled after its end")
        record.cumulative = message.cumulative
        if record.remaining <= 0:
            self._over(record)
        if parent := self.parents.get(message.intent_id):
            parent.filled += message.quantity

    def _ended(
        self,
        message: m.OrderNotSent
        | m.OrderCanceled
        | m.OrderExpired
        | m.OrderRejected
        | m.OrderReplaced,
        _: int,
    ) -> None:
        record = self._known(message.order_id, type(message).__name__)
        if record is None:
            return
        is_again = record.is_terminal and not record.is_presumed
        self._findings.check(not is_again, "I11", f"{message.order_id} ended twice")
        self._over(record)
        record.is_presumed = may_be_acknowledged_late(message)

    def _known(self, order_id: str, what: str) -> Record | None:
        record = self.records.get(order_id)
        self._findings.check(record is not None, "I3", f"{what} of unapproved {order_id}")
        return record


def _crosses(order: m.OrderApproved, other: m.OrderApproved) -> bool:
    if order.order.limit_price is None or other.order.limit_price is None:
        return True
    buy, sell = (order, other) if order.order.side is Side.BUY else (other, order)
    assert buy.order.limit_price is not None
    assert sell.order.limit_price is not None
    return buy.order.limit_price >= sell.order.limit_price
