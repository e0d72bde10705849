"""The closes a position's day is measured from: a share's at the end of its session, a coin's at midnight UTC.

A close is the last print of its day; without prints the middle of the quote.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tradingd.instruments.money import decimal_of
from tradingd.instruments.units import DAY_NS
from tradingd.simulator.exchange.depth import DepthBook
from tradingd.simulator.exchange.ledger import AccountLedger


def price(book: DepthBook, opened_at: int) -> Decimal | None:
    """Return at what a symbol closes that traded since `opened_at`; None while nobody said a price."""
    return decimal_of(book.last) if book.printed_at >= opened_at else book.mid()


def keep(
    books: Mapping[str, DepthBook], ledger: AccountLedger, opened_at: int, *, is_crypto: bool
) -> None:
    """Remember the closes of shares, or of coins, until the next."""
    for symbol, book in books.items():
        close = price(book, opened_at) if book.is_crypto is is_crypto else None
        if close is not None:
            ledger.lastday[symbol] = close


def roll_day(books: Mapping[str, DepthBook], ledger: AccountLedger, midnight_at: int) -> int:
    """End the coins' day, and return when the next one ends."""
    keep(books, ledger, midnight_at - DAY_NS, is_crypto=True)
    return midnight_at + DAY_NS


def next_midnight(now: int) -> int:
    """Return when the UTC day of an instant ends."""
    return (now // DAY_NS + 1) * DAY_NS
