"""The opening and the closing auction: one price for everything that waits for it.

The open is the first print of the session, the close the last one; without prints the middle of the
quote. Quantity is not limited and what the price does not reach is canceled, as the venue does.
"""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.money import decimal_of
from tradingd.simulator.exchange import closes
from tradingd.simulator.exchange.depth import DepthBook, Working
from tradingd.simulator.exchange.orders import Status
from tradingd.simulator.exchange.transitions import OrderTransitions

AUCTIONS = frozenset({"opg", "cls"})
OPENING_S_MAX = 60
"""How long an opening auction waits for a print before the quote counts."""


def close(engine: OrderTransitions, book: DepthBook, opened_at: int, now: int) -> None:
    """Hold the closing auction of a symbol."""
    price = None if book.is_halted else closes.price(book, opened_at)
    for working in tuple(book.parked):
        if working.order.time_in_force == "cls" and working.order.is_open:
            cross(engine, working, price, now)


def open_(engine: OrderTransitions, book: DepthBook, price: float, now: int) -> None:
    """Hold the opening auction of a symbol at its first print; in a halt it waits for the next."""
    if book.is_halted:
        return
    for working in tuple(book.parked):
        if working.order.time_in_force == "opg" and working.has_arrived:
            cross(engine, working, decimal_of(price), now)


def open_without_print(engine: OrderTransitions, working: Working, now: int) -> None:
    """End the wait for a print, unless a halt goes on: then the first print after it counts."""
    book = engine.books[working.order.symbol]
    if working.order.is_open and not book.is_halted:
        cross(engine, working, book.mid(), now)


def cross(engine: OrderTransitions, working: Working, price: Decimal | None, now: int) -> None:
    """Fill an order at the auction's price, or cancel it."""
    if price is not None and working.accepts(price):
        engine.execute(working, working.remaining, price, is_maker=False, now=now)
    else:
        engine.change(working, Status.CANCELED, "canceled", now, canceled_at=now)
