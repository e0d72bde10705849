"""Approved intents become orders: algorithms place children, levels and operators take them back."""

from __future__ import annotations

from tradingd import messages as m
from tradingd.messages import Role
from tradingd.router import slices
from tradingd.router.algos import PLACES_MAX, algorithm_of
from tradingd.router.algos.steps import Algorithm, Place, Step, Wait
from tradingd.router.desk import OVERDUE, remaining
from tradingd.router.exits import is_way_clear
from tradingd.router.parents import Parent, progress_of
from tradingd.router.turn import Turn
from tradingd.state.ids import parent_of


def open_parent(turn: Turn, approved: m.IntentApproved) -> None:
    """Begin with an approved intent, or close it at once where the house has changed since."""
    parent = turn.desk.parents[approved.intent.intent_id]
    hindrance = slices.nonsense(turn, parent) or slices.hindrance(turn, parent)
    if hindrance:
        turn.close(parent, hindrance)
    else:
        advance(turn, parent)


def advance(turn: Turn, parent: Parent) -> None:
    """Let the parent's algorithm go on until it waits or is done."""
    algorithm = algorithm_of(parent, turn.desk.settings)
    reason = ""
    for _ in range(PLACES_MAX):
        if parent.closing or parent.filled >= parent.quantity:
            break
        if parent.role is not Role.ENTRY and not is_way_clear(turn, parent.symbol, parent.side):
            turn.watch.parents[parent.intent_id] = turn.now + turn.patience_ns
            return
        step = _next(turn, parent, algorithm)
        if isinstance(step, Wait):
            if step.until_at:
                turn.watch.parents[parent.intent_id] = step.until_at
            return
        if not isinstance(step, Place):
            reason = step.reason
            break
        _place(turn, parent, step)
        if not algorithm.is_sliced:
            return  # all of it is out; its end will tell
    _finish(turn, parent, reason)


def _next(turn: Turn, parent: Parent, algorithm: Algorithm) -> Step:
    if not algorithm.is_sliced:
        live = remaining(turn.desk.live_of(parent.intent_id))
        return algorithm.next(progress_of(parent, live), None, turn.now)
    at = slices.progress(turn, parent)
    step = slices.held_back(turn, parent, algorithm, at)
    return step or algorithm.next(at, turn.desk.marks.get(parent.symbol), turn.now)


def _finish(turn: Turn, parent: Parent, reason: str) -> None:
    """Close a parent none of whose children is live; wait a while for executions still to be told."""
    live = list(turn.desk.live_of(parent.intent_id))
    if live:
        if parent.filled >= parent.quantity:  # a late fill made them too many
            for order in live:
                turn.cancel(order, OVERDUE)
        return
    told_by = parent.ended_at + turn.patience_ns
    if parent.owed and turn.now < told_by and parent.filled < parent.quantity:
        turn.watch.parents[parent.intent_id] = told_by
        return
    turn.close(parent, "" if parent.filled >= parent.quantity or parent.closing else reason)


def _place(turn: Turn, parent: Parent, step: Place) -> None:
    live = remaining(turn.desk.live_of(parent.intent_id)) + parent.owed
    left = parent.quantity - parent.filled - live
    assert 0 < step.quantity <= left, f"{parent.intent_id}: {step.quantity} of {left}"
    turn.propose(
        parent.intent_id,
        strategy=parent.strategy,
        symbol=parent.symbol,
        side=parent.side,
        role=parent.role,
        quantity=step.quantity,
        limit_price=step.limit_price,
        quoted_at=step.quoted_at or parent.quoted_at,
        slice_number=step.slice_number,
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
    """Take back what an operator names: an order, all orders of an intent, or "all".

    An order of a plan is its parent: what a person sees may have ended just now, and the next slice is
    what he does not want.
    """
    desk = turn.desk
    planned = desk.parents.get(parent_of(target))
    if planned is not None and target not in desk.orders and slices.is_sliced(turn, planned):
        target = planned.intent_id
    for order in list(desk.orders.values()):
        if target in ("all", order.order_id, order.intent_id):
            turn.cancel(order, "operator")
    for parent in list(desk.parents.values()):
        if target in ("all", parent.intent_id):
            _close_idle(turn, parent, "operator")


def _close_idle(turn: Turn, parent: Parent, reason: str) -> None:
    if not any(turn.desk.live_of(parent.intent_id)):
        turn.close(parent, reason)
