"""What each rule saw and what it holds, where it has no objection: for whoever asks afterwards.

A rule that refuses names its numbers itself, and one that does not says nothing, because the gate is on the
way of every order. So the numbers of a pass stand here, one small function for each rule, off that way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tradingd.instruments.money import cents
from tradingd.instruments.symbols import instrument, market_of
from tradingd.instruments.units import MINUTE_NS, SECOND_NS, ZERO
from tradingd.messages import Level, Market, Role, Session
from tradingd.risk.book import Book
from tradingd.risk.case import Case
from tradingd.risk.exposure import Exposure, mid_of
from tradingd.risk.limits import RiskLimits
from tradingd.risk.rules import Rule
from tradingd.risk.rules.amount import value_of

Numbers = tuple[str, str]
"""The value and its limit."""

Measure = Callable[[Case, Book, RiskLimits], Numbers]


class Answer(NamedTuple):
    """One rule's answer in one case."""

    rule: str
    value: str
    limit: str
    is_refusal: bool
    reason: str = ""


def answers(
    rules: Mapping[str, Rule], case: Case, book: Book, limits: RiskLimits
) -> Iterator[Answer]:
    """Ask rules as the gate does, up to the first refusal, and yield what each saw."""
    for name, rule in rules.items():
        refusal = rule(case, book, limits)
        if refusal is not None:
            yield Answer(name, refusal.value, refusal.limit, True, refusal.reason)
            return
        value, limit = MEASURES[name](case, book, limits)
        yield Answer(name, value, limit, False)


def _finite(case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    return f"{case.quantity}", "a finite number"


def _level(case: Case, book: Book, _limits: RiskLimits) -> Numbers:
    return (
        book.permissions.level,
        Level.NORMAL if case.role is Role.ENTRY else f"not {Level.FLATTENING}",
    )


def _book(_case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    return "adopted", "adopted"


def _session(case: Case, book: Book, _limits: RiskLimits) -> Numbers:
    return book.permissions.session_of(market_of(case.symbol)), Session.REGULAR


def _halted(_case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    return "trading", "trading"


def _allowed(case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    return case.symbol, "allow-list"


def _long_only(case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    return case.side, "buy"


def _stale(case: Case, book: Book, limits: RiskLimits) -> Numbers:
    age = (case.now - min(book.marks[case.symbol].quoted_at, case.quoted_at)) / SECOND_NS
    return f"{age:.1f} s", f"{limits.quote_age_s_max:g} s"


def _confidence(case: Case, _book: Book, limits: RiskLimits) -> Numbers:
    value = "a person" if case.is_operator else f"{case.confidence:.4g}"
    return value, f"{limits.confidence_min:g}"


def _collar(case: Case, book: Book, limits: RiskLimits) -> Numbers:
    mid = mid_of(book, case.symbol)
    assert mid is not None, "the collar refuses what has no reference"
    assert case.limit_price is not None, "the collar refuses what has no price"
    return f"{abs(case.limit_price / mid - 1) * 100:.3f} %", f"{limits.collar_pct} %"


def _new_id(case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    return case.order_id or case.intent_id, "new id"


def _opposite(case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    return case.side, "same side"


def _self_cross(case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    return f"{case.limit_price}", "no order of ours"


def _orders_open(case: Case, book: Book, limits: RiskLimits) -> Numbers:
    count = len(book.orders) if case.order_id else len(book.reservations)
    return f"{count}", f"{limits.orders_open_max}"


def _order_rate(case: Case, book: Book, limits: RiskLimits) -> Numbers:
    count = sum(case.now - at < MINUTE_NS for at in book.approved_at)
    return f"{count} a minute", f"{limits.orders_per_minute_max} a minute"


def _lots(case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    return f"{case.quantity}", f"{instrument(case.symbol).lot}"


def _order_quantity(case: Case, _book: Book, limits: RiskLimits) -> Numbers:
    is_coin = instrument(case.symbol).market is Market.CRYPTO
    return f"{case.quantity}", "by value" if is_coin else f"{limits.order_quantity_max}"


def _order_value(case: Case, _book: Book, limits: RiskLimits) -> Numbers:
    return f"{cents(value_of(case))} USD", f"{limits.order_value_usd_max} USD"


def _positions(case: Case, _book: Book, limits: RiskLimits) -> Numbers:
    return f"{len(_room(case).symbols | {case.symbol})}", f"{limits.positions_max}"


def _position_share(case: Case, _book: Book, limits: RiskLimits) -> Numbers:
    room = _room(case)
    after = room.symbol_held_usd + room.symbol_reserved_usd + value_of(case)
    limit = room.equity_usd * limits.position_pct_max / 100
    return f"{cents(after)} USD", f"{cents(limit)} USD"


def _exposure_share(case: Case, _book: Book, limits: RiskLimits) -> Numbers:
    room = _room(case)
    after = room.held_usd + room.reserved_usd + value_of(case)
    limit = room.equity_usd * limits.exposure_pct_max / 100
    return f"{cents(after)} USD", f"{cents(limit)} USD"


def _buying_power(case: Case, _book: Book, _limits: RiskLimits) -> Numbers:
    power = cents(_room(case).power_usd)
    return f"{cents(value_of(case))} USD of cash", f"{power} USD of cash"


def _reservation(case: Case, book: Book, _limits: RiskLimits) -> Numbers:
    parent = case.reservation
    assert parent is not None, "an order without a parent is refused"
    live = sum((order.remaining for order in book.children(parent.intent_id)), ZERO)
    return f"{parent.filled + live + case.quantity}", f"{parent.quantity}"


def _held(case: Case, book: Book, _limits: RiskLimits) -> Numbers:
    leaving = book.exiting(case.strategy, case.symbol, with_reserved=not case.order_id)
    return f"{case.quantity}", f"{abs(book.held(case.strategy, case.symbol)) - leaving}"


def _room(case: Case) -> Exposure:
    assert case.exposure is not None, "the book rule refuses what cannot be measured"
    return case.exposure


MEASURES: Mapping[str, Measure] = {
    "finite": _finite,
    "level": _level,
    "book": _book,
    "session": _session,
    "halted": _halted,
    "allowed": _allowed,
    "long_only": _long_only,
    "stale": _stale,
    "confidence": _confidence,
    "collar": _collar,
    "duplicate": _new_id,
    "opposite": _opposite,
    "self_cross": _self_cross,
    "orders_open": _orders_open,
    "order_rate": _order_rate,
    "lots": _lots,
    "order_quantity": _order_quantity,
    "order_value": _order_value,
    "positions": _positions,
    "position_pct": _position_share,
    "exposure_pct": _exposure_share,
    "buying_power": _buying_power,
    "reservation": _reservation,
    "held": _held,
}
"""A row for each rule of the gate, by its name there."""
