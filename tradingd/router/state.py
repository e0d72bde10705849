"""The router's state, and how every message it hears or says changes it.

Everything durable follows from messages alone, in whatever order they interleave on the log, so recovery
applies them and arrives at the same desk. What depends on `now` (when to ask again, how long to pause)
lives only in memory and starts anew with the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, get_args

import msgspec

from tradingd import messages as m
from tradingd.instruments.units import ZERO
from tradingd.messages import Mark, Message, Role
from tradingd.router.holdings import Holdings, HoldingsState
from tradingd.router.lifecycle import TERMINAL, OrderState, next_state
from tradingd.router.parents import ChildOrder, Parent
from tradingd.router.settings import RouterSettings
from tradingd.state.ids import OrderId, Origin, by_age, intent_id, number_of, parent_of
from tradingd.state.permissions import KINDS, Action, Permissions

OVERDUE = "overdue"
SYMBOL_HALTED = "symbol halted"
ENDS_CHILD_ONLY = frozenset({OVERDUE, SYMBOL_HALTED})
"""The reasons of a cancel that only end one child; every other reason closes the parent."""

_FAILED = frozenset({OrderState.REFUSED, OrderState.REJECTED, OrderState.NOT_SENT})

OrderFact = (
    m.OrderApproved | m.OrderRefused | m.OrderSent | m.OrderNotSent | m.OrderAccepted
    | m.OrderCanceled | m.OrderExpired | m.OrderRejected | m.OrderReplaced | m.OrderUnknown
    | m.CancelRejected
)  # fmt: skip


class SavedRouterState(msgspec.Struct):
    """The durable part of the desk."""

    instance_id: str = ""
    counter: int = 0
    """The number of the latest exit or flatten of our own."""
    permissions: Permissions = msgspec.field(default_factory=Permissions)
    flatten_asked: set[str] = set()
    """Symbols an operator wants gone; forgotten when an entry is approved after they are flat."""
    orders: dict[str, ChildOrder] = {}
    parents: dict[str, Parent] = {}
    holdings: HoldingsState = msgspec.field(default_factory=HoldingsState)


class RouterState:
    """Orders, parents, holdings, and what the system allows."""

    def __init__(self, settings: RouterSettings) -> None:
        self.settings = settings
        self.marks: dict[str, Mark] = {}
        self.holdings = Holdings(settings)
        self._take(SavedRouterState())
        self._applies_at: Mapping[type[Message], Callable[[Any, int], None]] = {
            m.IntentApproved: self._open,
            m.OrderFilled: self._fill,
            **dict.fromkeys(get_args(OrderFact), self._step),
        }
        self._handlers = self._handler_table()

    def _take(self, state: SavedRouterState) -> None:
        self.instance_id = state.instance_id
        self.counter = state.counter
        self.permissions = state.permissions
        self.flatten_asked = state.flatten_asked
        self.orders = state.orders
        self.parents = state.parents
        self.holdings.take(state.holdings)
        self._line_up()

    def _line_up(self) -> None:
        """Put orders and parents in the one order that follows from their names.

        A checkpoint forgets in which order they came, the log does not; decisions go through them in order.
        """
        self.orders = dict(sorted(self.orders.items(), key=by_age))
        self.parents = dict(sorted(self.parents.items(), key=by_age))
        self._children: dict[str, list[ChildOrder]] = {}
        """Parent -> its live orders, oldest first: the same as in `orders`, found without looking at all."""
        for order in self.orders.values():
            self._children.setdefault(order.intent_id, []).append(order)

    def save(self) -> bytes:
        """Return the durable state; equal desks give equal bytes."""
        state = SavedRouterState(
            instance_id=self.instance_id,
            counter=self.counter,
            permissions=self.permissions,
            flatten_asked=self.flatten_asked,
            orders=self.orders,
            parents=self.parents,
            holdings=self.holdings.state(),
        )
        return msgspec.json.encode(state, order="deterministic")

    def load(self, state: bytes) -> None:
        """Replace the durable state."""
        self._take(msgspec.json.decode(state, type=SavedRouterState))

    def apply(self, message: Message, now: int) -> None:
        """Apply one message, heard or said; what does not concern the desk changes nothing.

        `now` may be kept of what is heard only: what we say is stamped after we have applied it.
        """
        kind = type(message)
        apply_at = self._applies_at.get(kind)  # most of what comes here
        if apply_at is not None:
            apply_at(message, now)
            return
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(message)

    @property
    def concerns(self) -> frozenset[type[Message]]:
        """Return what `apply` takes; every other message changes nothing."""
        return frozenset(self._handlers) | frozenset(self._applies_at)

    # What the deciders ask.

    def live_of(self, intent_id: str) -> Sequence[ChildOrder]:
        """Return the live children of a parent; copy it before anything is heard of one."""
        return self._children.get(intent_id, ())

    def live_in(self, symbol: str) -> Iterator[ChildOrder]:
        """Yield the live orders of a symbol."""
        return (order for order in self.orders.values() if order.symbol == symbol)

    def may_flatten(self, symbol: str) -> bool:
        """Tell whether a flatten order may go out now: into the market, or into its queue if so configured."""
        permissions = self.permissions
        is_queued = self.settings.flatten_closed == "queue" and symbol not in permissions.halted
        return is_queued or permissions.is_trading(symbol)

    def is_resting(self, order: ChildOrder) -> bool:
        """Tell whether an order waits for its market to open: its patience has not begun."""
        return order.role is Role.FLATTEN and not self.permissions.is_trading(order.symbol)

    def is_flattening(self, symbol: str) -> bool:
        """Tell whether all of `symbol` must go."""
        return symbol in self.flatten_asked or self.permissions.may(Action.FLATTEN)

    def next_id(self, role: Role, strategy: str) -> str:
        """Return the id of the next exit or flatten; the counter moves when it is said."""
        origin = Origin.FLATTEN if role is Role.FLATTEN else Origin.EXIT
        return intent_id(self.instance_id, origin, strategy, self.counter + 1)

    # Folds.

    def _handler_table(self) -> Mapping[type[Message], Callable[[Any], None]]:
        return {
            **dict.fromkeys(KINDS, self._permit),
            m.RunStarted: self._start,
            m.OperatorAsked: self._ask,
            m.IntentClosed: self._close,
            m.OrderProposed: self._propose,
            m.CancelOrder: self._cancel,
            m.TradeBusted: self.holdings.bust,
            m.FeeCharged: self.holdings.charge,
            m.CorporateAction: self._split,
            m.BookAdopted: self.holdings.adopt,
            m.BreakExplained: self.holdings.explain,
            m.ProtectionStarted: self.holdings.start_protection,
        }

    def _start(self, message: m.RunStarted) -> None:
        self.instance_id = message.instance_id
        self.permissions.apply(message)
        self._line_up()
        self.holdings.line_up()

    def _permit(self, message: Message) -> None:
        self.permissions.apply(message)

    def _ask(self, message: m.OperatorAsked) -> None:
        if message.ask is m.Ask.FLATTEN and message.target:
            self.flatten_asked.add(message.target)

    def _open(self, message: m.IntentApproved, now: int) -> None:
        intent_id = message.intent.intent_id
        parts = OrderId.parse(intent_id)
        self.parents[intent_id] = Parent(
            intent_id,
            message.intent.strategy,
            message.intent.symbol,
            message.intent.side,
            message.intent.role,
            message.quantity,
            message.limit_price,
            message.intent.quoted_at,
            is_approved=True,
            is_operators=parts is not None and parts.origin is Origin.OPERATOR,
            algorithm=message.intent.algorithm,
            started_at=now,
        )
        if message.intent.role is Role.ENTRY:
            self.holdings.plan(message)
            if message.intent.symbol not in self.holdings.positions:
                self.flatten_asked.discard(message.intent.symbol)

    def _close(self, message: m.IntentClosed) -> None:
        self.parents.pop(message.intent_id, None)

    def _propose(self, message: m.OrderProposed) -> None:
        order = self.orders[message.order_id] = ChildOrder(
            message.order_id,
            message.intent_id,
            message.strategy,
            message.symbol,
            message.side,
            message.role,
            message.quantity,
            message.limit_price,
        )
        self._children.setdefault(message.intent_id, []).append(order)
        parent = self.parents.get(message.intent_id)
        if parent is None:
            parent = self._adopt_own(message)
        parent.children += 1
        parent.slice_number = message.slice_number

    def _adopt_own(self, message: m.OrderProposed) -> Parent:
        parent = self.parents[message.intent_id] = Parent(
            message.intent_id,
            message.strategy,
            message.symbol,
            message.side,
            message.role,
            message.quantity,
            None,
            message.quoted_at,
            is_approved=False,
            reason=message.reason,
        )
        self.counter = max(self.counter, number_of(message.intent_id))
        return parent

    def _step(self, message: OrderFact, now: int) -> None:
        order = self.orders.get(message.order_id)
        if order is None:
            return  # of a foreign hand, or ended before
        order.state = next_state(order.state, message)
        if order.state in TERMINAL:
            self._end(order, message, now)

    def _fill(self, message: m.OrderFilled, now: int) -> None:
        self.holdings.fill(message)
        order = self.orders.get(message.order_id)
        parent = self.parents.get(message.intent_id)
        if parent is not None:
            parent.filled += message.quantity
            parent.value += message.quantity * message.price
            parent.failures = 0
            if order is None:
                parent.unreported = max(ZERO, parent.unreported - message.quantity)
        if order is None:
            return
        order.state = next_state(order.state, message)
        order.filled = max(order.filled, message.cumulative)
        if order.filled >= order.quantity:
            order.state = OrderState.FILLED
            self._end(order, message, now)

    def _end(self, order: ChildOrder, message: OrderFact | m.OrderFilled, now: int) -> None:
        del self.orders[order.order_id]
        siblings = self._children[order.intent_id]
        siblings.remove(order)
        if not siblings:
            del self._children[order.intent_id]
        parent = self.parents.get(order.intent_id)
        if parent is not None:
            detail = getattr(message, "reason", "")
            parent.last_end = f"{order.state}: {detail}" if detail else str(order.state)
            parent.ended_at = now
            if order.state in _FAILED:
                parent.failures += 1
            parent.unreported += max(ZERO, getattr(message, "cumulative", ZERO) - order.filled)

    def _cancel(self, message: m.CancelOrder) -> None:
        order = self.orders.get(message.order_id)
        if order is not None:
            order.state = next_state(order.state, message)
        parent = self.parents.get(parent_of(message.order_id))
        if parent is not None and not parent.closing and message.reason not in ENDS_CHILD_ONLY:
            parent.closing = message.reason

    def _split(self, message: m.CorporateAction) -> None:
        self.holdings.split(message)
        self.marks.pop(message.symbol, None)


def remaining(orders: Iterable[ChildOrder]) -> Decimal:
    """Return what these orders may still fill."""
    return sum((order.remaining for order in orders), ZERO)
