"""The router: approved intents in, orders out; protection of every position; flattening on demand.

This file only says who decides on which message. The decisions stand in `entries`, `exits` and
`flatten`, the state in `state`, the waiting in `watch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from tradingd import messages as m
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import NOTHING, Mark, Market, Message, Role, Side
from tradingd.router import entries, exits, slices
from tradingd.router.context import RouterContext
from tradingd.router.flatten import advance_flatten, flatten, flatten_all, is_stuck
from tradingd.router.lifecycle import OrderState
from tradingd.router.parents import ChildOrder, Parent
from tradingd.router.settings import RouterSettings
from tradingd.router.state import OVERDUE, OrderFact, RouterState
from tradingd.router.watch import Watch
from tradingd.state.permissions import Action

_AboutOrder = OrderFact | m.OrderFilled
_ABOUT_ORDERS: frozenset[type[Message]] = frozenset(get_args(_AboutOrder))
_Decide = Callable[[RouterContext, Any], None]

FEE_WAIT_S = 1.0
"""How long a flatten waits for the coins a fee takes out of a fresh buy."""


class RouterCore:
    """The decisions of actor `router`."""

    def __init__(self, settings: RouterSettings) -> None:
        self.state = RouterState(settings)
        self._watch = Watch()
        self._decide: Mapping[type[Message], _Decide] = _table()
        self._handlers: Mapping[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            **dict.fromkeys(self.state.concerns, self._on_fact),
            **dict.fromkeys(self._decide, self._on_cause),
            **dict.fromkeys(_ABOUT_ORDERS, self._on_order),
            Mark: self._on_mark,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Apply what is heard, decide, and return what is said."""
        handler = self.handler(type(message))
        return NOTHING if handler is None else handler(message, now)

    def handler(self, kind: type[Message]) -> Callable[[Any, int], Sequence[Message]] | None:
        """Return what `handle` calls for `kind`."""
        return self._handlers.get(kind)

    def apply(self, message: Message, now: int) -> None:
        """Apply one message of the log."""
        self.state.apply(message, now)

    def save(self) -> bytes:
        """Return everything but marks and waiting."""
        return self.state.save()

    def load(self, state: bytes) -> None:
        """Take up a saved state."""
        self.state.load(state)

    def _on_mark(self, mark: Mark, now: int) -> Sequence[Message]:
        self.state.marks[mark.symbol] = mark
        if mark.symbol in self.state.holdings.unpriced:
            context = RouterContext(self.state, self._watch, now)
            exits.start_protection(context, mark)
            exits.protect(context, mark.symbol)
            return self._end(context)
        for trigger in self.state.holdings.triggers.get(mark.symbol, ()):
            if not trigger.low < mark.bid < trigger.high:
                context = RouterContext(self.state, self._watch, now)
                exits.protect(context, mark.symbol)
                return self._end(context)
        return NOTHING

    def _on_fact(self, message: Message, now: int) -> Sequence[Message]:
        self.state.apply(message, now)
        return NOTHING

    def _on_cause(self, message: Message, now: int) -> Sequence[Message]:
        self.state.apply(message, now)
        context = RouterContext(self.state, self._watch, now)
        self._decide[type(message)](context, message)
        return self._end(context)

    def _on_order(self, fact: _AboutOrder, now: int) -> Sequence[Message]:
        orders = self.state.orders
        order = orders.get(fact.order_id)
        self.state.apply(fact, now)
        lives_on = order is not None and fact.order_id in orders
        if lives_on and type(fact) is not m.OrderApproved:
            return NOTHING  # most facts of an order: nothing waits for them
        context = RouterContext(self.state, self._watch, now)
        if order is None:
            if isinstance(fact, m.OrderFilled):
                _after_late_fill(context, fact)
        elif lives_on:
            _go_on(context, order)
        else:
            self._watch.orders.pop(order.order_id, None)
            _after_end(context, order)
        return self._end(context)

    def _end(self, context: RouterContext) -> Sequence[Message]:
        context.published += self._watch.arm()
        return context.published


def _go_on(context: RouterContext, order: ChildOrder) -> None:
    if order.state is OrderState.CANCELING:
        context.emit(m.CancelOrder(order_id=order.order_id, reason=OVERDUE))
        context.watch.orders[order.order_id] = context.now + context.timeout_ns
        return
    _extend_timeout(context, order)


def _extend_timeout(context: RouterContext, order: ChildOrder) -> None:
    ends_at = 0 if context.state.is_resting(order) else slices.expires_at(context, order)
    if ends_at:
        context.watch.orders[order.order_id] = ends_at


def _after_end(context: RouterContext, order: ChildOrder) -> None:
    state = context.state
    parent = state.parents.get(order.intent_id)
    if parent is not None and is_stuck(order.state) and order.role is not Role.ENTRY:
        exits.pause_after_refusal(context, parent)
    if order.filled:
        _wait_for_fee(context, order)
    if parent is not None:
        _advance(context, parent)
    _go_on_in(context, order.symbol)


def _after_late_fill(context: RouterContext, fact: m.OrderFilled) -> None:
    """A fill of an order that had ended: its position may have to go at once."""
    _wait_for_fee(context, fact)
    parent = context.state.parents.get(fact.intent_id)
    if parent is not None and parent.is_approved:
        entries.advance(context, parent)
    _go_on_in(context, fact.symbol)


def _wait_for_fee(context: RouterContext, bought: ChildOrder | m.OrderFilled) -> None:
    is_crypto = market_of(bought.symbol) is Market.CRYPTO
    if is_crypto and bought.side is Side.BUY and context.state.is_flattening(bought.symbol):
        context.pause(bought.strategy, bought.symbol, FEE_WAIT_S)


def _advance(context: RouterContext, parent: Parent) -> None:
    if parent.is_approved:
        entries.advance(context, parent)
    elif parent.role is Role.FLATTEN:
        advance_flatten(context, parent)
    else:
        exits.advance_own(context, parent)


def _go_on_in(context: RouterContext, symbol: str) -> None:
    """Something changed in this symbol: whoever waited for it goes on."""
    state = context.state
    if not any(state.live_in(symbol)):
        context.watch.blocked.pop(symbol, None)
    if state.is_flattening(symbol):
        flatten(context, symbol)
        return
    for parent in list(state.parents.values()):
        is_waiting = parent.intent_id in context.watch.parents or not parent.is_approved
        if parent.symbol == symbol and is_waiting:
            _advance(context, parent)
    exits.protect(context, symbol)


def _on_start(context: RouterContext, _published: m.RunStarted) -> None:
    for parent in list(context.state.parents.values()):
        if not any(context.state.live_of(parent.intent_id)) and not slices.resume(context, parent):
            context.close(parent, "restart")
    for order in context.state.orders.values():
        if order.state is OrderState.CANCELING:
            context.watch.orders[order.order_id] = context.now + context.timeout_ns
        else:
            _extend_timeout(context, order)


def _on_level(context: RouterContext, message: m.LevelChanged) -> None:
    watch, may = context.watch, context.state.permissions.may
    if may(Action.ENTER) or not may(Action.KEEP_ENTRIES):
        watch.grace_at = 0
    elif not watch.grace_at and any(p.role is Role.ENTRY for p in context.state.parents.values()):
        watch.grace_at = context.now + max(1, int(context.state.settings.entry_grace_s * SECOND_NS))
    if may(Action.FLATTEN):
        flatten_all(context)
    elif not may(Action.KEEP_ENTRIES):
        entries.cancel_entries(context, f"level {message.level}")
    _wake(context)


def _wake(context: RouterContext, market: Market | None = None) -> None:
    """What the system allows has changed: waiting parents look again."""
    for parent_id in list(context.watch.parents):
        parent = context.state.parents.get(parent_id)
        if parent is not None and market in (None, market_of(parent.symbol)):
            _advance(context, parent)


def _on_opened(context: RouterContext, message: m.IntentApproved) -> None:
    entries.open_parent(context, message)


def _on_asked(context: RouterContext, message: m.OperatorAsked) -> None:
    if message.ask is m.Ask.CANCEL:
        entries.cancel_asked(context, message.target)
    elif message.ask is m.Ask.FLATTEN and message.target:
        flatten(context, message.target)


def _on_stopped(context: RouterContext, message: m.StrategyStopped) -> None:
    entries.cancel_entries(context, "strategy stopped", message.strategy)


def _on_session(context: RouterContext, message: m.SessionChanged) -> None:
    for symbol in sorted(context.state.holdings.positions):
        if market_of(symbol) is message.market:
            for order in context.state.live_in(symbol):
                if order.role is Role.FLATTEN:
                    _extend_timeout(
                        context, order
                    )  # one that waited for the opening waits no longer
            _go_on_in(context, symbol)
    _wake(context, message.market)


def _on_symbol(
    context: RouterContext, message: m.SymbolHalted | m.FeeCharged | m.TradeBusted
) -> None:
    if isinstance(message, m.SymbolHalted) and message.is_halted:
        slices.pull_back(context, message.symbol)
    if isinstance(message, m.FeeCharged):
        context.watch.pauses.pop((message.strategy, message.symbol), None)
    _go_on_in(context, message.symbol)


def _on_book(context: RouterContext, _published: m.BookAdopted | m.BreakExplained) -> None:
    flatten_all(context)


def _on_timer(context: RouterContext, _fired: m.TimerFired) -> None:
    watch, now = context.watch, context.now
    watch.fired()
    if watch.grace_at and watch.grace_at <= now:
        watch.grace_at = 0
        entries.cancel_entries(context, f"level {context.state.permissions.level}")
    for order_id in [key for key, due in watch.orders.items() if due <= now]:
        del watch.orders[order_id]
        order = context.state.orders.get(order_id)
        if order is None:
            continue
        if slices.may_rest(context, order):
            _extend_timeout(context, order)
        else:
            context.cancel(order, OVERDUE)
    symbols = set()
    for key in [key for key, due in watch.pauses.items() if due <= now]:
        del watch.pauses[key]
        symbols.add(key[1])
    for parent_id in [key for key, due in watch.parents.items() if due <= now]:
        del watch.parents[parent_id]
        parent = context.state.parents.get(parent_id)
        if parent is not None:
            _advance(context, parent)
    for symbol in sorted(symbols | set(watch.blocked)):
        _go_on_in(context, symbol)


def _table() -> Mapping[type[Message], _Decide]:
    return {
        m.RunStarted: _on_start,
        m.LevelChanged: _on_level,
        m.IntentApproved: _on_opened,
        m.OperatorAsked: _on_asked,
        m.StrategyStopped: _on_stopped,
        m.SessionChanged: _on_session,
        m.SymbolHalted: _on_symbol,
        m.FeeCharged: _on_symbol,
        m.TradeBusted: _on_symbol,
        m.BookAdopted: _on_book,
        m.BreakExplained: _on_book,
        m.TimerFired: _on_timer,
    }
