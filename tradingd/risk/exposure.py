"""The account at its latest marks, worst case: what is held, and what approved parents may still add.

Marks are floats and O(1) to take; they become `Decimal` here, when something is judged and not before.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tradingd.instruments.money import decimal_of
from tradingd.instruments.units import ZERO
from tradingd.messages import Role, Side
from tradingd.risk.state import RiskState

# In Python 3.11 each mention of a member goes through its metaclass, and the loop over parents needs two.
ENTRY, BUY = Role.ENTRY, Side.BUY


class Exposure(msgspec.Struct, frozen=True, gc=False):
    """US dollars at one moment; `symbol_*` are of the one symbol being judged."""

    equity_usd: Decimal
    held_usd: Decimal
    reserved_usd: Decimal
    symbol_held_usd: Decimal
    symbol_reserved_usd: Decimal
    power_usd: Decimal
    """Cash no approved buy has a claim on, capped by the broker's own buying power."""
    symbols: frozenset[str]
    """Held, or claimed by an approved entry."""


def mid_of(book: RiskState, symbol: str) -> Decimal | None:
    """Return the middle of the latest mark, None before the first."""
    mark = book.marks.get(symbol)
    if mark is None:
        return None
    known = book.mids.get(symbol)
    if known is not None and known[0] is mark:
        return known[1]
    mid = decimal_of((mark.bid + mark.ask) / 2)
    book.mids[symbol] = (mark, mid)
    return mid


def measure(book: RiskState, symbol: str) -> Exposure | None:
    """Measure the account for an entry in `symbol`; None while cash or the price of a holding is unknown."""
    if book.cash is None:
        return None
    equity, held, symbol_held = book.cash, ZERO, ZERO
    for name, holders in book.positions.items():
        mid = mid_of(book, name)
        if mid is None:
            return None
        for quantity in holders.values():
            value = quantity * mid
            worth = abs(value)
            equity += value
            held += worth
            if name == symbol:
                symbol_held += worth
    symbols = set(book.positions)
    reserved, symbol_reserved, claimed = _reserved(book, symbol, symbols)
    power = book.cash if book.power is None else min(book.cash, book.power)
    return Exposure(
        equity, held, reserved, symbol_held, symbol_reserved, power - claimed, frozenset(symbols)
    )


def _reserved(book: RiskState, symbol: str, symbols: set[str]) -> tuple[Decimal, Decimal, Decimal]:
    """Return what approved entries may still add: in all, in `symbol`, of cash; note their symbols."""
    reserved, symbol_reserved, claimed = ZERO, ZERO, ZERO
    for parent in book.reservations.values():
        if parent.role is not ENTRY:
            continue
        symbols.add(parent.symbol)
        is_plain = not parent.is_closed and not parent.is_crowded
        left = parent.quantity - parent.filled if is_plain else book.open_quantity(parent)
        if left <= ZERO:
            continue
        value = left * parent.limit_price
        reserved += value
        if parent.symbol == symbol:
            symbol_reserved += value
        if parent.side is BUY:
            claimed += value
    return reserved, symbol_reserved, claimed
