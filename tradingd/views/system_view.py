"""The read model: what API, metrics and the closing summary show, applied from the messages of the bus.

Pure and bounded. It never touches a core, so no reader can disturb a decision.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradingd import messages as m
from tradingd.instruments.money import decimal_of
from tradingd.instruments.units import ZERO
from tradingd.messages import Envelope, Message, OrderType, Role, Side
from tradingd.portfolio.summary import DaySummary
from tradingd.state.permissions import Permissions
from tradingd.views.activity import Activity
from tradingd.views.open_breaks import Differing

CLOSED_ORDERS_MAX = 1000
ALERTS_MAX = 100


@dataclass(slots=True)
class OrderView:
    """One order as it stands."""

    order_id: str
    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    status: str
    filled: Decimal
    average_price: Decimal
    changed_at: int
    reason: str = ""
    broker_order_id: str = ""
    seq: int = -1
    """The number of the message that changed it last."""

    @property
    def is_open(self) -> bool:
        """True from approval to a terminal fact."""
        return self.status in OPEN


OPEN = frozenset({"approved", "submitted", "accepted", "partially_filled", "unknown"})


@dataclass(slots=True)
class ShownPosition:
    """What one strategy holds of one symbol."""

    strategy: str
    symbol: str
    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    realized_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO


class SystemView:
    """Everything a reader may ask, as of the last message applied."""

    def __init__(self) -> None:
        self.permissions = Permissions()
        self.run: m.RunStarted | None = None
        self.stopped: m.RunStopped | None = None
        self.equity: m.EquityMarked | None = None
        self.snapshot: m.BrokerSnapshot | None = None
        self.agreed: m.BooksAgreed | None = None
        self.positions: dict[tuple[str, str], ShownPosition] = {}
        self.marks: dict[str, m.Mark] = {}
        self.orders: dict[str, OrderView] = {}
        self.feeds: dict[str, bool] = {}
        self.is_broker_connected = False
        self.day: m.DayStarted | None = None
        self.alerts: deque[tuple[int, int, m.AlertRaised]] = deque(maxlen=ALERTS_MAX)
        self.counts = DaySummary()
        """Since this process began."""
        self.activity = Activity()
        self.differing = Differing()
        self.seq = -1
        self.at = 0
        self._closed: deque[str] = deque()
        self._apply: dict[type[Message], Callable[[Any], None]] = {
            m.RunStarted: self._run_started, m.RunStopped: self._run_stopped,
            m.LevelChanged: self.permissions.apply, m.EquityMarked: self._equity_marked,
            m.BrokerSnapshot: self._snapshot, m.BooksAgreed: self._agreed, m.Mark: self._mark,
            m.PositionChanged: self._position, m.SessionChanged: self.permissions.apply,
            m.FeedConnected: self._feed_connected, m.FeedLost: self._feed_lost,
            m.BrokerConnected: self._broker_connected, m.BrokerLost: self._broker_lost,
            m.DayStarted: self._day_started, m.AlertRaised: self._alert, m.OrderApproved: self._order_approved,
            m.OrderSent: self._sent, m.OrderAccepted: self._accepted, m.OrderFilled: self._filled,
            m.OrderCanceled: self._canceled, m.OrderExpired: self._expired,
            m.OrderRejected: self._rejected, m.OrderReplaced: self._replaced,
            m.OrderNotSent: self._not_sent, m.OrderUnknown: self._unknown,
        }  # fmt: skip

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types this view wants to hear."""
        return frozenset(self._apply) | self.activity.kinds | self.differing.kinds

    def apply(self, envelope: Envelope) -> None:
        """Apply one message; unknown types are passed over."""
        self.seq, self.at = envelope.seq, envelope.at
        self.activity.apply(envelope.message, envelope.seq, envelope.at)
        self.counts.apply(envelope.message)
        self.differing.apply(envelope.message, envelope.at)
        handler = self._apply.get(type(envelope.message))
        if handler is not None:
            handler(envelope.message)

    def open_orders(self) -> list[OrderView]:
        """Return the orders that may still trade, oldest first."""
        return [order for order in self.orders.values() if order.is_open]

    def held(self) -> list[ShownPosition]:
        """Return the positions that are not flat, by strategy and symbol."""
        return [
            self.positions[key] for key in sorted(self.positions) if self.positions[key].quantity
        ]

    def restore(self, envelopes: list[Envelope]) -> None:
        """Take positions, orders and day from an earlier log, without counting what it did."""
        for envelope in envelopes:
            self.apply(envelope)
        self.counts = DaySummary()
        self.stopped = self.snapshot = None  # the broker's books are read anew
        self.is_broker_connected = False
        self.feeds.clear()

    def _run_started(self, message: m.RunStarted) -> None:
        self.run = message
        self.permissions.apply(message)

    def _run_stopped(self, message: m.RunStopped) -> None:
        self.stopped = message

    def _equity_marked(self, message: m.EquityMarked) -> None:
        self.equity = message

    def _snapshot(self, message: m.BrokerSnapshot) -> None:
        self.snapshot = message

    def _agreed(self, message: m.BooksAgreed) -> None:
        self.agreed = message

    def _mark(self, message: m.Mark) -> None:
        self.marks[message.symbol] = message

    def _position(self, message: m.PositionChanged) -> None:
        key = (message.strategy, message.symbol)
        self.positions[key] = ShownPosition(
            message.strategy,
            message.symbol,
            message.quantity,
            message.average_price,
            message.realized_usd,
            message.fees_usd,
        )

    def _feed_connected(self, message: m.FeedConnected) -> None:
        self.feeds[message.market.value] = True

    def _feed_lost(self, message: m.FeedLost) -> None:
        self.feeds[message.market.value] = False

    def _broker_connected(self, message: m.BrokerConnected) -> None:
        self.is_broker_connected = True

    def _broker_lost(self, message: m.BrokerLost) -> None:
        self.is_broker_connected = False

    def _day_started(self, message: m.DayStarted) -> None:
        self.day = message

    def _alert(self, message: m.AlertRaised) -> None:
        self.alerts.append((self.seq, self.at, message))

    def _order_approved(self, message: m.OrderApproved) -> None:
        self.orders[message.order_id] = OrderView(
            message.order_id,
            message.order.intent_id,
            message.order.strategy,
            message.order.symbol,
            message.order.side,
            message.order.role,
            message.order.quantity,
            message.order.order_type,
            message.order.limit_price,
            "approved",
            ZERO,
            ZERO,
            self.at,
            seq=self.seq,
        )

    def _sent(self, message: m.OrderSent) -> None:
        self._to(message.order_id, "submitted")

    def _accepted(self, message: m.OrderAccepted) -> None:
        order = self.orders.get(message.order_id)
        if order is not None:
            order.broker_order_id, order.seq = message.broker_order_id, self.seq
            if order.status in ("rejected", "not_sent"):  # presumed, and there after all
                self._closed.remove(message.order_id)
                self._to(message.order_id, "accepted")
            elif order.status in ("approved", "submitted", "unknown"):
                self._to(message.order_id, "accepted")

    def _filled(self, message: m.OrderFilled) -> None:
        is_whole = message.cumulative >= message.order_quantity
        order = self.orders.get(message.order_id)
        if order is None:
            return
        paid = order.average_price * order.filled + message.price * message.quantity
        order.filled = message.cumulative
        order.average_price = paid / message.cumulative if message.cumulative else ZERO
        self._to(message.order_id, "filled" if is_whole else "partially_filled")

    def _canceled(self, message: m.OrderCanceled) -> None:
        self._to(message.order_id, "canceled", message.reason)

    def _expired(self, message: m.OrderExpired) -> None:
        self._to(message.order_id, "expired")

    def _rejected(self, message: m.OrderRejected) -> None:
        self._to(message.order_id, "rejected", message.reason)

    def _replaced(self, message: m.OrderReplaced) -> None:
        self._to(message.order_id, "replaced")

    def _not_sent(self, message: m.OrderNotSent) -> None:
        self._to(message.order_id, "not_sent", message.reason)

    def _unknown(self, message: m.OrderUnknown) -> None:
        self._to(message.order_id, "unknown", message.reason)

    def _to(self, order_id: str, status: str, reason: str = "") -> None:
        order = self.orders.get(order_id)
        if order is None:
            return
        order.status, order.changed_at, order.seq = status, self.at, self.seq
        order.reason = reason or order.reason
        if not order.is_open:
            self._closed.append(order_id)
            if len(self._closed) > CLOSED_ORDERS_MAX:
                self.orders.pop(self._closed.popleft(), None)


def value_of(position: ShownPosition, mark: m.Mark | None) -> Decimal:
    """Return what a position is worth at the mid of its mark, or at cost without one."""
    price = position.average_price
    if mark is not None:
        price = (decimal_of(mark.bid) + decimal_of(mark.ask)) / 2
    return position.quantity * price
