"""Whether anything may be entered at all: level, session, halts, the allow-list, known books."""

from __future__ import annotations

from tradingd.instruments.symbols import market_of
from tradingd.messages import Level, Role, Session
from tradingd.risk.book import Book
from tradingd.risk.case import Case, Refusal
from tradingd.risk.limits import RiskLimits


def level(case: Case, book: Book, _limits: RiskLimits) -> Refusal | None:
    """Entries need NORMAL; what only reduces is stopped where the level table says so."""
    if case.role is Role.ENTRY:
        if book.level is not Level.NORMAL:
            return Refusal(book.level, Level.NORMAL, f"no entries at level {book.level}")
        return None
    if case.order_id:
        return None  # the router keeps protection and flattening to the level table itself
    if book.level is Level.FLATTENING:
        return Refusal(book.level, Level.REDUCE_ONLY, "the house is flattening on its own")
    if book.level is Level.HALTED and not case.is_operator:
        return Refusal(book.level, Level.REDUCE_ONLY, "strategies are silent while halted")
    return None


def known_book(case: Case, book: Book, _limits: RiskLimits) -> Refusal | None:
    """Nothing is entered while cash, positions or the price of a holding are unknown."""
    if book.cash is None:
        return Refusal("unknown", "adopted", "the broker's book has not been read yet")
    if case.exposure is None and not case.order_id:
        unmarked = sorted(name for name in book.positions if name not in book.marks)
        return Refusal("unmarked", "marked", f"no price yet for what we hold: {unmarked}")
    return None


def session(case: Case, book: Book, _limits: RiskLimits) -> Refusal | None:
    """Enter in the regular session only."""
    now_in, until_at = book.sessions.get(market_of(case.symbol), (Session.CLOSED, 0))
    if now_in is not Session.REGULAR:
        return Refusal(now_in, Session.REGULAR, f"the market of {case.symbol} is {now_in}")
    if until_at and case.now >= until_at:
        return Refusal("over", Session.REGULAR, f"the session of {case.symbol} is over")
    return None


def halted(case: Case, book: Book, _limits: RiskLimits) -> Refusal | None:
    """A halted symbol is not entered."""
    if case.symbol in book.halted:
        return Refusal("halted", "trading", f"{case.symbol} is halted")
    return None


def allowed(case: Case, _book: Book, limits: RiskLimits) -> Refusal | None:
    """Only symbols on the allow-list are entered."""
    if case.symbol not in limits.symbols:
        return Refusal(case.symbol, "allow-list", f"{case.symbol} is not on the allow-list")
    return None
