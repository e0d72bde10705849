"""Flattening: cancel everything, then sell what is left of every position, until nothing is.

Used when the level is FLATTENING (all symbols) and when an operator asks it of one symbol. A flatten order
goes to market once no other order of its symbol is live; one that never answers is not waited for beyond the
cancel's patience, because the position is the danger, not the order.
"""

from __future__ import annotations

from tradingd.messages import AlertRaised, Role, Severity, Side
from tradingd.router.context import RouterContext
from tradingd.router.lifecycle import OrderState
from tradingd.router.parents import Parent
from tradingd.router.watch import OWNER

REASON = "flatten"


def flatten_all(context: RouterContext) -> None:
    """Do the next thing in every symbol that must go."""
    state = context.state
    symbols = {order.symbol for order in state.orders.values()} | set(state.holdings.positions)
    symbols |= {parent.symbol for parent in state.parents.values()}
    for symbol in sorted(symbols):
        if state.is_flattening(symbol):
            flatten(context, symbol)


def flatten(context: RouterContext, symbol: str) -> None:
    """Do the next thing in one symbol: cancel, wait, or sell."""
    state = context.state
    for order in list(state.live_in(symbol)):
        if order.role is not Role.FLATTEN:
            context.cancel(order, REASON)
    for parent in list(state.parents.values()):
        if parent.symbol == symbol and parent.role is not Role.FLATTEN:
            _close_idle(context, parent)
    _alert_halt(context, symbol)
    if state.may_flatten(symbol) and _is_clear(context, symbol):
        for strategy in sorted(state.holdings.positions.get(symbol, {})):
            _sell(context, strategy, symbol)


def _alert_halt(context: RouterContext, symbol: str) -> None:
    """A halted symbol cannot be left: the owner must know, once, that the system is waiting for it."""
    alerted, held = context.watch.halted, context.state.holdings.positions.get(symbol)
    if symbol not in context.state.permissions.halted:
        alerted.discard(symbol)
    elif held and symbol not in alerted:
        alerted.add(symbol)
        text = f"{symbol} is halted: its position waits until it trades again"
        context.emit(AlertRaised(OWNER, Severity.CRITICAL, "flatten_waits", text))


def _close_idle(context: RouterContext, parent: Parent) -> None:
    if not any(context.state.live_of(parent.intent_id)):
        context.close(parent, REASON)


def _is_clear(context: RouterContext, symbol: str) -> bool:
    if all(order.role is Role.FLATTEN for order in context.state.live_in(symbol)):
        context.watch.blocked.pop(symbol, None)
        return True
    since = context.watch.blocked.setdefault(symbol, context.now)
    return context.now - since >= context.timeout_ns


def _sell(context: RouterContext, strategy: str, symbol: str) -> None:
    state = context.state
    if context.is_paused(strategy, symbol):
        return
    live = [o for o in state.live_in(symbol) if o.strategy == strategy and o.role is not Role.ENTRY]
    if live:
        return
    holding = state.holdings.get(strategy, symbol)
    assert holding is not None, "flattened positions are held"
    parent = _parent_of(context, strategy, symbol)
    mark = state.marks.get(symbol)
    context.propose(
        state.next_id(Role.FLATTEN, strategy) if parent is None else parent.intent_id,
        strategy=strategy,
        symbol=symbol,
        side=Side.SELL if holding.quantity > 0 else Side.BUY,
        role=Role.FLATTEN,
        quantity=abs(holding.quantity),
        limit_price=None,
        quoted_at=context.now if mark is None else mark.quoted_at,
        reason=REASON,
        is_own_exit=True,
    )


def _parent_of(context: RouterContext, strategy: str, symbol: str) -> Parent | None:
    for parent in context.state.parents.values():
        if (parent.strategy, parent.symbol) == (strategy, symbol) and parent.role is Role.FLATTEN:
            return parent
    return None


def advance_flatten(context: RouterContext, parent: Parent) -> None:
    """Go on with a flatten whose child ended: again while the position is not zero."""
    state = context.state
    if any(state.live_of(parent.intent_id)):
        return
    is_gone = state.holdings.get(parent.strategy, parent.symbol) is None
    if is_gone or parent.closing or not state.is_flattening(parent.symbol):
        context.close(parent, REASON)
    else:
        flatten(context, parent.symbol)


def is_stuck(state: OrderState) -> bool:
    """Tell whether an order ended in a way that would end again the same way at once."""
    return state in (OrderState.REFUSED, OrderState.REJECTED, OrderState.NOT_SENT)
