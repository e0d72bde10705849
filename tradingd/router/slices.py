"""Sliced parents between their children: when they may go on, what ends them, what becomes of a child.

A plan waits through short trouble (NO_ENTRIES within its grace, a halted symbol, no fresh mark) without its
schedule moving, and ends with its rest reported where the system or the day says so.
"""

from __future__ import annotations

from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import SECOND_NS, ZERO
from tradingd.messages import Role
from tradingd.router.algos import CHILDREN_MAX, algorithm_of
from tradingd.router.algos.steps import Algorithm, Done, Step, Wait
from tradingd.router.context import RouterContext
from tradingd.router.lifecycle import OrderState
from tradingd.router.parents import ChildOrder, Parent, Progress, progress_of
from tradingd.router.state import SYMBOL_HALTED, remaining
from tradingd.state.permissions import Action

RESUME_S = 1.0
"""After a start a plan looks around first: the supervisor has spoken by then."""

SESSION_CLOSED = "session closed"


def progress(context: RouterContext, parent: Parent) -> Progress:
    """Return what the algorithm of `parent` may see."""
    state = context.state
    live = remaining(state.live_of(parent.intent_id))
    if parent.role is Role.ENTRY:
        return progress_of(parent, live)
    holding = state.holdings.get(parent.strategy, parent.symbol)
    held = ZERO if holding is None else abs(holding.quantity)
    leaving = remaining(
        order
        for order in state.live_in(parent.symbol)
        if order.strategy == parent.strategy and order.role is not Role.ENTRY
    )
    return progress_of(parent, live, max(ZERO, held - leaving))


def invalid_algorithm(context: RouterContext, parent: Parent) -> str:
    """Return what is wrong with the algorithm an intent names; empty: nothing."""
    try:
        algorithm_of(parent, context.state.settings)
    except ValueError as error:
        return str(error)
    return ""


def is_sliced(context: RouterContext, parent: Parent) -> bool:
    """Tell whether a parent lives on between its children."""
    return parent.is_approved and algorithm_of(parent, context.state.settings).is_sliced


def block_reason(context: RouterContext, parent: Parent) -> str:
    """Return why an approved parent must not begin, or go on, as the system stands; empty: it may."""
    permissions = context.state.permissions
    if not permissions.may(_action_of(parent)):
        return f"level {permissions.level}"
    is_entry = parent.role is Role.ENTRY
    if is_entry and parent.strategy in permissions.stopped and not parent.is_operators:
        return "strategy stopped"
    return "flatten" if context.state.is_flattening(parent.symbol) else ""


def _action_of(parent: Parent) -> Action:
    if parent.role is Role.ENTRY:
        return Action.ENTER
    return Action.OPERATOR_EXIT if parent.is_operators else Action.STRATEGY_EXIT


def held_back(
    context: RouterContext, parent: Parent, algorithm: Algorithm, at: Progress
) -> Step | None:
    """Return what the system makes of a sliced parent before its algorithm is asked; None: go on."""
    permissions = context.state.permissions
    ends_at = algorithm.ends_at(at)
    if not permissions.is_open(market_of(parent.symbol)):
        return Done(SESSION_CLOSED)
    if parent.children >= CHILDREN_MAX:
        return Done(f"{CHILDREN_MAX} children")
    may = permissions.may
    is_paused = parent.role is Role.ENTRY and may(Action.KEEP_ENTRIES) and not may(Action.ENTER)
    if not is_paused:
        reason = block_reason(context, parent)
        if reason:
            return Done(reason)
    if context.now < ends_at and (is_paused or parent.symbol in permissions.halted):
        return Wait(ends_at)
    return None


def expires_at(context: RouterContext, order: ChildOrder) -> int:
    """Return when the rest of a child approved now is taken back; 0 = never by time."""
    settings = context.state.settings
    parent = context.state.parents.get(order.intent_id)
    ends_at = 0
    if parent is not None and parent.is_operators:
        return 0  # a person's order rests as long as he wants
    if parent is not None and parent.is_approved:
        algorithm = algorithm_of(parent, settings)
        if algorithm.is_sliced:
            ends_at = algorithm.expires_at(progress(context, parent), context.now)
    return (
        max(ends_at, context.now + 1)
        if ends_at
        else context.now + int(settings.order_timeout_s * SECOND_NS)
    )


def may_rest(context: RouterContext, order: ChildOrder) -> bool:
    """Tell whether a child whose patience ended stands where it would be placed again."""
    parent = context.state.parents.get(order.intent_id)
    mark = context.state.marks.get(order.symbol)
    if parent is None or mark is None or not parent.is_approved or parent.closing:
        return False
    if order.state is not OrderState.WORKING:
        return False
    algorithm = algorithm_of(parent, context.state.settings)
    if not algorithm.may_rest:
        return False
    at = progress(context, parent)
    is_open = context.now < algorithm.ends_at(at) and context.state.permissions.is_trading(
        order.symbol
    )
    return is_open and algorithm.price(at, mark) == order.limit_price


def resume(context: RouterContext, parent: Parent) -> bool:
    """Let a plan go on after a start; tell whether the parent has one."""
    if parent.closing or invalid_algorithm(context, parent) or not is_sliced(context, parent):
        return False
    context.watch.parents[parent.intent_id] = context.now + int(RESUME_S * SECOND_NS)
    return True


def pull_back(context: RouterContext, symbol: str) -> None:
    """A symbol halted: children priced before must not meet the price it resumes at. Exits stay."""
    for order in list(context.state.live_in(symbol)):
        parent = context.state.parents.get(order.intent_id)
        if order.role is Role.ENTRY and parent is not None and is_sliced(context, parent):
            context.cancel(order, SYMBOL_HALTED)


def give_way(context: RouterContext, parent: Parent, reason: str) -> None:
    """End a plan for something more urgent: at once, or when its child is gone."""
    live = list(context.state.live_of(parent.intent_id))
    for order in live:
        context.cancel(order, reason)
    if not live:
        context.close(parent, reason)
