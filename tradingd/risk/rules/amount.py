"""How much: whole lots, order quantity and value, position and exposure shares, buying power."""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.money import cents, round_quantity
from tradingd.instruments.symbols import instrument
from tradingd.messages import Market
from tradingd.risk.book import Book
from tradingd.risk.case import Case, Refusal
from tradingd.risk.limits import RiskLimits


def value_of(case: Case) -> Decimal:
    """Return what the case costs at worst."""
    assert case.limit_price is not None, "entries are priced before they are valued"
    return case.quantity * case.limit_price


def finite(case: Case, _book: Book, _limits: RiskLimits) -> Refusal | None:
    """Numbers that are none are refused before anything is compared with them."""
    for number in (case.quantity, case.limit_price, case.stop_price):
        if number is not None and not number.is_finite():
            return Refusal(f"{number}", "a finite number", "a quantity or price is not a number")
    return None


def lots(case: Case, _book: Book, _limits: RiskLimits) -> Refusal | None:
    """Quantities are positive and whole lots: fractions of a share are refused."""
    lot = instrument(case.symbol).lot
    if case.quantity <= 0:
        return Refusal(f"{case.quantity}", "> 0", "the quantity must be positive")
    if round_quantity(case.symbol, case.quantity) != case.quantity:
        return Refusal(f"{case.quantity}", f"{lot}", f"{case.symbol} trades in lots of {lot}")
    return None


def order_quantity(case: Case, _book: Book, limits: RiskLimits) -> Refusal | None:
    """Shares in one equity order."""
    if instrument(case.symbol).market is Market.CRYPTO:
        return None
    if case.quantity > limits.order_quantity_max:
        return _beyond(case.quantity, limits.order_quantity_max, "order quantity", "")
    return None


def order_value(case: Case, _book: Book, limits: RiskLimits) -> Refusal | None:
    """The worth of one order at its worst price: neither too much nor under the broker's minimum."""
    value = value_of(case)
    if value > limits.order_value_usd_max:
        return _beyond(cents(value), limits.order_value_usd_max, "order value", " USD")
    smallest = instrument(case.symbol).notional_usd_min
    if value < smallest:
        return Refusal(f"{cents(value)} USD", f"{smallest} USD", "the order is worth too little")
    return None


def positions(case: Case, _book: Book, limits: RiskLimits) -> Refusal | None:
    """How many symbols may be held, approved entries included."""
    assert case.exposure is not None
    symbols = case.exposure.symbols
    if case.symbol not in symbols and len(symbols) >= limits.positions_max:
        return _beyond(Decimal(len(symbols) + 1), Decimal(limits.positions_max), "positions", "")
    return None


def position_share(case: Case, _book: Book, limits: RiskLimits) -> Refusal | None:
    """One symbol's share of equity, counting what approved intents may still add."""
    room = case.exposure
    assert room is not None
    after = room.symbol_held_usd + room.symbol_reserved_usd + value_of(case)
    limit = room.equity_usd * limits.position_pct_max / 100
    if after > limit:
        what = f"position in {case.symbol} ({limits.position_pct_max} % of equity)"
        return _beyond(cents(after), cents(limit), what, " USD")
    return None


def exposure_share(case: Case, _book: Book, limits: RiskLimits) -> Refusal | None:
    """All positions' share of equity, counting what approved intents may still add."""
    room = case.exposure
    assert room is not None
    after = room.held_usd + room.reserved_usd + value_of(case)
    limit = room.equity_usd * limits.exposure_pct_max / 100
    if after > limit:
        what = f"exposure ({limits.exposure_pct_max} % of equity)"
        return _beyond(cents(after), cents(limit), what, " USD")
    return None


def buying_power(case: Case, _book: Book, _limits: RiskLimits) -> Refusal | None:
    """Cash that no approved intent has a claim on."""
    assert case.exposure is not None
    value = value_of(case)
    if value > case.exposure.power_usd:
        return _beyond(cents(value), cents(case.exposure.power_usd), "order value", " USD of cash")
    return None


def _beyond(value: Decimal, limit: Decimal, what: str, unit: str) -> Refusal:
    return Refusal(f"{value}{unit}", f"{limit}{unit}", f"{what} would be {value}, limit {limit}")
