"""Exact where money is counted: floats of the market become `Decimal` here, and rounding is toward less risk."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from functools import lru_cache

from tradingd.instruments.symbols import instrument
from tradingd.messages import Market, Side

CENT = Decimal("0.01")
_SUB_DOLLAR_TICK = Decimal("0.0001")
_CRYPTO_TICK = Decimal("0.000000001")
SHARE_STEP = Decimal("0.000000001")
"""The broker counts shares in nine places."""


@lru_cache(maxsize=16_384)
def decimal_of(value: float) -> Decimal:
    """Return the shortest exact decimal of a market float; raises ValueError unless it is finite.

    Remembered, because prices stand on a grid and come back: a hit costs a fifth of the conversion.
    """
    # Equal keys must not differ in their digits by who asked first: 1 is 1.0 here, and -0.0 is 0.0.
    number = Decimal(repr(value + 0.0))
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return number


def tick_of(symbol: str, price: Decimal) -> Decimal:
    """Return the price step: a cent from one dollar up, a hundredth of it below, 1e-9 for crypto."""
    if instrument(symbol).market is Market.CRYPTO:
        return _CRYPTO_TICK
    return CENT if price >= 1 else _SUB_DOLLAR_TICK


def round_limit(symbol: str, price: Decimal, side: Side) -> Decimal:
    """Round a limit price to its tick: a buyer never pays more, a seller never gets less."""
    # Ticks and lots are powers of ten, so cutting digits does what dividing and multiplying would.
    return price.quantize(
        tick_of(symbol, price), ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    )


def round_quantity(symbol: str, quantity: Decimal) -> Decimal:
    """Round a positive quantity down to whole lots."""
    return quantity.quantize(instrument(symbol).lot, ROUND_DOWN)


def after_split(quantity: Decimal, ratio: Decimal) -> Decimal:
    """Return a position after a split, in the nine places in which the broker counts shares.

    One for three has no exact ratio: without rounding thirty shares would become 9.99..., for ever not ten.
    """
    return trimmed((quantity * ratio).quantize(SHARE_STEP, ROUND_HALF_EVEN))


def trimmed(quantity: Decimal) -> Decimal:
    """Return a quantity without the zeros behind it."""
    is_whole = quantity == quantity.to_integral_value()
    return quantity.quantize(Decimal(1)) if is_whole else quantity.normalize()


def signed(side: Side, quantity: Decimal) -> Decimal:
    """Return the quantity as it moves the position: negative for a sale."""
    return quantity if side is Side.BUY else -quantity


def cents(amount: Decimal) -> Decimal:
    """Round US dollars to cents for people; books keep what was exact."""
    return amount.quantize(CENT, ROUND_HALF_EVEN)


def crypto_fee(side: Side, quantity: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """Return the fee taken from what is received: coins on a buy, US dollars on a sale.

    Coins are rounded to 9 places and dollars to 4, both against the trader, as the fee schedule of the
    broker's crypto venue is applied per execution.
    """
    gross = quantity if side is Side.BUY else quantity * price
    step = Decimal("0.000000001") if side is Side.BUY else Decimal("0.0001")
    return (gross * rate / step).to_integral_value(ROUND_CEILING) * step


def plain(number: Decimal) -> str:
    """Return a number as people and brokers read it: no power of ten, no zeros at its end, no minus zero."""
    text = f"{number:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
