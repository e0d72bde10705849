"""What the edge of a session does: day orders end, waiting ones set out, lasting ones rest until the open."""

from __future__ import annotations

from tradingd.messages import Session
from tradingd.simulator.exchange import auctions, closes
from tradingd.simulator.exchange.depth import Working
from tradingd.simulator.exchange.orders import TERMINAL, Status
from tradingd.simulator.exchange.transitions import SessionTransitions

_RESTING = frozenset({Status.NEW, Status.PARTIALLY_FILLED})


def cross(engine: SessionTransitions, at: int) -> None:
    """Let every order live through the edge between two sessions."""
    engine.enter_session(at)
    is_close = engine.sessions.is_close(at)
    if is_close:
        _hold_closing_auctions(engine, at)
    for working in tuple(engine.working.values()):
        order = working.order
        if order.status in TERMINAL:
            continue  # it ended with another one of its group
        ends_at = order.expires_at
        if ends_at is not None and ends_at <= at:
            engine.expire(working, at)
        elif order.status is Status.ACCEPTED and engine.may_trade(working):
            engine.arrive(working, at)
        elif engine.settings.reports_done_for_day:
            _rest_or_go_on(engine, working, at, is_close=is_close)
        if ends_at is not None and at < ends_at < engine.next_edge_at():
            engine.schedule(ends_at, engine.expire, working)
    if is_close:
        closes.keep(engine.books, engine.ledger, engine.sessions.open_before(at), is_crypto=False)
        if engine.on_close is not None:
            engine.on_close(at)


def _hold_closing_auctions(engine: SessionTransitions, at: int) -> None:
    opened_at = engine.sessions.open_before(at)
    for book in engine.books.values():
        if book.parked and not book.is_crypto:
            auctions.close(engine, book, opened_at, at)


def _rest_or_go_on(
    engine: SessionTransitions, working: Working, at: int, *, is_close: bool
) -> None:
    """Lay an order that outlives the day to rest at the close, and bring it back at the open."""
    order = working.order
    if is_close and order.status in _RESTING and not engine.may_trade(working):
        engine.change(working, Status.DONE_FOR_DAY, "done_for_day", at)
    elif order.status is Status.DONE_FOR_DAY and engine.session is Session.REGULAR:
        back = Status.PARTIALLY_FILLED if order.filled_qty else Status.NEW
        engine.change(working, back, "new", at)
