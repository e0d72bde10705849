"""Approved intents become orders: algorithms place children, levels and operators take them back."""

from __future__ import annotations

from tradingd import messages as m
from tradingd.messages import Level, Role
from tradingd.router.algos import ALGORITHMS, DEFAULT, PLACES_MAX
from tradingd.router.algos.steps import Place, Wait
from tradingd.router.desk import remaining
from tradingd.router.exits import is_way_clear
from tradingd.router.parents import Parent, progress_of
from tradingd.router.turn import Turn

_STRATEGY_EXITS = (Level.NORMAL, Level.NO_ENTRIES, Level.REDUCE_ONLY)


def open_parent(turn: Turn, approved: m.IntentApproved) -> None:
    """Begin with an approved intent, or close it at once where the house has changed since."""
    parent = turn.desk.parents[approved.intent_id]
    hindrance = _hindrance(turn, parent)
    if hindrance:
        turn.close(parent, hindrance)
    else:
        advance(turn, parent)


def _hindrance(turn: Turn, parent: Parent) -> str:
    desk = turn.desk
    if (parent.algorithm or DEFAULT) not in ALGORITHMS:
        return f"unknown algorithm {parent.algorithm}"
    if parent.role is Role.ENTRY:
        if desk.level is not Level.NORMAL:
            return f"level {desk.level}"
        if parent.strategy in desk.stopped and not parent.is_operators:
            return "strategy stopped"
    elif desk.level is Level.HALTED and parent.is_operators:
        return ""
    elif desk.level not in _STRATEGY_EXITS:
        return f"level {desk.level}"
    return "flatten" if desk.is_flattening(parent.symbol) else ""


def advance(turn: Turn, parent: Parent) -> None:
    """Let the parent's algorithm go on until it waits or is done."""
    algorithm = ALGORITHMS[parent.algorithm or DEFAULT]
    for _ in range(PLACES_MAX):
        live = remaining(turn.desk.live_of(parent.intent_id))
        if parent.closing or parent.filled >= parent.quantity:
            break
        if parent.role is not Role.ENTRY and not is_way_clear(turn, parent.symbol, parent.side):
            turn.watch.parents[parent.intent_id] = turn.now + turn.patience_ns
            return
        market = turn.desk.marks.get(parent.symbol)
        step = algorithm.next(progress_of(parent, live), market, turn.now)
        if isinstance(step, Wait):
            if step.until_at:
                turn.watch.parents[parent.intent_id] = step.until_at
            return
        if not isinstance(step, Place):
            break
        _place(turn, parent, step)
    if not any(turn.desk.live_of(parent.intent_id)):
        turn.close(parent)


def _place(turn: Turn, parent: Parent, step: Place) -> None:
    left = parent.quantity - parent.filled - remaining(turn.desk.live_of(parent.intent_id))
    assert 0 < step.quantity <= left, f"{parent.intent_id}: {step.quantity} of {left}"
    turn.propose(
        parent.intent_id,
        strategy=parent.strategy,
        symbol=parent.symbol,
        side=parent.side,
        role=parent.role,
        quantity=step.quantity,
        limit_price=step.limit_price,
        quoted_at=parent.quoted_at,
    )


def cancel_entries(turn: Turn, reason: str, strategy: str | None = None) -> None:
    """Take back working entries and close their parents, of one strategy or of all."""
    desk = turn.desk
    for order in list(desk.orders.values()):
        if order.role is Role.ENTRY and strategy in (None, order.strategy):
            turn.cancel(order, reason)
    for parent in list(desk.parents.values()):
        if parent.role is Role.ENTRY and strategy in (None, parent.strategy):
            _close_idle(turn, parent, reason)


def cancel_asked(turn: Turn, target: str) -> None:
    """Take back what an operator names: an order, all orders of an intent, or "all"."""
    desk = turn.desk
    for order in list(desk.orders.values()):
        if target in ("all", order.order_id, order.intent_id):
            turn.cancel(order, "operator")
    for parent in list(desk.parents.values()):
        if target in ("all", parent.intent_id):
            _close_idle(turn, parent, "operator")


def _close_idle(turn: Turn, parent: Parent, reason: str) -> None:
    if not any(turn.desk.live_of(parent.intent_id)):
        turn.close(parent, reason)
