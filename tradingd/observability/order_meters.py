"""What the life of an order moves: counts, waits, slippage. Ids stay inside and are forgotten in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from prometheus_client import Counter, Histogram

from tradingd import messages as m
from tradingd.messages import Mark, Message, Role, Side
from tradingd.observability.meters import Bound, Meters

BROKER = "alpaca"
FLIGHTS_MAX = 4096
"""Orders, and intents, that are remembered at once; the oldest go first."""

ALGORITHMS = ("immediate", "twap", "iceberg")
PLANNED = "planned"
"""The label of slices whose algorithm the router chose by order value, which nobody says."""

Kept = TypeVar("Kept")


class _Recent(dict[str, Kept], Generic[Kept]):
    """The latest entries by id."""

    def keep(self, key: str, value: Kept) -> None:
        if len(self) >= FLIGHTS_MAX and key not in self:
            del self[next(iter(self))]
        self[key] = value


class _Flight:
    """What must be remembered of an order until its end."""

    __slots__ = ("algo", "intent_id", "is_sliced", "middle", "quoted_at", "role", "sent_at", "side")

    def __init__(self, message: m.OrderProposed, algo: str) -> None:
        self.algo = algo
        self.intent_id = message.intent_id
        self.is_sliced = message.slice_number > 0
        self.middle = 0.0
        self.quoted_at = message.quoted_at
        self.role = message.role
        self.side = message.side
        self.sent_at = 0


class OrderMeters:
    """Folds the messages about orders; `at` is the market time of each."""

    def __init__(self, meters: Meters, marks: Mapping[str, Mark]) -> None:
        self._marks = marks
        self._flights: _Recent[_Flight] = _Recent()
        self._signaled_at: _Recent[int] = _Recent()
        self._named: _Recent[str] = _Recent()
        self._submitted: Bound[Counter] = Bound(meters.counter("orders_submitted_total"))
        self._closed: Bound[Counter] = Bound(meters.counter("orders_closed_total"))
        self._slices: Bound[Counter] = Bound(meters.counter("slices_total"))
        self._fills: Bound[Counter] = Bound(meters.counter("fills_total"))
        self._notional: Bound[Counter] = Bound(meters.counter("filled_notional_dollars_total"))
        self._quote_age = meters.histogram("quote_age_seconds")
        self._tick_to_order = meters.histogram("tick_to_order_seconds")
        self._ack = meters.histogram("order_ack_seconds").labels(BROKER)
        self._fill: Bound[Histogram] = Bound(meters.histogram("order_fill_seconds"))
        self._slippage: Bound[Histogram] = Bound(meters.histogram("fill_slippage_ratio"))
        for status in ("filled", "canceled", "rejected"):
            self._closed[BROKER, status].inc(0)  # a rate needs the zero it starts from
        for side in Side:
            self._fills[BROKER, side.value].inc(0)
        self.handlers: dict[type[Message], Callable[[Any, int], None]] = {
            m.Intent: self._intent,
            m.IntentApproved: self._intent_approved,
            m.OrderProposed: self._proposed,
            m.OrderApproved: self._order_approved,
            m.OrderRefused: self._refused,
            m.OrderSent: self._sent,
            m.OrderAccepted: self._accepted,
            m.OrderFilled: self._filled,
            m.OrderCanceled: self._closes("canceled"),
            m.OrderExpired: self._closes("expired"),
            m.OrderRejected: self._closes("rejected"),
            m.OrderReplaced: self._closes("replaced"),
            m.OrderNotSent: self._closes("not_sent"),
        }

    def _intent(self, message: m.Intent, at: int) -> None:
        self._signaled_at.keep(message.intent_id, at)

    def _intent_approved(self, message: m.IntentApproved, at: int) -> None:
        name = (message.intent.algorithm or "").partition(":")[0]
        if name in ALGORITHMS:
            self._named.keep(message.intent_id, name)

    def _proposed(self, message: m.OrderProposed, at: int) -> None:
        guess = PLANNED if message.slice_number else ALGORITHMS[0]
        flight = _Flight(message, self._named.get(message.intent_id, guess))
        self._flights.keep(message.order_id, flight)

    def _order_approved(self, message: m.OrderApproved, at: int) -> None:
        flight, mark = self._flights.get(message.order_id), self._marks.get(message.order.symbol)
        if flight is not None and mark is not None:
            flight.middle = (mark.bid + mark.ask) / 2

    def _refused(self, message: m.OrderRefused, at: int) -> None:
        self._end(message.order_id, "refused")

    def _sent(self, message: m.OrderSent, at: int) -> None:
        flight = self._flights.get(message.order_id)
        if flight is None:
            return
        flight.sent_at = at
        self._submitted[BROKER, flight.role.value, flight.side.value, flight.algo].inc()
        if flight.role is Role.ENTRY and flight.quoted_at:
            self._quote_age.observe((at - flight.quoted_at) / 1e9)
        signaled_at = self._signaled_at.pop(flight.intent_id, None)
        if signaled_at is not None:
            self._tick_to_order.observe((at - signaled_at) / 1e9)

    def _accepted(self, message: m.OrderAccepted, at: int) -> None:
        flight = self._flights.get(message.order_id)
        if flight is not None and flight.sent_at:
            self._ack.observe((at - flight.sent_at) / 1e9)

    def _filled(self, message: m.OrderFilled, at: int) -> None:
        self._fills[BROKER, message.side.value].inc()
        self._notional[BROKER, message.side.value].inc(float(message.quantity * message.price))
        flight = self._flights.get(message.order_id)
        if flight is not None and flight.middle:
            worse = float(message.price) / flight.middle - 1.0
            self._slippage[(flight.algo,)].observe(worse if message.side is Side.BUY else -worse)
        if message.cumulative < message.order_quantity:
            return
        if flight is not None and flight.sent_at:
            self._fill[BROKER, flight.algo].observe((at - flight.sent_at) / 1e9)
        self._closed[BROKER, "filled"].inc()
        self._end(message.order_id, "filled")

    def _closes(self, status: str) -> Callable[[Any, int], None]:
        child = self._closed[BROKER, status]

        def close(message: m.OrderCanceled, at: int) -> None:
            child.inc()
            self._end(message.order_id, status)

        return close

    def _end(self, order_id: str, outcome: str) -> None:
        flight = self._flights.pop(order_id, None)
        if flight is not None and flight.is_sliced:
            self._slices[flight.algo, outcome].inc()
