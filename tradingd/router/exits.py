"""Protection: stop-loss and take-profit by mark, one exit at a time per position, until it is gone.

An exit is a marketable limit through the touch; each repetition reaches further, and after a few it goes
to market. Every repetition waits for the broker or for a pause, so a refusal is never a hot circle.
"""

from __future__ import annotations

from decimal import Decimal

from tradingd import messages as m
from tradingd.instruments.money import decimal_of, round_limit, tick_of
from tradingd.instruments.symbols import instrument
from tradingd.messages import Mark, Role, Side
from tradingd.router import slices
from tradingd.router.context import RouterContext
from tradingd.router.holdings import Trigger
from tradingd.router.parents import Parent
from tradingd.state.permissions import Action
from tradingd.state.positions import EXTERNAL

STOP_LOSS = "stop_loss"
TAKE_PROFIT = "take_profit"


def hit(trigger: Trigger, mark: Mark) -> str:
    """Return why a long position must leave at this mark, or nothing. What counts is the bid: it pays."""
    if mark.bid <= trigger.low:
        return STOP_LOSS
    return TAKE_PROFIT if mark.bid >= trigger.high else ""


def protect(context: RouterContext, symbol: str) -> None:
    """Look at all positions of a symbol against its latest mark."""
    mark = context.state.marks.get(symbol)
    for trigger in context.state.holdings.triggers.get(symbol, ()):
        reason = hit(trigger, mark) if mark is not None else ""
        if reason and mark is not None:
            _leave(context, trigger.strategy, mark, reason)


def start_protection(context: RouterContext, mark: Mark) -> None:
    """Say from which price an adopted position is protected: the first bid of its open market."""
    holding = context.state.holdings.get(EXTERNAL, mark.symbol)
    if holding is None or not context.state.permissions.is_trading(mark.symbol):
        return
    if not _is_dust(mark.symbol, holding.quantity, mark):
        price = decimal_of(mark.bid)
        context.emit(m.ProtectionStarted(EXTERNAL, mark.symbol, price, mark.quoted_at))


def _leave(context: RouterContext, strategy: str, mark: Mark, reason: str) -> None:
    state, symbol = context.state, mark.symbol
    action = Action.STOP_LOSS if reason == STOP_LOSS else Action.TAKE_PROFIT
    if not state.permissions.may(action) or not state.permissions.is_trading(symbol):
        return
    if state.is_flattening(symbol) or context.is_paused(strategy, symbol):
        return
    ways = [
        parent
        for parent in state.parents.values()
        if (parent.strategy, parent.symbol) == (strategy, symbol) and parent.role is not Role.ENTRY
    ]
    if any(not _gives_way(context, each, reason) for each in ways):
        return
    parent = next((each for each in ways if each.intent_id in state.parents), None)
    holding = state.holdings.get(strategy, symbol)
    if holding is None or _is_dust(symbol, holding.quantity, mark):
        return
    if not is_way_clear(context, symbol, Side.SELL):
        return
    attempt = 1 if parent is None else parent.children + 1
    context.propose(
        state.next_id(Role.EXIT, strategy) if parent is None else parent.intent_id,
        strategy=strategy,
        symbol=symbol,
        side=Side.SELL,
        role=Role.EXIT,
        quantity=holding.quantity,
        limit_price=exit_price(context, mark, attempt),
        quoted_at=mark.quoted_at,
        reason=reason,
        is_own_exit=True,
    )


def _gives_way(context: RouterContext, way: Parent, reason: str) -> bool:
    """Tell whether another way out is none any more; a plan over minutes does not hold back a stop."""
    if way.is_approved and reason == STOP_LOSS and slices.is_sliced(context, way):
        slices.give_way(context, way, reason)
        return way.intent_id not in context.state.parents
    return not way.is_approved and not any(context.state.live_of(way.intent_id))


def _is_dust(symbol: str, quantity: Decimal, mark: Mark) -> bool:
    return quantity * decimal_of(mark.bid) < instrument(symbol).notional_usd_min


def exit_price(context: RouterContext, mark: Mark, attempt: int) -> Decimal | None:
    """Return the limit of the n-th attempt to sell; None when it is time to go to market."""
    settings = context.state.settings
    if attempt > settings.exit_limits_max:
        return None
    bid = decimal_of(mark.bid)
    price = bid * (1 - settings.exit_collar_pct * attempt / 100)
    return max(round_limit(mark.symbol, price, Side.SELL), tick_of(mark.symbol, price))


def is_way_clear(context: RouterContext, symbol: str, side: Side) -> bool:
    """Cancel entries that an exit would trade with; tell whether none is left, or waiting took too long."""
    facing = [
        order
        for order in context.state.live_in(symbol)
        if order.role is Role.ENTRY and order.side is not side
    ]
    for parent in list(context.state.parents.values()):
        is_facing = parent.role is Role.ENTRY and parent.side is not side
        if (
            parent.symbol == symbol
            and is_facing
            and not any(context.state.live_of(parent.intent_id))
        ):
            context.close(parent, "exit")  # a plan between slices would buy back what leaves
    if not facing:
        context.watch.blocked.pop(symbol, None)
        return True
    for order in facing:
        context.cancel(order, "exit")
    since = context.watch.blocked.setdefault(symbol, context.now)
    return context.now - since >= context.timeout_ns


def advance_own(context: RouterContext, parent: Parent) -> None:
    """Go on with an exit whose child ended: again while its condition holds, else be done."""
    state = context.state
    if any(state.live_of(parent.intent_id)):
        return
    holding = state.holdings.get(parent.strategy, parent.symbol)
    if parent.closing or holding is None or not _still_hit(context, parent):
        context.close(parent, parent.closing or parent.reason)
        return
    protect(context, parent.symbol)


def _still_hit(context: RouterContext, parent: Parent) -> bool:
    mark = context.state.marks.get(parent.symbol)
    if mark is None:
        return True
    triggers = context.state.holdings.triggers.get(parent.symbol, ())
    return any(each.strategy == parent.strategy and hit(each, mark) for each in triggers)


def pause_after_refusal(context: RouterContext, parent: Parent) -> None:
    """Wait longer after each exit that was refused, rejected or not sent."""
    settings = context.state.settings
    attempts = max(1, parent.failures if parent.is_approved else parent.children)
    seconds = min(settings.retry_s * 2 ** min(attempts - 1, 16), settings.retry_s_max)
    context.pause(parent.strategy, parent.symbol, seconds)
