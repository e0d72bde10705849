"""Whether anything may be entered at all: level, session, halts, the allow-list, known books."""

from __future__ import annotations

from tradingd.instruments.symbols import market_of
from tradingd.messages import Level, Role, Session
from tradingd.risk.case import Case, Refusal, Seen
from tradingd.risk.limits import RiskLimits
from tradingd.risk.state import RiskState
from tradingd.state.permissions import Action


def level(case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
    """Entries need NORMAL; what only reduces is stopped where the level table says so."""
    permissions = book.permissions
    if case.role is Role.ENTRY:
        if permissions.may(Action.ENTER):
            return permissions.level, Level.NORMAL
        level = permissions.level
        return Refusal(level, Level.NORMAL, f"no entries at level {level}")
    if case.order_id:
        # The router keeps protection and flattening to the level table itself.
        return permissions.level, "the router's own table"
    action = Action.OPERATOR_EXIT if case.is_operator else Action.STRATEGY_EXIT
    if permissions.may(action):
        return permissions.level, Level.REDUCE_ONLY
    reason = f"no {action.replace('_', ' ')} at level {permissions.level}"
    return Refusal(permissions.level, Level.REDUCE_ONLY, reason)


def known_book(case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
    """Nothing is entered while cash, positions or the price of a holding are unknown."""
    if book.cash is None:
        return Refusal("unknown", "adopted", "the broker's book has not been read yet")
    if case.exposure is None and not case.order_id:
        unmarked = sorted(name for name in book.positions if name not in book.marks)
        return Refusal("unmarked", "marked", f"no price yet for what we hold: {unmarked}")
    return "adopted", "adopted"


def session(case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
    """Enter in the regular session only."""
    market = market_of(case.symbol)
    if book.permissions.is_open(market, case.now):
        return Session.REGULAR, Session.REGULAR
    session = book.permissions.session_of(market)
    if session is Session.REGULAR:
        return Refusal("over", Session.REGULAR, f"the session of {case.symbol} is over")
    return Refusal(session, Session.REGULAR, f"the market of {case.symbol} is {session}")


def halted(case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
    """A halted symbol is not entered."""
    if case.symbol in book.permissions.halted:
        return Refusal("halted", "trading", f"{case.symbol} is halted")
    return "trading", "trading"


def allowed(case: Case, _book: RiskState, limits: RiskLimits) -> Seen:
    """Only symbols on the allow-list are entered."""
    if case.symbol not in limits.symbols:
        return Refusal(case.symbol, "allow-list", f"{case.symbol} is not on the allow-list")
    return case.symbol, "allow-list"
