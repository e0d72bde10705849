"""Approved intents become orders: algorithms place children, levels and operators take them back."""

from __future__ import annotations

from tradingd import messages as m
from tradingd.messages import Role
from tradingd.router import slices
from tradingd.router.algos import PLACES_MAX, algorithm_of
from tradingd.router.algos.steps import Algorithm, PlaceChild, Step, Wait
from tradingd.router.context import RouterContext
from tradingd.router.exits import is_way_clear
from tradingd.router.parents import Parent, progress_of
from tradingd.router.state import OVERDUE, remaining
from tradingd.state.ids import parent_of


def open_parent(context: RouterContext, approved: m.IntentApproved) -> None:
    """Begin with an approved intent, or close it at once where the system has changed since."""
    parent = context.state.parents[approved.intent.intent_id]
    block_reason = slices.invalid_algorithm(context, parent) or slices.block_reason(context, parent)
    if block_reason:
        context.close(parent, block_reason)
    else:
        advance(context, parent)


def advance(context: RouterContext, parent: Parent) -> None:
    """Let the parent's algorithm go on until it waits or is done."""
    algorithm = algorithm_of(parent, context.state.settings)
    reason = ""
    for _ in range(PLACES_MAX):
        if parent.closing or parent.filled >= parent.quantity:
            break
        if parent.role is not Role.ENTRY and not is_way_clear(context, parent.symbol, parent.side):
            context.watch.parents[parent.intent_id] = context.now + context.timeout_ns
            return
        step = _next(context, parent, algorithm)
        if isinstance(step, Wait):
            if step.until_at:
                context.watch.parents[parent.intent_id] = step.until_at
            return
        if not isinstance(step, PlaceChild):
            reason = step.reason
            break
        _place(context, parent, step)
        if not algorithm.is_sliced:
            return  # all of it is out; its end will tell
    _finish(context, parent, reason)


def _next(context: RouterContext, parent: Parent, algorithm: Algorithm) -> Step:
    if not algorithm.is_sliced:
        live = remaining(context.state.live_of(parent.intent_id))
        return algorithm.next(progress_of(parent, live), None, context.now)
    at = slices.progress(context, parent)
    step = slices.held_back(context, parent, algorithm, at)
    return step or algorithm.next(at, context.state.marks.get(parent.symbol), context.now)


def _finish(context: RouterContext, parent: Parent, reason: str) -> None:
    """Close a parent none of whose children is live; wait a while for executions still to be told."""
    live = list(context.state.live_of(parent.intent_id))
    if live:
        if parent.filled >= parent.quantity:  # a late fill made them too many
            for order in live:
                context.cancel(order, OVERDUE)
        return
    reported_by = parent.ended_at + context.timeout_ns
    if parent.unreported and context.now < reported_by and parent.filled < parent.quantity:
        context.watch.parents[parent.intent_id] = reported_by
        return
    context.close(parent, "" if parent.filled >= parent.quantity or parent.closing else reason)


def _place(context: RouterContext, parent: Parent, step: PlaceChild) -> None:
    live = remaining(context.state.live_of(parent.intent_id)) + parent.unreported
    left = parent.quantity - parent.filled - live
    assert 0 < step.quantity <= left, f"{parent.intent_id}: {step.quantity} of {left}"
    context.propose(
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


def cancel_entries(context: RouterContext, reason: str, strategy: str | None = None) -> None:
    """Take back working entries and close their parents, of one strategy or of all."""
    state = context.state
    for order in list(state.orders.values()):
        if order.role is Role.ENTRY and strategy in (None, order.strategy):
            context.cancel(order, reason)
    for parent in list(state.parents.values()):
        if parent.role is Role.ENTRY and strategy in (None, parent.strategy):
            _close_idle(context, parent, reason)


def cancel_asked(context: RouterContext, target: str) -> None:
    """Take back what an operator names: an order, all orders of an intent, or "all".

    An order of a plan is its parent: what a person sees may have ended just now, and the next slice is
    what he does not want.
    """
    state = context.state
    planned = state.parents.get(parent_of(target))
    if planned is not None and target not in state.orders and slices.is_sliced(context, planned):
        target = planned.intent_id
    for order in list(state.orders.values()):
        if target in ("all", order.order_id, order.intent_id):
            context.cancel(order, "operator")
    for parent in list(state.parents.values()):
        if target in ("all", parent.intent_id):
            _close_idle(context, parent, "operator")


def _close_idle(context: RouterContext, parent: Parent, reason: str) -> None:
    if not any(context.state.live_of(parent.intent_id)):
        context.close(parent, reason)
