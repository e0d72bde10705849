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
from tradingd.router.holdings import Trigger
from tradingd.router.parents import Parent
from tradingd.router.turn import Turn
from tradingd.state.permissions import Action
from tradingd.state.positions import EXTERNAL

STOP_LOSS = "stop_loss"
TAKE_PROFIT = "take_profit"


def hit(trigger: Trigger, mark: Mark) -> str:
    """Return why a long position must leave at this mark, or nothing. What counts is the bid: it pays."""
    if mark.bid <= trigger.low:
        return STOP_LOSS
    return TAKE_PROFIT if mark.bid >= trigger.high else ""


def protect(turn: Turn, symbol: str) -> None:
    """Look at all positions of a symbol against its latest mark."""
    mark = turn.desk.marks.get(symbol)
    for trigger in turn.desk.holdings.triggers.get(symbol, ()):
        reason = hit(trigger, mark) if mark is not None else ""
        if reason and mark is not None:
            _leave(turn, trigger.strategy, mark, reason)


def start_protection(turn: Turn, mark: Mark) -> None:
    """Say from which price an adopted position is protected: the first bid of its open market."""
    holding = turn.desk.holdings.get(EXTERNAL, mark.symbol)
    if holding is None or not turn.desk.permissions.is_trading(mark.symbol):
        return
    if not _is_dust(mark.symbol, holding.quantity, mark):
        price = decimal_of(mark.bid)
        turn.say(m.ProtectionStarted(EXTERNAL, mark.symbol, price, mark.quoted_at))


def _leave(turn: Turn, strategy: str, mark: Mark, reason: str) -> None:
    desk, symbol = turn.desk, mark.symbol
    action = Action.STOP_LOSS if reason == STOP_LOSS else Action.TAKE_PROFIT
    if not desk.permissions.may(action) or not desk.permissions.is_trading(symbol):
        return
    if desk.is_flattening(symbol) or turn.is_paused(strategy, symbol):
        return
    ways = [
        parent
        for parent in desk.parents.values()
        if (parent.strategy, parent.symbol) == (strategy, symbol) and parent.role is not Role.ENTRY
    ]
    if any(not _gives_way(turn, each, reason) for each in ways):
        return
    parent = next((each for each in ways if each.intent_id in desk.parents), None)
    holding = desk.holdings.get(strategy, symbol)
    if holding is None or _is_dust(symbol, holding.quantity, mark):
        return
    if not is_way_clear(turn, symbol, Side.SELL):
        return
    attempt = 1 if parent is None else parent.children + 1
    turn.propose(
        desk.next_id(Role.EXIT, strategy) if parent is None else parent.intent_id,
        strategy=strategy,
        symbol=symbol,
        side=Side.SELL,
        role=Role.EXIT,
        quantity=holding.quantity,
        limit_price=exit_price(turn, mark, attempt),
        quoted_at=mark.quoted_at,
        reason=reason,
        is_own_exit=True,
    )


def _gives_way(turn: Turn, way: Parent, reason: str) -> bool:
    """Tell whether another way out is none any more; a plan over minutes does not hold back a stop."""
    if way.is_approved and reason == STOP_LOSS and slices.is_sliced(turn, way):
        slices.give_way(turn, way, reason)
        return way.intent_id not in turn.desk.parents
    return not way.is_approved and not any(turn.desk.live_of(way.intent_id))


def _is_dust(symbol: str, quantity: Decimal, mark: Mark) -> bool:
    return quantity * decimal_of(mark.bid) < instrument(symbol).notional_usd_min


def exit_price(turn: Turn, mark: Mark, attempt: int) -> Decimal | None:
    """Return the limit of the n-th attempt to sell; None when it is time to go to market."""
    settings = turn.desk.settings
    if attempt > settings.exit_limits_max:
        return None
    bid = decimal_of(mark.bid)
    price = bid * (1 - settings.exit_collar_pct * attempt / 100)
    return max(round_limit(mark.symbol, price, Side.SELL), tick_of(mark.symbol, price))


def is_way_clear(turn: Turn, symbol: str, side: Side) -> bool:
    """Cancel entries that an exit would trade with; tell whether none is left, or waiting took too long."""
    facing = [
        order
        for order in turn.desk.live_in(symbol)
        if order.role is Role.ENTRY and order.side is not side
    ]
    for parent in list(turn.desk.parents.values()):
        is_facing = parent.role is Role.ENTRY and parent.side is not side
        if parent.symbol == symbol and is_facing and not any(turn.desk.live_of(parent.intent_id)):
            turn.close(parent, "exit")  # a plan between slices would buy back what leaves
    if not facing:
        turn.watch.blocked.pop(symbol, None)
        return True
    for order in facing:
        turn.cancel(order, "exit")
    since = turn.watch.blocked.setdefault(symbol, turn.now)
    return turn.now - since >= turn.patience_ns


def advance_own(turn: Turn, parent: Parent) -> None:
    """Go on with an exit whose child ended: again while its condition holds, else be done."""
    desk = turn.desk
    if any(desk.live_of(parent.intent_id)):
        return
    holding = desk.holdings.get(parent.strategy, parent.symbol)
    if parent.closing or holding is None or not _still_hit(turn, parent):
        turn.close(parent, parent.closing or parent.reason)
        return
    protect(turn, parent.symbol)


def _still_hit(turn: Turn, parent: Parent) -> bool:
    mark = turn.desk.marks.get(parent.symbol)
    if mark is None:
        return True
    triggers = turn.desk.holdings.triggers.get(parent.symbol, ())
    return any(each.strategy == parent.strategy and hit(each, mark) for each in triggers)


def pause_after_refusal(turn: Turn, parent: Parent) -> None:
    """Wait longer after each exit that was refused, rejected or not sent."""
    settings = turn.desk.settings
    attempts = max(1, parent.failures if parent.is_approved else parent.children)
    seconds = min(settings.retry_s * 2 ** min(attempts - 1, 16), settings.retry_s_max)
    turn.pause(parent.strategy, parent.symbol, seconds)
