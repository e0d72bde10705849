"""Flattening: cancel everything, then sell what is left of every position, until nothing is.

Used when the level is FLATTENING (all symbols) and when an operator asks it of one symbol. A flatten order
goes to market once no other order of its symbol is live; one that never answers is not waited for beyond the
cancel's patience, because the position is the danger, not the order.
"""

from __future__ import annotations

from tradingd.messages import AlertRaised, Role, Severity, Side
from tradingd.router.lifecycle import OrderState
from tradingd.router.parents import Parent
from tradingd.router.turn import Turn
from tradingd.router.watch import OWNER

REASON = "flatten"


def flatten_all(turn: Turn) -> None:
    """Do the next thing in every symbol that must go."""
    desk = turn.desk
    symbols = {order.symbol for order in desk.orders.values()} | set(desk.holdings.positions)
    symbols |= {parent.symbol for parent in desk.parents.values()}
    for symbol in sorted(symbols):
        if desk.is_flattening(symbol):
            flatten(turn, symbol)


def flatten(turn: Turn, symbol: str) -> None:
    """Do the next thing in one symbol: cancel, wait, or sell."""
    desk = turn.desk
    for order in list(desk.live_in(symbol)):
        if order.role is not Role.FLATTEN:
            turn.cancel(order, REASON)
    for parent in list(desk.parents.values()):
        if parent.symbol == symbol and parent.role is not Role.FLATTEN:
            _close_idle(turn, parent)
    _tell_of_halt(turn, symbol)
    if desk.may_flatten(symbol) and _is_clear(turn, symbol):
        for strategy in sorted(desk.holdings.positions.get(symbol, {})):
            _sell(turn, strategy, symbol)


def _tell_of_halt(turn: Turn, symbol: str) -> None:
    """A halted symbol cannot be left: the owner must know, once, that the house is waiting for it."""
    told, held = turn.watch.halted, turn.desk.holdings.positions.get(symbol)
    if symbol not in turn.desk.permissions.halted:
        told.discard(symbol)
    elif held and symbol not in told:
        told.add(symbol)
        text = f"{symbol} is halted: its position waits until it trades again"
        turn.say(AlertRaised(OWNER, Severity.CRITICAL, "flatten_waits", text))


def _close_idle(turn: Turn, parent: Parent) -> None:
    if not any(turn.desk.live_of(parent.intent_id)):
        turn.close(parent, REASON)


def _is_clear(turn: Turn, symbol: str) -> bool:
    if all(order.role is Role.FLATTEN for order in turn.desk.live_in(symbol)):
        turn.watch.blocked.pop(symbol, None)
        return True
    since = turn.watch.blocked.setdefault(symbol, turn.now)
    return turn.now - since >= turn.patience_ns


def _sell(turn: Turn, strategy: str, symbol: str) -> None:
    desk = turn.desk
    if turn.is_paused(strategy, symbol):
        return
    live = [o for o in desk.live_in(symbol) if o.strategy == strategy and o.role is not Role.ENTRY]
    if live:
        return
    holding = desk.holdings.get(strategy, symbol)
    assert holding is not None, "flattened positions are held"
    parent = _parent_of(turn, strategy, symbol)
    mark = desk.marks.get(symbol)
    turn.propose(
        desk.next_id(Role.FLATTEN, strategy) if parent is None else parent.intent_id,
        strategy=strategy,
        symbol=symbol,
        side=Side.SELL if holding.quantity > 0 else Side.BUY,
        role=Role.FLATTEN,
        quantity=abs(holding.quantity),
        limit_price=None,
        quoted_at=turn.now if mark is None else mark.quoted_at,
        reason=REASON,
        is_own_exit=True,
    )


def _parent_of(turn: Turn, strategy: str, symbol: str) -> Parent | None:
    for parent in turn.desk.parents.values():
        if (parent.strategy, parent.symbol) == (strategy, symbol) and parent.role is Role.FLATTEN:
            return parent
    return None


def advance_flatten(turn: Turn, parent: Parent) -> None:
    """Go on with a flatten whose child ended: again while the position is not zero."""
    desk = turn.desk
    if any(desk.live_of(parent.intent_id)):
        return
    is_gone = desk.holdings.get(parent.strategy, parent.symbol) is None
    if is_gone or parent.closing or not desk.is_flattening(parent.symbol):
        turn.close(parent, REASON)
    else:
        flatten(turn, parent.symbol)


def is_stuck(state: OrderState) -> bool:
    """Tell whether an order ended in a way that would end again the same way at once."""
    return state in (OrderState.REFUSED, OrderState.REJECTED, OrderState.NOT_SENT)
