"""How much: whole lots, order quantity and value, position and exposure shares, buying power."""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.money import cents, round_quantity
from tradingd.instruments.symbols import instrument
from tradingd.messages import Market
from tradingd.risk.case import Case, Refusal, Seen
from tradingd.risk.limits import RiskLimits
from tradingd.risk.state import RiskState


def value_of(case: Case) -> Decimal:
    """Return what the case costs at worst."""
    assert case.limit_price is not None, "entries are priced before they are valued"
    return case.quantity * case.limit_price


def finite(case: Case, _book: RiskState, _limits: RiskLimits) -> Seen:
    """Numbers that are none are refused before anything is compared with them."""
    for number in (case.quantity, case.limit_price, case.stop_price):
        if number is not None and not number.is_finite():
            return Refusal(f"{number}", "a finite number", "a quantity or price is not a number")
    return case.quantity, "a finite number"


def lots(case: Case, _book: RiskState, _limits: RiskLimits) -> Seen:
    """Quantities are positive and whole lots: fractions of a share are refused."""
    lot = instrument(case.symbol).lot
    if case.quantity <= 0:
        return Refusal(f"{case.quantity}", "> 0", "the quantity must be positive")
    if round_quantity(case.symbol, case.quantity) != case.quantity:
        return Refusal(f"{case.quantity}", f"{lot}", f"{case.symbol} trades in lots of {lot}")
    return case.quantity, lot


def order_quantity(case: Case, _book: RiskState, limits: RiskLimits) -> Seen:
    """Shares in one equity order."""
    if instrument(case.symbol).market is Market.CRYPTO:
        return case.quantity, "by value"
    if case.quantity > limits.order_quantity_max:
        return _beyond(case.quantity, limits.order_quantity_max, "order quantity", "")
    return case.quantity, limits.order_quantity_max


def order_value(case: Case, _book: RiskState, limits: RiskLimits) -> Seen:
    """The worth of one order at its worst price: neither too much nor under the broker's minimum."""
    value = value_of(case)
    if value > limits.order_value_usd_max:
        return _beyond(cents(value), limits.order_value_usd_max, "order value", " USD")
    smallest = instrument(case.symbol).notional_usd_min
    if value < smallest:
        return Refusal(f"{cents(value)} USD", f"{smallest} USD", "the order is worth too little")
    return value, limits.order_value_usd_max


def positions(case: Case, _book: RiskState, limits: RiskLimits) -> Seen:
    """How many symbols may be held, approved entries included."""
    assert case.exposure is not None
    symbols = case.exposure.symbols
    count = len(symbols) if case.symbol in symbols else len(symbols) + 1
    if count > limits.positions_max and case.symbol not in symbols:
        return _beyond(Decimal(count), Decimal(limits.positions_max), "positions", "")
    return count, limits.positions_max


def position_share(case: Case, _book: RiskState, limits: RiskLimits) -> Seen:
    """One symbol's share of equity, counting what approved intents may still add."""
    room = case.exposure
    assert room is not None
    after = room.symbol_held_usd + room.symbol_reserved_usd + value_of(case)
    limit = room.equity_usd * limits.position_pct_max / 100
    if after > limit:
        what = f"position in {case.symbol} ({limits.position_pct_max} % of equity)"
        return _beyond(cents(after), cents(limit), what, " USD")
    return after, limit


def exposure_share(case: Case, _book: RiskState, limits: RiskLimits) -> Seen:
    """All positions' share of equity, counting what approved intents may still add."""
    room = case.exposure
    assert room is not None
    after = room.held_usd + room.reserved_usd + value_of(case)
    limit = room.equity_usd * limits.exposure_pct_max / 100
    if after > limit:
        what = f"exposure ({limits.exposure_pct_max} % of equity)"
        return _beyond(cents(after), cents(limit), what, " USD")
    return after, limit


def buying_power(case: Case, _book: RiskState, _limits: RiskLimits) -> Seen:
    """Cash that no approved intent has a claim on."""
    assert case.exposure is not None
    value = value_of(case)
    if value > case.exposure.power_usd:
        return _beyond(cents(value), cents(case.exposure.power_usd), "order value", " USD of cash")
    return value, case.exposure.power_usd


def _beyond(value: Decimal, limit: Decimal, what: str, unit: str) -> Refusal:
    return Refusal(f"{value}{unit}", f"{limit}{unit}", f"{what} would be {value}, limit {limit}")
