"""Sliced parents between their children: when they may go on, what ends them, what becomes of a child.

A plan waits through short trouble (NO_ENTRIES within its grace, a halted symbol, no fresh mark) without its
schedule moving, and ends with its rest reported where the house or the day says so.
"""

from __future__ import annotations

from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import SECOND_NS, ZERO
from tradingd.messages import Role
from tradingd.router.algos import CHILDREN_MAX, algorithm_of
from tradingd.router.algos.steps import Algorithm, Done, Step, Wait
from tradingd.router.desk import SYMBOL_HALTED, remaining
from tradingd.router.lifecycle import OrderState
from tradingd.router.parents import Order, Parent, Progress, progress_of
from tradingd.router.turn import Turn
from tradingd.state.permissions import Action

RESUME_S = 1.0
"""After a start a plan looks around first: the supervisor has spoken by then."""

SESSION_CLOSED = "session closed"


def progress(turn: Turn, parent: Parent) -> Progress:
    """Return what the algorithm of `parent` may see."""
    desk = turn.desk
    live = remaining(desk.live_of(parent.intent_id))
    if parent.role is Role.ENTRY:
        return progress_of(parent, live)
    holding = desk.holdings.get(parent.strategy, parent.symbol)
    held = ZERO if holding is None else abs(holding.quantity)
    leaving = remaining(
        order
        for order in desk.live_in(parent.symbol)
        if order.strategy == parent.strategy and order.role is not Role.ENTRY
    )
    return progress_of(parent, live, max(ZERO, held - leaving))


def nonsense(turn: Turn, parent: Parent) -> str:
    """Return what is wrong with the algorithm an intent names; empty: nothing."""
    try:
        algorithm_of(parent, turn.desk.settings)
    except ValueError as error:
        return str(error)
    return ""


def is_sliced(turn: Turn, parent: Parent) -> bool:
    """Tell whether a parent lives on between its children."""
    return parent.is_approved and algorithm_of(parent, turn.desk.settings).is_sliced


def hindrance(turn: Turn, parent: Parent) -> str:
    """Return why an approved parent must not begin, or go on, as the house stands; empty: it may."""
    permissions = turn.desk.permissions
    if not permissions.may(_action_of(parent)):
        return f"level {permissions.level}"
    is_entry = parent.role is Role.ENTRY
    if is_entry and parent.strategy in permissions.stopped and not parent.is_operators:
        return "strategy stopped"
    return "flatten" if turn.desk.is_flattening(parent.symbol) else ""


def _action_of(parent: Parent) -> Action:
    if parent.role is Role.ENTRY:
        return Action.ENTER
    return Action.OPERATOR_EXIT if parent.is_operators else Action.STRATEGY_EXIT


def held_back(turn: Turn, parent: Parent, algorithm: Algorithm, at: Progress) -> Step | None:
    """Return what the house makes of a sliced parent before its algorithm is asked; None: go on."""
    permissions = turn.desk.permissions
    ends_at = algorithm.ends_at(at)
    if not permissions.is_open(market_of(parent.symbol)):
        return Done(SESSION_CLOSED)
    if parent.children >= CHILDREN_MAX:
        return Done(f"{CHILDREN_MAX} children")
    may = permissions.may
    is_paused = parent.role is Role.ENTRY and may(Action.KEEP_ENTRIES) and not may(Action.ENTER)
    if not is_paused:
        reason = hindrance(turn, parent)
        if reason:
            return Done(reason)
    if turn.now < ends_at and (is_paused or parent.symbol in permissions.halted):
        return Wait(ends_at)
    return None


def patience_ends_at(turn: Turn, order: Order) -> int:
    """Return when the rest of a child approved now is taken back; 0 = never by time."""
    settings = turn.desk.settings
    parent = turn.desk.parents.get(order.intent_id)
    ends_at = 0
    if parent is not None and parent.is_operators:
        return 0  # a person's order rests as long as he wants
    if parent is not None and parent.is_approved:
        algorithm = algorithm_of(parent, settings)
        if algorithm.is_sliced:
            ends_at = algorithm.patience_ends_at(progress(turn, parent), turn.now)
    return (
        max(ends_at, turn.now + 1)
        if ends_at
        else turn.now + int(settings.order_timeout_s * SECOND_NS)
    )


def may_rest(turn: Turn, order: Order) -> bool:
    """Tell whether a child whose patience ended stands where it would be placed again."""
    parent = turn.desk.parents.get(order.intent_id)
    mark = turn.desk.marks.get(order.symbol)
    if parent is None or mark is None or not parent.is_approved or parent.closing:
        return False
    if order.state is not OrderState.WORKING:
        return False
    algorithm = algorithm_of(parent, turn.desk.settings)
    if not algorithm.may_rest:
        return False
    at = progress(turn, parent)
    is_open = turn.now < algorithm.ends_at(at) and turn.desk.permissions.is_trading(order.symbol)
    return is_open and algorithm.price(at, mark) == order.limit_price


def resume(turn: Turn, parent: Parent) -> bool:
    """Let a plan go on after a start; tell whether the parent has one."""
    if parent.closing or nonsense(turn, parent) or not is_sliced(turn, parent):
        return False
    turn.watch.parents[parent.intent_id] = turn.now + int(RESUME_S * SECOND_NS)
    return True


def pull_back(turn: Turn, symbol: str) -> None:
    """A symbol halted: children priced before must not meet the price it resumes at. Exits stay."""
    for order in list(turn.desk.live_in(symbol)):
        parent = turn.desk.parents.get(order.intent_id)
        if order.role is Role.ENTRY and parent is not None and is_sliced(turn, parent):
            turn.cancel(order, SYMBOL_HALTED)


def give_way(turn: Turn, parent: Parent, reason: str) -> None:
    """End a plan for something more urgent: at once, or when its child is gone."""
    live = list(turn.desk.live_of(parent.intent_id))
    for order in live:
        turn.cancel(order, reason)
    if not live:
        turn.close(parent, reason)
