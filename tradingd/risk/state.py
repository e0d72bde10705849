"""The gate's own book: positions, cash, reservations and live orders, applied from facts.

Risk keeps its own apply so that one step moves what was reserved to what is held: a book read from another
actor would lag behind the very fill that matters. Every apply commutes with the messages that may
lie between a question and our answer on the log, so recovery may apply them in log order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from tradingd import messages as m
from tradingd.instruments.presumed import may_be_acknowledged_late, remember
from tradingd.instruments.units import ZERO
from tradingd.messages import Mark, Role, Side
from tradingd.state.permissions import Permissions
from tradingd.state.positions import (
    EXTERNAL,
    coins_of,
    heir_of,
    holders_after,
    is_in_dollars,
    keeps_owners,
)


class Reservation(msgspec.Struct):
    """What an approved intent may still do."""

    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    limit_price: Decimal
    filled: Decimal = ZERO
    is_closed: bool = False
    is_crowded: bool = False
    """An order of it turned up late: what is live may be more than what is left."""


class LiveOrder(msgspec.Struct):
    """An order that exists, or may exist, at the broker: counted from its approval."""

    order_id: str
    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    quantity: Decimal
    limit_price: Decimal | None
    filled: Decimal = ZERO
    is_sent: bool = False

    @property
    def remaining(self) -> Decimal:
        """What may still be filled."""
        return self.quantity - self.filled


Question = m.Intent | m.OperatorOrder | m.OrderProposed


class SavedRiskState(msgspec.Struct):
    """The durable part of the book: everything but marks."""

    permissions: Permissions = msgspec.field(default_factory=Permissions)
    cash: Decimal | None = None
    """None until a book was adopted."""
    power: Decimal | None = None
    """The broker's buying power as if nothing of ours were working; moved by fills since its snapshot."""
    positions: dict[str, dict[str, Decimal]] = {}
    """Symbol -> strategy -> signed quantity; zero is absent."""
    reservations: dict[str, Reservation] = {}
    orders: dict[str, LiveOrder] = {}
    presumed: dict[str, LiveOrder] = {}
    """Ended for us and may still turn up."""
    pending: dict[str, tuple[int, Question]] = {}
    """Asked and not yet answered, with the time of asking; empty between turns."""
    approved_at: list[int] = []
    """When the latest orders were proposed that we approved, for the rate."""


class RiskState:
    """The state the rules read, and the applies that change it."""

    def __init__(self, rate_max: int) -> None:
        self.marks: dict[str, Mark] = {}
        self.mids: dict[str, tuple[Mark, Decimal]] = {}
        """The exact middle of a mark, worked out when it is first judged by."""
        self._rate_max = rate_max
        self._take(SavedRiskState())

    def _take(self, state: SavedRiskState) -> None:
        self.permissions = state.permissions
        self.cash = state.cash
        self.power = state.power
        self.positions = state.positions
        self.reservations = state.reservations
        self.orders = state.orders
        self.presumed = state.presumed
        self.pending = state.pending
        self.approved_at = deque(state.approved_at, maxlen=self._rate_max)

    def save(self) -> bytes:
        """Return the durable state; equal books give equal bytes."""
        state = SavedRiskState(
            permissions=self.permissions,
            cash=self.cash,
            power=self.power,
            positions=self.positions,
            reservations=self.reservations,
            orders=self.orders,
            presumed=self.presumed,
            pending=self.pending,
            approved_at=list(self.approved_at),
        )
        return msgspec.json.encode(state, order="deterministic")

    def load(self, state: bytes) -> None:
        """Replace everything but the marks."""
        self._take(msgspec.json.decode(state, type=SavedRiskState))

    # What the rules ask.

    def held(self, strategy: str, symbol: str) -> Decimal:
        """Return one strategy's signed position."""
        return self.positions.get(symbol, {}).get(strategy, ZERO)

    def children(self, intent_id: str) -> Iterator[LiveOrder]:
        """Yield the live orders of one parent."""
        return (order for order in self.orders.values() if order.intent_id == intent_id)

    def open_quantity(self, reservation: Reservation) -> Decimal:
        """Return what a reservation may still add to the position."""
        left = ZERO if reservation.is_closed else reservation.quantity - reservation.filled
        if not reservation.is_closed and not reservation.is_crowded:
            return max(ZERO, left)
        live = sum((order.remaining for order in self.children(reservation.intent_id)), ZERO)
        return max(live, left)

    def exiting(self, strategy: str, symbol: str, *, with_reserved: bool) -> Decimal:
        """Return how much of a position is already on its way out."""
        total = ZERO
        for order in self.orders.values():
            if (
                order.symbol == symbol
                and order.strategy == strategy
                and order.role is not Role.ENTRY
            ):
                if with_reserved and order.intent_id in self.reservations:
                    continue  # counted with its parent below
                total += order.remaining
        if with_reserved:
            for parent in self.reservations.values():
                if parent.symbol == symbol and parent.strategy == strategy:
                    total += self.open_quantity(parent) if parent.role is not Role.ENTRY else ZERO
        return total

    # Verdicts.

    def ask(self, key: str, question: Question, now: int) -> None:
        """Remember a question until it is answered."""
        self.pending[key] = (now, question)

    def reserve(self, message: m.IntentApproved, _now: int) -> None:
        """Set aside what an approved intent may do."""
        intent = message.intent
        self.pending.pop(intent.intent_id, None)
        self.reservations[intent.intent_id] = Reservation(
            intent.intent_id,
            intent.strategy,
            intent.symbol,
            intent.side,
            intent.role,
            message.quantity,
            message.limit_price,
        )

    def refuse_intent(self, message: m.IntentRefused, _now: int) -> None:
        """Forget the question."""
        self.pending.pop(message.intent_id, None)

    def refuse_order(self, message: m.OrderRefused, _now: int) -> None:
        """Forget the question."""
        self.pending.pop(message.order_id, None)

    def send(self, message: m.OrderApproved, _now: int) -> None:
        """Count an order from its approval on."""
        order = message.order
        asked = self.pending.pop(order.order_id, None)
        if asked is not None:
            self.approved_at.append(asked[0])
        self.orders[order.order_id] = LiveOrder(
            order.order_id,
            order.intent_id,
            order.strategy,
            order.symbol,
            order.side,
            order.role,
            order.quantity,
            order.limit_price,
        )

    # Facts about orders.

    def sent(self, fact: m.OrderSent, _now: int) -> None:
        """Note that the broker may count it too."""
        order = self.orders.get(fact.order_id)
        if order is not None:
            order.is_sent = True

    def fill(self, fact: m.OrderFilled, _now: int) -> None:
        """Move what was reserved to what is held, in one step."""
        self._trade(fact.strategy, fact.symbol, fact.side, fact.quantity, fact.price)
        parent = self.reservations.get(fact.intent_id)
        if parent is not None:
            parent.filled += fact.quantity
        order = self.orders.get(fact.order_id)
        if order is not None:
            order.filled = max(order.filled, fact.cumulative)
            if order.filled >= order.quantity:
                self._drop(order)

    def end(self, fact: m.Message, order_id: str, cumulative: Decimal) -> None:
        """Release what a terminal order will not use; one that may turn up is remembered."""
        order = self.orders.get(order_id)
        if order is None:
            return
        if order.role is Role.ENTRY and cumulative > order.filled:
            # The broker filled more than we were told so far: that part counts until its fill arrives.
            order.quantity = cumulative
            return
        if may_be_acknowledged_late(fact):
            remember(self.presumed, order_id, order)
        self._drop(order)

    def reopen(self, fact: m.OrderAccepted, _now: int) -> None:
        """Count an order again that was presumed refused and is at the broker after all."""
        order = self.presumed.pop(fact.order_id, None)
        if order is None:
            return
        order.is_sent = True
        self.orders[order.order_id] = order
        parent = self.reservations.get(order.intent_id)
        if parent is None:
            parent = self.reservations[order.intent_id] = Reservation(
                order.intent_id,
                order.strategy,
                order.symbol,
                order.side,
                order.role,
                order.quantity,
                order.limit_price or ZERO,
                order.filled,
                is_closed=True,
            )
        parent.is_crowded = True

    def bust(self, fact: m.TradeBusted, _now: int) -> None:
        """Take an execution back."""
        self._trade(fact.strategy, fact.symbol, fact.side, -fact.quantity, fact.price)

    def close(self, fact: m.IntentClosed, _now: int) -> None:
        """Release a parent; what its live orders may still do stays counted."""
        parent = self.reservations.get(fact.intent_id)
        if parent is not None:
            parent.is_closed = True
            self._settle(parent)

    def _drop(self, order: LiveOrder) -> None:
        del self.orders[order.order_id]
        parent = self.reservations.get(order.intent_id)
        if parent is not None:
            self._settle(parent)

    def _settle(self, parent: Reservation) -> None:
        if parent.is_closed and not any(self.children(parent.intent_id)):
            del self.reservations[parent.intent_id]

    # Permissions.

    def permit(self, fact: m.Message, _now: int) -> None:
        """Take over what may be done from here on."""
        self.permissions.apply(fact)

    def start(self, message: m.RunStarted, _now: int) -> None:
        """Line up orders and reservations by name: in which order they came, a checkpoint forgets."""
        self.permissions.apply(message)
        self.orders = dict(sorted(self.orders.items()))
        self.presumed = dict(sorted(self.presumed.items()))
        self.reservations = dict(sorted(self.reservations.items()))

    # Facts about the book.

    def adopt(self, fact: m.BookAdopted, _now: int) -> None:
        """Take the broker's book (`state/positions.py` says whose each position is)."""
        self.cash = fact.cash
        local, self.positions = self.positions, {}
        for reported in fact.positions:
            holders = local.get(reported.symbol, {})
            if not keeps_owners(holders, reported.quantity):
                holders = {EXTERNAL: reported.quantity}
            if reported.quantity:
                self.positions[reported.symbol] = holders

    def charge(self, fact: m.FeeCharged, _now: int) -> None:
        """Pay a fee in dollars or in coins of the position."""
        coins = coins_of(fact)
        if coins:
            self.move(fact.strategy, fact.symbol, -coins)
        else:
            self._move_cash(-fact.amount)

    def receive(self, fact: m.CashMoved, _now: int) -> None:
        """Take a deposit, a dividend, interest; or pay."""
        self._move_cash(fact.amount)

    def split(self, fact: m.CorporateAction, _now: int) -> None:
        """Multiply a position by a split; its old price means nothing from here on."""
        holders = self.positions.pop(fact.symbol, {})
        for strategy, quantity in holders_after(fact, holders).items():
            self.move(strategy, fact.symbol, quantity)
        self.marks.pop(fact.symbol, None)

    def explain(self, fact: m.BreakExplained, _now: int) -> None:
        """Take over what the reconciler explained: dollars, else coins or shares."""
        if is_in_dollars(fact):
            self._move_cash(fact.amount)
        else:
            heir = heir_of(self.positions.get(fact.symbol, {}))
            self.move(heir, fact.symbol, fact.amount)

    def snapshot(self, fact: m.BrokerSnapshot, _now: int) -> None:
        """Learn the broker's buying power, with what our working entries hold of it added back."""
        held = sum(
            (
                order.remaining * order.limit_price
                for order in self.orders.values()
                if order.is_sent and order.limit_price is not None and order.side is Side.BUY
            ),
            ZERO,
        )
        self.power = fact.buying_power + held

    def move(self, strategy: str, symbol: str, quantity: Decimal) -> None:
        """Change one position by a signed quantity."""
        holders = self.positions.setdefault(symbol, {})
        after = holders.get(strategy, ZERO) + quantity
        if after:
            holders[strategy] = after
        else:
            holders.pop(strategy, None)
        if not holders:
            del self.positions[symbol]

    def _trade(
        self, strategy: str, symbol: str, side: Side, quantity: Decimal, price: Decimal
    ) -> None:
        signed = quantity if side is Side.BUY else -quantity
        self.move(strategy, symbol, signed)
        self._move_cash(-signed * price)

    def _move_cash(self, amount: Decimal) -> None:
        if self.cash is not None:
            self.cash += amount
        if self.power is not None:
            self.power += amount
