"""The reconciler's own book: cash, positions, open orders, and the fees that are still an estimate."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from tradingd.instruments.money import signed
from tradingd.instruments.presumed import may_be_acknowledged_late, remember
from tradingd.instruments.units import ZERO
from tradingd.messages import (
    BookAdopted,
    BooksAgreed,
    BreakExplained,
    BreakOpened,
    BrokerPosition,
    BrokerSnapshot,
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
    RunStarted,
    TradeBusted,
)
from tradingd.state.positions import coins_of, is_in_dollars, total_after

FIRST_START = "first start"
EXTERNAL_HOLDING = "foreign"
"""The kind of a difference that is external orders's business, and stays so."""

EXTERNAL_ORDER = "foreign_order"
MISSING_ORDER = "missing_order"
"""The kind of a difference that is an order of ours that the broker does not list."""


class _Order(msgspec.Struct):
    quantity: Decimal
    cumulative: Decimal = ZERO
    is_accepted: bool = False


class _Estimates(msgspec.Struct):
    """What may differ for no other reason than that it was estimated."""

    usd: Decimal = ZERO
    coins: dict[str, Decimal] = msgspec.field(default_factory=dict)
    has_traded: bool = False
    """Whether an execution was applied meanwhile: the broker rounds each."""

    def add(self, other: _Estimates) -> None:
        self.usd += other.usd
        self.has_traded |= other.has_traded
        for symbol, amount in other.coins.items():
            self.add_coins(symbol, amount)

    def add_coins(self, symbol: str, amount: Decimal) -> None:
        self.coins[symbol] = self.coins.get(symbol, ZERO) + amount


class _State(msgspec.Struct, forbid_unknown_fields=True):
    """What a checkpoint keeps; one of a version that kept it in other words is passed over, never half read."""

    is_adopted: bool = False
    cash: Decimal = ZERO
    positions: dict[str, Decimal] = msgspec.field(default_factory=dict)
    orders: dict[str, _Order] = msgspec.field(default_factory=dict)
    presumed: dict[str, _Order] = msgspec.field(default_factory=dict)
    """Ended for us and may still turn up."""
    estimated: _Estimates = msgspec.field(default_factory=_Estimates)
    """From the last agreement to the latest snapshot: what that snapshot may show otherwise."""
    fresh: _Estimates = msgspec.field(default_factory=_Estimates)
    """Since the latest snapshot: no agreement on that one settles it."""
    fees_owed_usd: Decimal = ZERO
    """Estimated, not taken by the broker yet, and given back to our cash until it is."""
    tolerated_orders: set[str] = msgspec.field(default_factory=set)
    """Orders of external orders that a person or the policy has accepted."""
    unaccepted: set[str] = msgspec.field(default_factory=set)
    """Positions that were there at the very first start, and that no person has accepted yet."""
    external: dict[str, Decimal] = msgspec.field(default_factory=dict)
    """What external orders holds in this account and the policy leaves alone; under "" its cash."""
    has_agreed: bool = False
    """Whether the books agreed once in this run: what differs later happened while we looked."""
    open_breaks: set[tuple[str, str, str]] = msgspec.field(default_factory=set)
    """Differences said and not resolved: each is said once."""
    latest: BrokerSnapshot | None = None
    cash_then: Decimal = ZERO
    """Our cash when the latest snapshot came; what moved since is ours to add when it is adopted."""
    positions_then: dict[str, Decimal] = msgspec.field(default_factory=dict)


class ReconciliationState:
    """What we believe the broker has."""

    def __init__(self) -> None:
        self._state = _State()
        self._handlers: dict[type[Message], Callable[[Any], None]] = {
            OrderApproved: self._approved,
            OrderAccepted: self._accepted,
            OrderFilled: self._filled,
            OrderNotSent: self._ended,
            OrderCanceled: self._ended,
            OrderExpired: self._ended,
            OrderRejected: self._ended,
            OrderReplaced: self._ended,
            TradeBusted: self._busted,
            FeeCharged: self._fee,
            CashMoved: self._cash_moved,
            CorporateAction: self._split,
            BookAdopted: self._adopted,
            BrokerSnapshot: self._latest,
            BreakExplained: self._explained,
            BreakOpened: self._unexplained,
            BooksAgreed: self._agreed,
            RunStarted: self._started,
        }

    def apply(self, message: Message) -> None:
        """Apply one fact."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    @property
    def concerns(self) -> frozenset[type[Message]]:
        """Return what `apply` applies; every other message changes nothing."""
        return frozenset(self._handlers)

    @property
    def state(self) -> _State:
        """The numbers, for comparing."""
        return self._state

    @property
    def is_adopted(self) -> bool:
        """Tell whether the book was ever opened."""
        return self._state.is_adopted

    def is_open_break(self, difference: BreakOpened) -> bool:
        """Tell whether this very difference was said and nothing cleared it since."""
        return _key(difference) in self._state.open_breaks

    def save(self) -> bytes:
        """Return the state; equal states give equal bytes."""
        return msgspec.json.encode(self._state, order="sorted")

    def load(self, state: bytes) -> None:
        """Replace the state by a saved one."""
        self._state = msgspec.json.decode(state, type=_State)

    def left(self, snapshot: BrokerSnapshot) -> tuple[bool, int]:
        """Return whether the account is flat and how many orders are open, but for those of external orders."""
        external, external_ids = self._state.external, self._state.tolerated_orders
        is_flat = all(row.quantity == external.get(row.symbol, ZERO) for row in snapshot.positions)
        return is_flat, sum(order.order_id not in external_ids for order in snapshot.orders)

    def adoption(self, snapshot: BrokerSnapshot, reason: str) -> BookAdopted:
        """Return the latest snapshot as our book, with what we know to have moved since it was taken."""
        state = self._state
        rows = {row.symbol: row for row in snapshot.positions}
        symbols = sorted(set(rows) | set(state.positions) | set(state.positions_then))
        positions = (self._adopted_row(symbol, rows.get(symbol)) for symbol in symbols)
        return BookAdopted(
            cash=snapshot.cash - state.external.get("", ZERO) + state.cash - state.cash_then,
            positions=tuple(row for row in positions if row.quantity),
            reason=reason,
        )

    def _adopted_row(self, symbol: str, row: BrokerPosition | None) -> BrokerPosition:
        state = self._state
        moved = state.positions.get(symbol, ZERO) - state.positions_then.get(symbol, ZERO)
        if row is None:
            return BrokerPosition(symbol, moved, ZERO)
        local = row.quantity - self._external_part(row)
        return BrokerPosition(symbol, local + moved, row.average_price)

    def _external_part(self, row: BrokerPosition) -> Decimal:
        """Return how much of a position is external orders's: never more than there is."""
        external = self._state.external.get(row.symbol, ZERO)
        if row.quantity < 0:
            return min(max(external, row.quantity), ZERO)
        return max(min(external, row.quantity), ZERO)

    def _move(self, symbol: str, quantity: Decimal) -> None:
        after = self._state.positions.get(symbol, ZERO) + quantity
        if after:
            self._state.positions[symbol] = after
        else:
            self._state.positions.pop(symbol, None)

    def _approved(self, message: OrderApproved) -> None:
        self._state.orders[message.order.order_id] = _Order(message.order.quantity)

    def _accepted(self, message: OrderAccepted) -> None:
        late = self._state.presumed.pop(message.order_id, None)
        if late is not None:
            self._state.orders[message.order_id] = late
        if order := self._state.orders.get(message.order_id):
            order.is_accepted = True

    def _filled(self, message: OrderFilled) -> None:
        moved = signed(message.side, message.quantity)
        self._move(message.symbol, moved)
        self._state.cash -= moved * message.price
        self._state.fresh.has_traded = True
        if order := self._state.orders.get(message.order_id):
            order.cumulative = message.cumulative
            if order.cumulative >= order.quantity:
                del self._state.orders[message.order_id]

    def _ended(
        self,
        message: OrderNotSent | OrderCanceled | OrderExpired | OrderRejected | OrderReplaced,
    ) -> None:
        order = self._state.orders.pop(message.order_id, None)
        if order is not None and may_be_acknowledged_late(message):
            remember(self._state.presumed, message.order_id, order)

    def _busted(self, message: TradeBusted) -> None:
        moved = -signed(message.side, message.quantity)
        self._move(message.symbol, moved)
        self._state.cash -= moved * message.price

    def _fee(self, message: FeeCharged) -> None:
        taken = coins_of(message)
        if not taken:
            self._state.cash -= message.amount
            self._state.fresh.usd += message.amount
            return
        self._move(message.symbol, -taken)
        self._state.fresh.add_coins(message.symbol, taken)

    def _cash_moved(self, message: CashMoved) -> None:
        self._state.cash += message.amount

    def _split(self, message: CorporateAction) -> None:
        symbol, external = message.symbol, self._state.external
        held, reported = self._state.positions.get(symbol, ZERO), external.get(symbol, ZERO)
        local = total_after(message, held)
        self._move(symbol, local - held)
        if reported:  # the broker rounds the two of them as one
            external[symbol] = total_after(message, held + reported) - local

    def _adopted(self, message: BookAdopted) -> None:
        state = self._state
        is_first = message.reason == FIRST_START
        state.unaccepted = {row.symbol for row in message.positions} if is_first else set()
        state.is_adopted = True
        state.cash = message.cash
        state.positions = {row.symbol: row.quantity for row in message.positions if row.quantity}
        state.estimated = _Estimates()
        if state.latest is not None:
            parts = {row.symbol: self._external_part(row) for row in state.latest.positions}
            state.external = {"": state.external.get("", ZERO), **parts}
            state.external = {key: part for key, part in state.external.items() if part}
            state.cash_then = state.latest.cash - state.external.get("", ZERO)
            state.positions_then = {
                row.symbol: row.quantity - parts[row.symbol] for row in state.latest.positions
            }
        if state.open_breaks and state.latest is not None:
            listed = {order.order_id for order in state.latest.orders}
            state.tolerated_orders |= listed - set(state.orders)
            # Only what was said to be missing goes: an order that came after the snapshot was never compared.
            for kind, order_id, _ in state.open_breaks:
                if kind == MISSING_ORDER and order_id not in listed:
                    state.orders.pop(order_id, None)

    def _latest(self, message: BrokerSnapshot) -> None:
        state = self._state
        state.latest = message
        state.estimated.add(state.fresh)
        state.fresh = _Estimates()
        state.cash_then = state.cash
        state.positions_then = dict(state.positions)
        state.unaccepted &= {row.symbol for row in message.positions if row.quantity}
        # A stranger that is gone need not be tolerated any longer.
        state.tolerated_orders &= {order.order_id for order in message.orders}

    def _explained(self, message: BreakExplained) -> None:
        state = self._state
        if message.kind == EXTERNAL_ORDER:
            state.tolerated_orders.add(message.reported)
            return
        if message.kind == EXTERNAL_HOLDING:
            apart = Decimal(message.reported) - Decimal(message.local)
            state.external[message.symbol] = state.external.get(message.symbol, ZERO) + apart
            return
        if not is_in_dollars(message):
            self._move(message.symbol, message.amount)
            then = state.positions_then
            then[message.symbol] = then.get(message.symbol, ZERO) + message.amount
            return
        state.cash += message.amount
        state.cash_then += message.amount
        if message.kind == "fee":
            state.fees_owed_usd = max(state.fees_owed_usd + message.amount, ZERO)

    def _started(self, _: RunStarted) -> None:
        self._state.has_agreed = False
        self._state.latest = None  # what the run before saw is nothing to accept now

    def _unexplained(self, message: BreakOpened) -> None:
        self._state.open_breaks.add(_key(message))

    def _agreed(self, _: BooksAgreed) -> None:
        state = self._state
        state.estimated = _Estimates()
        state.has_agreed = True
        state.open_breaks = set()


def _key(difference: BreakOpened) -> tuple[str, str, str]:
    """What stays the same while trading goes on: for numbers, by how much they differ."""
    try:
        apart = str(Decimal(difference.reported) - Decimal(difference.local))
    except InvalidOperation:
        apart = difference.reported
    return difference.kind, difference.symbol, apart
