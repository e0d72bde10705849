"""The router: approved intents in, orders out; protection of every position; flattening on demand.

This file only says who decides on which message. The decisions stand in `entries`, `exits` and
`flatten`, the state in `desk`, the waiting in `watch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from tradingd import messages as m
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import NOTHING, Mark, Market, Message, Role, Side
from tradingd.router import entries, exits, slices
from tradingd.router.desk import OVERDUE, Desk, OrderFact
from tradingd.router.flatten import advance_flatten, flatten, flatten_all, is_stuck
from tradingd.router.lifecycle import OrderState
from tradingd.router.parents import Order, Parent
from tradingd.router.settings import RouterSettings
from tradingd.router.turn import Turn
from tradingd.router.watch import Watch
from tradingd.state.permissions import Action

_AboutOrder = OrderFact | m.OrderFilled
_ABOUT_ORDERS: frozenset[type[Message]] = frozenset(get_args(_AboutOrder))
_Decide = Callable[[Turn, Any], None]

FEE_WAIT_S = 1.0
"""How long a flatten waits for the coins a fee takes out of a fresh buy."""


class RouterCore:
    """The decisions of station `router`."""

    def __init__(self, settings: RouterSettings) -> None:
        self.desk = Desk(settings)
        self._watch = Watch()
        self._decide: Mapping[type[Message], _Decide] = _table()
        self._handlers: Mapping[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            **dict.fromkeys(self.desk.concerns, self._on_fact),
            **dict.fromkeys(self._decide, self._on_cause),
            **dict.fromkeys(_ABOUT_ORDERS, self._on_order),
            Mark: self._on_mark,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Fold what is heard, decide, and return what is said."""
        handler = self.handler(type(message))
        return NOTHING if handler is None else handler(message, now)

    def handler(self, kind: type[Message]) -> Callable[[Any, int], Sequence[Message]] | None:
        """Return what `handle` calls for `kind`."""
        return self._handlers.get(kind)

    def apply(self, message: Message, now: int) -> None:
        """Fold one message of the log."""
        self.desk.fold(message, now)

    def save(self) -> bytes:
        """Return everything but marks and waiting."""
        return self.desk.save()

    def load(self, state: bytes) -> None:
        """Take up a saved state."""
        self.desk.load(state)

    def _on_mark(self, mark: Mark, now: int) -> Sequence[Message]:
        self.desk.marks[mark.symbol] = mark
        if mark.symbol in self.desk.holdings.unpriced:
            turn = Turn(self.desk, self._watch, now)
            exits.start_protection(turn, mark)
            exits.protect(turn, mark.symbol)
            return self._end(turn)
        for trigger in self.desk.holdings.triggers.get(mark.symbol, ()):
            if not trigger.low < mark.bid < trigger.high:
                turn = Turn(self.desk, self._watch, now)
                exits.protect(turn, mark.symbol)
                return self._end(turn)
        return NOTHING

    def _on_fact(self, message: Message, now: int) -> Sequence[Message]:
        self.desk.fold(message, now)
        return NOTHING

    def _on_cause(self, message: Message, now: int) -> Sequence[Message]:
        self.desk.fold(message, now)
        turn = Turn(self.desk, self._watch, now)
        self._decide[type(message)](turn, message)
        return self._end(turn)

    def _on_order(self, fact: _AboutOrder, now: int) -> Sequence[Message]:
        orders = self.desk.orders
        order = orders.get(fact.order_id)
        self.desk.fold(fact, now)
        lives_on = order is not None and fact.order_id in orders
        if lives_on and type(fact) is not m.OrderApproved:
            return NOTHING  # most facts of an order: nothing waits for them
        turn = Turn(self.desk, self._watch, now)
        if order is None:
            if isinstance(fact, m.OrderFilled):
                _after_late_fill(turn, fact)
        elif lives_on:
            _go_on(turn, order)
        else:
            self._watch.orders.pop(order.order_id, None)
            _after_end(turn, order)
        return self._end(turn)

    def _end(self, turn: Turn) -> Sequence[Message]:
        turn.said += self._watch.arm()
        return turn.said


def _go_on(turn: Turn, order: Order) -> None:
    if order.state is OrderState.CANCELING:
        turn.say(m.CancelOrder(order_id=order.order_id, reason=OVERDUE))
        turn.watch.orders[order.order_id] = turn.now + turn.patience_ns
        return
    _be_patient(turn, order)


def _be_patient(turn: Turn, order: Order) -> None:
    ends_at = 0 if turn.desk.is_resting(order) else slices.patience_ends_at(turn, order)
    if ends_at:
        turn.watch.orders[order.order_id] = ends_at


def _after_end(turn: Turn, order: Order) -> None:
    desk = turn.desk
    parent = desk.parents.get(order.intent_id)
    if parent is not None and is_stuck(order.state) and order.role is not Role.ENTRY:
        exits.pause_after_refusal(turn, parent)
    if order.filled:
        _wait_for_fee(turn, order)
    if parent is not None:
        _advance(turn, parent)
    _go_on_in(turn, order.symbol)


def _after_late_fill(turn: Turn, fact: m.OrderFilled) -> None:
    """A fill of an order that had ended: its position may have to go at once."""
    _wait_for_fee(turn, fact)
    parent = turn.desk.parents.get(fact.intent_id)
    if parent is not None and parent.is_approved:
        entries.advance(turn, parent)
    _go_on_in(turn, fact.symbol)


def _wait_for_fee(turn: Turn, bought: Order | m.OrderFilled) -> None:
    is_crypto = market_of(bought.symbol) is Market.CRYPTO
    if is_crypto and bought.side is Side.BUY and turn.desk.is_flattening(bought.symbol):
        turn.pause(bought.strategy, bought.symbol, FEE_WAIT_S)


def _advance(turn: Turn, parent: Parent) -> None:
    if parent.is_approved:
        entries.advance(turn, parent)
    elif parent.role is Role.FLATTEN:
        advance_flatten(turn, parent)
    else:
        exits.advance_own(turn, parent)


def _go_on_in(turn: Turn, symbol: str) -> None:
    """Something changed in this symbol: whoever waited for it goes on."""
    desk = turn.desk
    if not any(desk.live_in(symbol)):
        turn.watch.blocked.pop(symbol, None)
    if desk.is_flattening(symbol):
        flatten(turn, symbol)
        return
    for parent in list(desk.parents.values()):
        is_waiting = parent.intent_id in turn.watch.parents or not parent.is_approved
        if parent.symbol == symbol and is_waiting:
            _advance(turn, parent)
    exits.protect(turn, symbol)


def _on_start(turn: Turn, _said: m.RunStarted) -> None:
    for parent in list(turn.desk.parents.values()):
        if not any(turn.desk.live_of(parent.intent_id)) and not slices.resume(turn, parent):
            turn.close(parent, "restart")
    for order in turn.desk.orders.values():
        if order.state is OrderState.CANCELING:
            turn.watch.orders[order.order_id] = turn.now + turn.patience_ns
        else:
            _be_patient(turn, order)


def _on_level(turn: Turn, said: m.LevelChanged) -> None:
    watch, may = turn.watch, turn.desk.permissions.may
    if may(Action.ENTER) or not may(Action.KEEP_ENTRIES):
        watch.grace_at = 0
    elif not watch.grace_at and any(p.role is Role.ENTRY for p in turn.desk.parents.values()):
        watch.grace_at = turn.now + max(1, int(turn.desk.settings.entry_grace_s * SECOND_NS))
    if may(Action.FLATTEN):
        flatten_all(turn)
    elif not may(Action.KEEP_ENTRIES):
        entries.cancel_entries(turn, f"level {said.level}")
    _wake(turn)


def _wake(turn: Turn, market: Market | None = None) -> None:
    """What the house allows has changed: waiting parents look again."""
    for parent_id in list(turn.watch.parents):
        parent = turn.desk.parents.get(parent_id)
        if parent is not None and market in (None, market_of(parent.symbol)):
            _advance(turn, parent)


def _on_opened(turn: Turn, said: m.IntentApproved) -> None:
    entries.open_parent(turn, said)


def _on_asked(turn: Turn, said: m.OperatorAsked) -> None:
    if said.ask is m.Ask.CANCEL:
        entries.cancel_asked(turn, said.target)
    elif said.ask is m.Ask.FLATTEN and said.target:
        flatten(turn, said.target)


def _on_stopped(turn: Turn, said: m.StrategyStopped) -> None:
    entries.cancel_entries(turn, "strategy stopped", said.strategy)


def _on_session(turn: Turn, said: m.SessionChanged) -> None:
    for symbol in sorted(turn.desk.holdings.positions):
        if market_of(symbol) is said.market:
            for order in turn.desk.live_in(symbol):
                if order.role is Role.FLATTEN:
                    _be_patient(turn, order)  # one that waited for the opening waits no longer
            _go_on_in(turn, symbol)
    _wake(turn, said.market)


def _on_symbol(turn: Turn, said: m.SymbolHalted | m.FeeCharged | m.TradeBusted) -> None:
    if isinstance(said, m.SymbolHalted) and said.is_halted:
        slices.pull_back(turn, said.symbol)
    if isinstance(said, m.FeeCharged):
        turn.watch.pauses.pop((said.strategy, said.symbol), None)
    _go_on_in(turn, said.symbol)


def _on_book(turn: Turn, _said: m.BookAdopted | m.DifferenceExplained) -> None:
    flatten_all(turn)


def _on_timer(turn: Turn, _fired: m.TimerFired) -> None:
    watch, now = turn.watch, turn.now
    watch.fired()
    if watch.grace_at and watch.grace_at <= now:
        watch.grace_at = 0
        entries.cancel_entries(turn, f"level {turn.desk.permissions.level}")
    for order_id in [key for key, due in watch.orders.items() if due <= now]:
        del watch.orders[order_id]
        order = turn.desk.orders.get(order_id)
        if order is None:
            continue
        if slices.may_rest(turn, order):
            _be_patient(turn, order)
        else:
            turn.cancel(order, OVERDUE)
    symbols = set()
    for key in [key for key, due in watch.pauses.items() if due <= now]:
        del watch.pauses[key]
        symbols.add(key[1])
    for parent_id in [key for key, due in watch.parents.items() if due <= now]:
        del watch.parents[parent_id]
        parent = turn.desk.parents.get(parent_id)
        if parent is not None:
            _advance(turn, parent)
    for symbol in sorted(symbols | set(watch.blocked)):
        _go_on_in(turn, symbol)


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
        m.DifferenceExplained: _on_book,
        m.TimerFired: _on_timer,
    }
