"""What the edge knows of our orders: applied from the order log, so that a restart knows it, too.

Live and at recovery the same `apply` sees the same messages. There is no other durable state in the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from tradingd.instruments.money import signed
from tradingd.instruments.presumed import may_be_acknowledged_late
from tradingd.instruments.units import DAY_NS, ZERO
from tradingd.messages import (
    BookAdopted,
    BrokerSnapshot,
    CancelOrder,
    CancelRejected,
    CashMoved,
    CorporateAction,
    FeeCharged,
    Message,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderNotSent,
    OrderRejected,
    OrderReplaced,
    OrderSent,
    OrderUnknown,
    RunStarted,
    TradeBusted,
)
from tradingd.state.ids import belongs_to
from tradingd.state.positions import total_after

LOOK_BACK_NS = 7 * DAY_NS
"""How long before the latest snapshot activities are read again: they are dated by day and may be booked late."""

ACTIVITY_AGE_NS_MAX = LOOK_BACK_NS + 2 * DAY_NS
"""So long before the latest snapshot an activity was said, it is told no more: what is dated by day may be
read a day longer, and a split is announced in New York's days."""

SETTLED_MAX = 10_000
"""Finished orders that are still recognized; later news of an older one is only counted."""

SETTLED_SAVED_MAX = 2_000
"""Those of them that a checkpoint keeps."""


@dataclass(slots=True)
class Record:
    """One of our orders, as far as has been said of it."""

    order: OrderApproved
    approved_at: int
    broker_order_id: str = ""
    is_sent: bool = False
    is_accepted: bool = False
    is_unknown: bool = False
    is_cancel_wanted: bool = False
    is_terminal: bool = False
    is_presumed: bool = False
    """Taken as refused because the broker did not know it; it may still turn up."""
    is_late: bool = False
    """It did turn up: nobody waits for it any more, so it is called back."""
    ended_at: int = 0
    """When its end was said; 0 for an order that was filled or is live."""
    cumulative: Decimal = ZERO
    spent: Decimal = ZERO
    """Sum of quantity times price of what was said, for the price of what was missed."""
    executions: dict[str, OrderFilled] = field(default_factory=dict)
    busted: set[str] = field(default_factory=set)
    adopted: set[str] = field(default_factory=set)
    """Executions that stood when the broker's books were adopted: a bust of one may be in those already."""

    @property
    def is_live(self) -> bool:
        """Tell whether the order may exist at the broker and trade."""
        return self.is_sent and not self.is_terminal


class _SavedOrders(msgspec.Struct):
    instance_id: str
    snapshot_at: int
    activity_ids: dict[str, int]
    coins: dict[str, Decimal]
    records: list[Record]


_ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode
_DECODE = msgspec.msgpack.Decoder(_SavedOrders).decode


class OrderStore:
    """All our orders of this instance id, and what else the log says of the account."""

    def __init__(self) -> None:
        self.instance_id = ""
        self.snapshot_at = 0
        """When the latest snapshot was said; 0 before the first."""
        self.activity_ids: dict[str, int] = {}
        """Cash activities and splits already said, and when; only those the broker may still tell."""
        self.coins: dict[str, Decimal] = {}
        """Net position of each symbol since the latest snapshot: what an exact coin fee is read from."""
        self._records: dict[str, Record] = {}
        self._unfinished: dict[str, Record] = {}
        self._handlers: dict[type[Message], Callable[[Any, int], None]] = {
            RunStarted: self._run_started,
            OrderApproved: self._approved,
            OrderSent: self._sent,
            OrderNotSent: self._closed,
            OrderAccepted: self._accepted,
            OrderFilled: self._filled,
            OrderCanceled: self._closed,
            OrderExpired: self._closed,
            OrderRejected: self._closed,
            OrderReplaced: self._closed,
            OrderUnknown: self._unknown,
            TradeBusted: self._busted,
            CancelOrder: self._cancel_wanted,
            CancelRejected: self._cancel_rejected,
            FeeCharged: self._fee,
            CashMoved: self._cash_moved,
            CorporateAction: self._split,
            BrokerSnapshot: self._snapshot,
            BookAdopted: self._adopted,
        }

    def apply(self, message: Message, at: int) -> None:
        """Apply one message of the order log, heard or said."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, at)

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types that are applied."""
        return frozenset(self._handlers)

    def save(self) -> bytes:
        """Return what a restart goes on from; of finished orders only the latest."""
        settled = len(self._records) - len(self._unfinished)
        spared = max(0, settled - SETTLED_SAVED_MAX)
        records = []
        for record in self._records.values():
            if record.is_terminal and not record.is_presumed and spared:
                spared -= 1
            else:
                records.append(record)
        return _ENCODE(
            _SavedOrders(self.instance_id, self.snapshot_at, self.activity_ids, self.coins, records)
        )

    def load(self, state: bytes) -> None:
        """Take up what `save` returned."""
        saved = _DECODE(state)
        self.instance_id, self.snapshot_at = saved.instance_id, saved.snapshot_at
        self.activity_ids, self.coins = saved.activity_ids, saved.coins
        self._records = {record.order.order_id: record for record in saved.records}
        self._unfinished = {
            order_id: record for order_id, record in self._records.items() if not record.is_terminal
        }

    def get(self, order_id: str) -> Record | None:
        """Return the record of one of our orders."""
        return self._records.get(order_id)

    def is_own(self, order_id: str) -> bool:
        """Tell whether an id is of this instance id, remembered or not."""
        return belongs_to(self.instance_id, order_id)

    def unfinished(self) -> list[Record]:
        """Return approved orders without a terminal fact, oldest first."""
        return list(self._unfinished.values())

    def live(self) -> Iterator[Record]:
        """Yield orders that may trade at the broker."""
        return (record for record in self._unfinished.values() if record.is_live)

    def presumed(self) -> list[Record]:
        """Return orders that ended on nothing but the broker's not knowing them, oldest first."""
        return [record for record in self._records.values() if record.is_presumed]

    def has_live(self) -> bool:
        """Tell whether any order may trade at the broker."""
        return any(record.is_live for record in self._unfinished.values())

    def _run_started(self, message: RunStarted, _: int) -> None:
        self.instance_id = message.instance_id

    def _approved(self, message: OrderApproved, at: int) -> None:
        order_id = message.order.order_id
        assert order_id not in self._records, f"{order_id} was approved twice"
        self._records[order_id] = self._unfinished[order_id] = Record(message, at)

    def _sent(self, message: OrderSent, _: int) -> None:
        if record := self.get(message.order_id):
            record.is_sent = True

    def _accepted(self, message: OrderAccepted, _: int) -> None:
        if record := self.get(message.order_id):
            record.broker_order_id = message.broker_order_id
            record.is_accepted = True
            record.is_unknown = False
            if record.is_presumed:
                self._reopen(record)

    def _filled(self, message: OrderFilled, _: int) -> None:
        self.coins[message.symbol] = self.coins.get(message.symbol, ZERO) + signed(
            message.side, message.quantity
        )
        record = self.get(message.order_id)
        if record is None:
            return
        record.cumulative = message.cumulative
        record.spent += message.quantity * message.price
        if message.execution_id:
            record.executions[message.execution_id] = message
        if record.cumulative >= record.order.order.quantity:
            self._close(record)

    def _closed(
        self,
        message: OrderNotSent | OrderCanceled | OrderExpired | OrderRejected | OrderReplaced,
        at: int,
    ) -> None:
        if record := self.get(message.order_id):
            record.is_presumed, record.ended_at = may_be_acknowledged_late(message), at
            self._close(record)

    def _unknown(self, message: OrderUnknown, _: int) -> None:
        if record := self.get(message.order_id):
            record.is_unknown = True

    def _busted(self, message: TradeBusted, _: int) -> None:
        moved = signed(message.side, message.quantity)
        self.coins[message.symbol] = self.coins.get(message.symbol, ZERO) - moved
        if record := self.get(message.order_id):
            record.busted.add(message.execution_id)

    def _cancel_wanted(self, message: CancelOrder, _: int) -> None:
        if record := self.get(message.order_id):
            record.is_cancel_wanted = True

    def _cancel_rejected(self, message: CancelRejected, _: int) -> None:
        if record := self.get(message.order_id):
            record.is_cancel_wanted = False  # whoever wanted it knows, and may ask again

    def _fee(self, message: FeeCharged, _: int) -> None:
        if message.asset != "USD":
            self.coins[message.symbol] = self.coins.get(message.symbol, ZERO) - message.amount

    def _cash_moved(self, message: CashMoved, at: int) -> None:
        self.activity_ids[message.activity_id] = at

    def _split(self, message: CorporateAction, at: int) -> None:
        self.activity_ids[message.action_id] = at
        if message.symbol in self.coins:
            held = self.coins[message.symbol]
            self.coins[message.symbol] = total_after(message, held)

    def _snapshot(self, message: BrokerSnapshot, _: int) -> None:
        self.snapshot_at = message.taken_at
        oldest_at = message.taken_at - ACTIVITY_AGE_NS_MAX
        self.activity_ids = {
            name: published_at
            for name, published_at in self.activity_ids.items()
            if published_at >= oldest_at
        }
        self.coins = {position.symbol: position.quantity for position in message.positions}

    def _adopted(self, _published: BookAdopted, _: int) -> None:
        for record in self._records.values():
            record.adopted.update(record.executions)

    def _reopen(self, record: Record) -> None:
        record.is_presumed = record.is_terminal = False
        record.is_sent = record.is_late = record.is_cancel_wanted = True
        self._unfinished[record.order.order_id] = record

    def _close(self, record: Record) -> None:
        record.is_terminal = True
        record.is_unknown = False
        self._unfinished.pop(record.order.order_id, None)
        if len(self._records) - len(self._unfinished) > SETTLED_MAX:
            oldest = next(key for key, old in self._records.items() if old.is_terminal)
            del self._records[oldest]
