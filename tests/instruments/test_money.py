"""Rounding is toward less risk, and floats become the decimals people see."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingd.instruments.money import (
    cents,
    crypto_fee,
    decimal_of,
    round_limit,
    round_quantity,
    signed,
    tick_of,
)
from tradingd.instruments.symbols import instrument
from tradingd.messages import Side

SYMBOLS = st.sampled_from(["IBM", "BTC/USD"])
PRICES = st.decimals("0.0001", "100000", places=9, allow_nan=False)
QUANTITIES = st.decimals("0.000000001", "100000", places=12, allow_nan=False)
RATES = st.decimals("0", "0.01", places=4, allow_nan=False)
SIDES = st.sampled_from(list(Side))


@given(SYMBOLS, PRICES, SIDES)
def test_a_limit_never_gets_worse_for_us_and_lies_on_its_tick(
    symbol: str, price: Decimal, side: Side
) -> None:
    limit, tick = round_limit(symbol, price, side), tick_of(symbol, price)
    assert limit % tick == 0
    assert abs(limit - price) < tick
    assert limit <= price if side is Side.BUY else limit >= price


@given(SYMBOLS, QUANTITIES)
def test_a_quantity_is_whole_lots_and_never_more_than_asked(symbol: str, quantity: Decimal) -> None:
    rounded, lot = round_quantity(symbol, quantity), instrument(symbol).lot
    assert rounded % lot == 0
    assert quantity - lot < rounded <= quantity


@given(SIDES, QUANTITIES, PRICES, RATES)
def test_a_crypto_fee_is_rounded_against_the_trader(
    side: Side, quantity: Decimal, price: Decimal, rate: Decimal
) -> None:
    fee = crypto_fee(side, quantity, price, rate)
    exact = (quantity if side is Side.BUY else quantity * price) * rate
    step = Decimal("1e-9") if side is Side.BUY else Decimal("1e-4")
    assert exact <= fee < exact + step


@given(st.integers(1, 10**9), st.integers(0, 6))
def test_a_float_becomes_the_decimal_it_was_written_as(units: int, places: int) -> None:
    written = Decimal(units).scaleb(-places)
    assert decimal_of(float(written)) == written


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        decimal_of(value)


@pytest.mark.parametrize(
    ("symbol", "price", "tick"),
    [
        ("IBM", "1", "0.01"),
        ("IBM", "0.9999", "0.0001"),
        ("BTC/USD", "65000", "0.000000001"),
        ("BTC/USD", "0.5", "0.000000001"),
    ],
)
def test_ticks(symbol: str, price: str, tick: str) -> None:
    assert tick_of(symbol, Decimal(price)) == Decimal(tick)


def test_a_sale_moves_a_position_down() -> None:
    assert signed(Side.BUY, Decimal(3)) == 3
    assert signed(Side.SELL, Decimal(3)) == -3


@pytest.mark.parametrize(
    ("amount", "rounded"), [("0.005", "0.00"), ("0.015", "0.02"), ("-0.0151", "-0.02")]
)
def test_cents_round_half_to_even(amount: str, rounded: str) -> None:
    assert str(cents(Decimal(amount))) == rounded
